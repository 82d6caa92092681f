"""The history table: created if it does not exist, never altered if it is not ours."""

from __future__ import annotations

from psycopg2.errors import DuplicateSchema, DuplicateTable, InsufficientPrivilege, UniqueViolation
from psycopg2.extensions import connection as Connection

from db_ops.errors.quote_ident import quote_ident
from db_ops.postgres.connection.role import acting_role
from db_ops.settings import RECORDS_SCHEMA

TABLE = f"{RECORDS_SCHEMA}.history"
MARK = "db_ops: what was applied and reverted here, format 1"
_CREATE_SCHEMA = (
    f"CREATE SCHEMA {RECORDS_SCHEMA}; GRANT USAGE ON SCHEMA {RECORDS_SCHEMA} TO PUBLIC;"
)
_CREATE_TABLE = f"""
    CREATE TABLE {TABLE} (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        version_table text NOT NULL,
        revision text NOT NULL,
        action text NOT NULL,
        heads text[] NOT NULL,
        parents text[],
        checksum text,
        fingerprint text,
        finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        seconds double precision,
        role text NOT NULL DEFAULT session_user,
        acting_role text DEFAULT current_user,
        os_user text,
        command text,
        database text NOT NULL DEFAULT current_database()
    );
    COMMENT ON TABLE {TABLE} IS '{MARK}';
    GRANT SELECT ON {TABLE} TO PUBLIC;
"""
# An earlier version of ours made the table without them. Of its rows nobody knows the role.
_ADD_COLUMNS = (
    f"ALTER TABLE {TABLE} ADD COLUMN IF NOT EXISTS parents text[],"
    " ADD COLUMN IF NOT EXISTS acting_role text, ALTER COLUMN acting_role SET DEFAULT current_user"
)
_IS_IN_SEARCH_PATH = f"SELECT '{RECORDS_SCHEMA}' = ANY (current_schemas(false))"
_STATE = f"""
    SELECT pg_get_userbyid(n.nspowner), pg_has_role(n.nspowner, 'USAGE'),
           EXISTS (SELECT FROM pg_class WHERE relnamespace = n.oid),
           obj_description(c.oid, 'pg_class'),
           has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'INSERT'),
           current_user,
           2 = (SELECT count(*) FROM pg_attribute
                WHERE attrelid = c.oid AND attname IN ('parents', 'acting_role'))
    FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'history'
    WHERE n.nspname = '{RECORDS_SCHEMA}'
"""
OPT_OUT = "DB_OPS_RECORDS=0 keeps none"


class HistoryUnavailable(Exception):
    """Nothing can be recorded: a reason, and what would change it."""


def create_if_missing(connection: Connection) -> None:
    """Create schema and table if they do not exist. Raises `HistoryUnavailable` if that fails.

    Another service that shares the database, with a migration lock of its own, may be quicker.
    """
    try:
        if not _is_ready(connection):
            _create(connection)
    except (UniqueViolation, DuplicateSchema, DuplicateTable):
        if not _is_ready(connection):
            raise
    except InsufficientPrivilege:
        role = acting_role(connection)
        raise HistoryUnavailable(
            f"role {role} may not create schema {RECORDS_SCHEMA}",
            "as the database's owner: "
            f"CREATE SCHEMA {RECORDS_SCHEMA} AUTHORIZATION {quote_ident(role)}",
        ) from None


def records_key(version_table: str, version_schema: str | None) -> str:
    """Return what the rows of one service are told apart by."""
    return f"{version_schema}.{version_table}" if version_schema else version_table


def _is_ready(connection: Connection) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_STATE)
        state = cursor.fetchone()
    if state is None:
        return False
    owner, ours, occupied, mark, may_insert, role, is_whole = state
    if mark == MARK:
        if not may_insert:
            grant = f"GRANT INSERT, UPDATE ON {TABLE} TO {quote_ident(role)}"
            raise HistoryUnavailable(
                f"role {role} may not write to {TABLE}", f"as {owner}: {grant}"
            )
        if not is_whole:
            if not ours:
                raise HistoryUnavailable(f"{TABLE} lacks a column", f"as {owner}: {_ADD_COLUMNS}")
            with connection.cursor() as cursor:
                cursor.execute(_ADD_COLUMNS)
        return True
    if mark is None and not occupied and ours:
        with connection.cursor() as cursor:
            cursor.execute(_CREATE_TABLE)
        return True
    raise HistoryUnavailable(
        f"schema {RECORDS_SCHEMA} is there already, made by {owner} for something else",
        OPT_OUT,
    )


def _create(connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            cursor.execute(_CREATE_SCHEMA + _CREATE_TABLE + _IS_IN_SEARCH_PATH)
            row = cursor.fetchone()
            if row and row[0]:
                # Tables without a schema in their name would be created among our records.
                raise HistoryUnavailable(
                    f"schema {RECORDS_SCHEMA} would be in the search path of this role",
                    OPT_OUT,
                )
        except BaseException:
            if not connection.closed:
                cursor.execute("ROLLBACK")
            raise
        cursor.execute("COMMIT")
