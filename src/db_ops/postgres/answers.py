"""What a database answers to the questions of an env.py, to see whether it is what it was."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as PlainCursor

# What SQLAlchemy asks by itself, and tells env.py.
_FACTS = ("SHOW server_version", "SELECT current_schema()")


def digest_of_answers(connection: Connection, questions: Iterable[str]) -> str:
    """Ask *questions* in a read-only session; an error is an answer, too."""
    found = blake2b(digest_size=16)
    for question in (*_FACTS, *questions):
        try:
            with connection.cursor(cursor_factory=PlainCursor) as cursor:
                cursor.execute(question)
                answer = repr(cursor.fetchall() if cursor.description else None)
        except psycopg2.Error as error:
            connection.rollback()
            answer = str(error.pgcode)
        found.update(f"{answer}\0".encode())
    return found.hexdigest()
