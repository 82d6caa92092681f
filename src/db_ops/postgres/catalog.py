"""Read what a database holds. Nothing here writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import quote_ident

from db_ops.settings import RECORDS_SCHEMA

# Whatever a search path is at the moment; `c` is the table, `n` its schema.
QUALIFIED_NAME = """
    CASE n.nspname WHEN 'public' THEN quote_ident(c.relname)
    ELSE concat(quote_ident(n.nspname), '.', quote_ident(c.relname)) END
"""


def major_version(connection: Connection) -> int:
    """Return the server's major version."""
    return int(connection.info.server_version) // 10000


def not_of_an_extension(catalog: str) -> str:
    """Return the condition that an object `o` of *catalog*, in the namespace `n`, is a user's."""
    return f"""
    n.nspname NOT IN ('information_schema', '{RECORDS_SCHEMA}') AND n.nspname !~ '^pg_'
    AND NOT EXISTS (
        SELECT FROM pg_depend d
        WHERE d.classid = '{catalog}'::regclass AND d.objid = o.oid AND d.deptype = 'e'
    )
"""


_RELATIONS = (
    """
    SELECT format('%s.%s', n.nspname, o.relname)
    FROM pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace
    WHERE o.relkind IN ({kinds}) AND"""
    + not_of_an_extension("pg_class")
    + "ORDER BY 1"
)
_FUNCTIONS = (
    """
    SELECT format('%s.%s', n.nspname, o.proname)
    FROM pg_proc o JOIN pg_namespace n ON n.oid = o.pronamespace
    WHERE"""
    + not_of_an_extension("pg_proc")
    + "LIMIT 1"
)
_MISSING = (errorcodes.UNDEFINED_TABLE, errorcodes.INVALID_SCHEMA_NAME)
_UNREADABLE = (
    errorcodes.INSUFFICIENT_PRIVILEGE,
    errorcodes.UNDEFINED_COLUMN,
    errorcodes.WRONG_OBJECT_TYPE,
)


class UnreadableVersionTable(Exception):
    """The version table is there and cannot be read: why, and whether a right is missing."""


@contextmanager
def version_table_errors() -> Iterator[None]:
    """Raise `UnreadableVersionTable` for an error of the server in a `with` block."""
    try:
        yield
    except psycopg2.Error as error:
        if error.pgcode not in _UNREADABLE:
            raise
        denied = error.pgcode == errorcodes.INSUFFICIENT_PRIVILEGE
        raise UnreadableVersionTable(error.diag.message_primary, denied) from error


def recorded_revisions(
    connection: Connection, table: str, schema: str | None = None
) -> tuple[str, ...]:
    """Return the revisions that Alembic's version table holds, in one round trip.

    Empty if the table is empty or missing. Sorted, because the table has no order.
    """
    # Nothing else is asked: on a fresh connection every catalog that a query touches is a read.
    name = _version_table(connection, table, schema)
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT version_num::text FROM {name}")
            return tuple(sorted(str(row[0]) for row in cursor.fetchall()))
    except psycopg2.Error as error:
        if error.pgcode in _MISSING:
            return ()
        raise


def revisions_and_comment(
    connection: Connection, table: str, schema: str | None = None
) -> tuple[tuple[str, ...], str]:
    """Return what `recorded_revisions` does and the comment of the database, in one round trip.

    Two, if there is no version table.
    """
    name = _version_table(connection, table, schema)
    try:
        return _revisions_and_comment(connection, f"ARRAY(SELECT version_num::text FROM {name})")
    except psycopg2.Error as error:
        if error.pgcode in _MISSING:
            return _revisions_and_comment(connection, "ARRAY[]::text[]")
        raise


def _revisions_and_comment(connection: Connection, revisions: str) -> tuple[tuple[str, ...], str]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {revisions}, shobj_description(oid, 'pg_database')"
            " FROM pg_database WHERE datname = current_database()"
        )
        found, comment = cursor.fetchone() or ((), None)
    return tuple(sorted(found)), comment or ""


def _version_table(connection: Connection, table: str, schema: str | None) -> str:
    # Not by `psycopg2.sql`, whose import is a fiftieth of a command that finds nothing to do.
    return ".".join(quote_ident(one, connection) for one in (schema, table) if one)


def owner_of(connection: Connection, table: str, schema: str | None = None) -> str | None:
    """Return the role that owns a table, as SQL writes it; None if there is no such table."""
    name = _version_table(connection, table, schema)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class"
            " WHERE oid = to_regclass(%s)",
            (name,),
        )
        row = cursor.fetchone()
    return str(row[0]) if row else None


def current_role(connection: Connection) -> str:
    """Return the role that the session acts as, as SQL writes it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(current_user)")
        row = cursor.fetchone()
    return str(row[0]) if row else ""


def user_tables(connection: Connection) -> tuple[str, ...]:
    """Return `schema.table` of every table that belongs to no extension."""
    return _names(connection, _RELATIONS.format(kinds="'r', 'p', 'f'"))


def relations(connection: Connection) -> tuple[str, ...]:
    """Return `schema.name` of every table and view that belongs to no extension."""
    return _names(connection, _RELATIONS.format(kinds="'r', 'p', 'f', 'v', 'm'"))


def default_schema(connection: Connection) -> str:
    """Return the schema in which a table is created that is named without one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(current_schema(), 'public')")
        row = cursor.fetchone()
    return str(row[0]) if row else "public"


def is_empty(connection: Connection) -> bool:
    """Tell whether the database holds nothing of a user's: no relation, no function."""
    relations = _RELATIONS.format(kinds="'r', 'p', 'f', 'v', 'm', 'S', 'c'")
    return not _names(connection, relations) and not _names(connection, _FUNCTIONS)


def _names(connection: Connection, query: str) -> tuple[str, ...]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return tuple(str(row[0]) for row in cursor.fetchall())


def estimated_rows(connection: Connection) -> dict[str, int]:
    """Return the server's last estimate of each table's rows, where it has one. Takes no lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {QUALIFIED_NAME}, c.reltuples::bigint FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p', 'm') AND c.reltuples >= 0 AND n.nspname !~ '^pg_'"
        )
        return {str(name): int(rows) for name, rows in cursor.fetchall()}
