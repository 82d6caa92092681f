"""Create a database, and report what prevents it: mostly a template that is in use.

Source: PostgreSQL documentation, "Template Databases", and "ALTER DATABASE", "Collation Versions".
"""

from __future__ import annotations

import psycopg2
from psycopg2 import errorcodes, sql
from psycopg2.extensions import connection as Connection

from db_ops.errors import (
    CollationMismatch,
    InsufficientPrivilege,
    ServerError,
    StatementFailed,
    TemplateInUse,
)
from db_ops.postgres.connection.error_text import first_line
from db_ops.postgres.connection.role import acting_role, acting_with_createdb
from db_ops.postgres.connection.server import Server
from db_ops.postgres.databases import drop_database, may_create_databases
from db_ops.postgres.locks.blockers import describe_sessions

TEMPLATE1 = "template1"
_INVALID = "SELECT 1 FROM pg_database WHERE datname = %s AND datconnlimit = -2"
_PREPARED = "SELECT gid FROM pg_prepared_xacts WHERE database = %s"
_VERSIONS = """
    SELECT datcollversion, coalesce(pg_database_collation_actual_version(oid), 'none')
    FROM pg_database
    WHERE datname = %s AND datcollversion IS DISTINCT FROM pg_database_collation_actual_version(oid)
      AND datcollversion IS NOT NULL
"""
_COLLATION_VERSIONS_SINCE = 150000


def create_database(server: Server, connection: Connection) -> bool:
    """Create the target from a maintenance *connection*; False if it exists by now.

    What a DROP that was cut short has left of it is dropped first. Raises what `creation_error`
    returns.
    """
    statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(server.url.database))
    with connection.cursor() as cursor:
        cursor.execute(_INVALID, (server.url.database,))
        invalid = cursor.fetchone() is not None
    if invalid:
        drop_database(server, connection)
    try:
        with connection.cursor() as cursor, acting_with_createdb(cursor) as owner:
            cursor.execute(statement + owner)
    except psycopg2.Error as error:
        # Of two creators, the loser meets the unique index more often than the polite message.
        if error.pgcode in (errorcodes.DUPLICATE_DATABASE, errorcodes.UNIQUE_VIOLATION):
            return False
        raise creation_error(server, connection, error) from None
    return True


def creation_error(
    server: Server, connection: Connection, error: psycopg2.Error, template: str | None = None
) -> ServerError:
    """Return the typed error for what CREATE DATABASE said of a copy of *template* (template1)."""
    template = template or TEMPLATE1
    if error.pgcode == errorcodes.INSUFFICIENT_PRIVILEGE:
        if not may_create_databases(connection):
            return InsufficientPrivilege.to_create(server.location, connection.info.user)
        quoted = sql.Identifier(template).as_string(connection)
        return InsufficientPrivilege(
            server.location,
            acting_role(connection),
            f"copy the database {template!r}",
            f"as a superuser: ALTER DATABASE {quoted} IS_TEMPLATE true",
        )
    if error.pgcode == errorcodes.OBJECT_IN_USE:
        return _in_use(server, connection, error, template)
    found = collation_mismatch(server, connection, template)
    # The server has no SQLSTATE of its own for it.
    if found and error.pgcode == errorcodes.INTERNAL_ERROR:
        return found
    return server.failure("CREATE DATABASE", error)


def creation_obstacles(server: Server, connection: Connection) -> tuple[ServerError, ...]:
    """Return what would keep a new database from being created from template1 at this moment."""
    found = (
        _used_by_sessions(server, connection, TEMPLATE1),
        collation_mismatch(server, connection, TEMPLATE1),
    )
    return tuple(filter(None, found))


def collation_mismatch(
    server: Server, connection: Connection, database: str
) -> CollationMismatch | None:
    """Return the error for a *database* that was made with another version of its collation."""
    if connection.info.server_version < _COLLATION_VERSIONS_SINCE:
        return None
    with connection.cursor() as cursor:
        cursor.execute(_VERSIONS, (database,))
        row = cursor.fetchone()
    if row is None:
        return None
    recorded, actual = map(str, row)
    name = sql.Identifier(database).as_string(connection)
    remedy = (
        f"as its owner, connected to {database}: REINDEX DATABASE {name}; "
        f"ALTER DATABASE {name} REFRESH COLLATION VERSION"
    )
    return CollationMismatch(server.location, database, recorded, actual, remedy)


def _in_use(
    server: Server, connection: Connection, error: psycopg2.Error, template: str
) -> ServerError:
    with connection.cursor() as cursor:
        cursor.execute(_PREPARED, (template,))
        prepared = [str(gid) for (gid,) in cursor.fetchall()]
    if prepared:
        remedy = (
            f"connected to {template}, COMMIT PREPARED or ROLLBACK PREPARED what pg_prepared_xacts"
            f" lists ({', '.join(prepared)}), then run this again"
        )
        reason, code = first_line(error), errorcodes.OBJECT_IN_USE
        return StatementFailed(server.location, "CREATE DATABASE", reason, code, remedy)
    in_use = _used_by_sessions(server, connection, template)
    gone = "sessions that have ended since"
    return in_use or TemplateInUse(server.location, template, gone, _end_sessions(template))


def _used_by_sessions(
    server: Server, connection: Connection, database: str
) -> TemplateInUse | None:
    holders = describe_sessions(connection, database)
    if holders is None:
        return None
    return TemplateInUse(server.location, database, holders, _end_sessions(database))


def _end_sessions(database: str) -> str:
    name = database.replace("'", "''")
    return f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
