"""The environment mark: one line in the comment of a database.

It is one line of the database's comment, so it survives a dump's restore into another name no more
than it should, costs no table, and can be read from any other database. What others wrote in the
comment stays.
"""

from __future__ import annotations

import re

import psycopg2
from psycopg2 import errorcodes, sql
from psycopg2.extensions import connection as Connection

from db_ops.settings import Settings

_LINE = re.compile(r"^db_ops environment: (?P<environment>[a-z][a-z0-9_-]*)$", re.MULTILINE)


def read_mark(connection: Connection, database: str) -> str | None:
    """Return the environment that *database* is marked with, from any database of its server."""
    return parse_mark(comment_of(connection, database))


def parse_mark(comment: str) -> str | None:
    """Return the environment that a database's *comment* names."""
    found = _LINE.search(comment)
    return found["environment"] if found else None


def write_mark(connection: Connection, database: str, settings: Settings) -> bool:
    """Mark *database* with the environment of *settings*, keeping the rest of its comment.

    Only the owner may write a comment: returns False if this role is not.
    """
    kept = comment_of(connection, database)
    comment = with_mark(kept, settings.environment) if kept else new_comment(settings)
    statement = sql.SQL("COMMENT ON DATABASE {} IS {}")
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement.format(sql.Identifier(database), sql.Literal(comment)))
    except psycopg2.Error as error:
        if error.pgcode == errorcodes.INSUFFICIENT_PRIVILEGE:
            return False
        raise
    return True


def with_mark(comment: str, environment: str) -> str:
    """Return a database's *comment* with the mark *environment* in it, instead of any other."""
    others = _LINE.sub("", comment).strip("\n")
    return "\n".join(filter(None, (others, f"db_ops environment: {environment}")))


def new_comment(settings: Settings) -> str:
    """Return the comment of a new database: its mark, and whose it is if each branch has one."""
    branch = settings.branch
    return with_mark(branch.comment(settings.database) if branch else "", settings.environment)


def all_marks(connection: Connection) -> tuple[tuple[str, str], ...]:
    """Return the databases of *connection*'s server that are marked, each with its mark."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database ORDER BY 1"
        )
        found = ((str(name), parse_mark(comment or "")) for name, comment in cursor.fetchall())
        return tuple((name, mark) for name, mark in found if mark is not None)


def comment_of(connection: Connection, database: str) -> str:
    """Return the comment of *database*, empty without one, from any database of its server."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s",
            (database,),
        )
        row = cursor.fetchone()
    return str(row[0]) if row and row[0] else ""
