"""What an env.py asks the database before it configures, and what it is answered.

Both are kept with what was learnt of it: a later command asks the same, and runs env.py again only
where an answer is another one. The answers are kept as a digest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from db_ops.migrations.cache_files import digest

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

# What SQLAlchemy asks by itself, and tells env.py.
_FACTS = ("SHOW server_version", "SELECT current_schema()")
_MOST = 50
# Questions are kept as they are.
_MAY_TELL_A_SECRET = re.compile(r"passw|secret|token|crypt|set_config", re.I)


def may_be_kept(questions: Sequence[str]) -> bool:
    """Tell whether *questions* are few enough to be asked by each command, and hold no secret."""
    return 0 < len(questions) <= _MOST and not any(map(_MAY_TELL_A_SECRET.search, questions))


def digest_of_answers(connection: Connection, questions: Iterable[str]) -> str:
    """Ask *questions* in a read-only session; an error is an answer, too."""
    import psycopg2
    from psycopg2.extensions import cursor as plain_cursor

    answers = []
    for question in (*_FACTS, *questions):
        try:
            with connection.cursor(cursor_factory=plain_cursor) as cursor:
                cursor.execute(question)
                answers.append(repr(cursor.fetchall() if cursor.description else None))
        except psycopg2.Error as error:
            connection.rollback()
            answers.append(str(error.pgcode))
    return digest(*answers)
