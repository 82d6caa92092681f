"""Find and drop databases from the maintenance database."""

from __future__ import annotations

import psycopg2
from psycopg2 import errorcodes
from psycopg2.errors import InsufficientPrivilege as NotAllowed
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import quote_ident as quoted

from db_ops.errors import DatabaseInUse, InsufficientPrivilege, ServerError
from db_ops.errors.quote_ident import quote_ident
from db_ops.postgres.connection.error_text import first_line
from db_ops.postgres.connection.role import acting_role
from db_ops.postgres.connection.server import EXISTS, Server

# Not every role may ask for the identifier; the time of its start is as good among running ones.
_IDENTITIES = (
    "SELECT 'cluster ' || system_identifier FROM pg_control_system()",
    "SELECT 'started ' || pg_postmaster_start_time() || ' ' || current_setting('port')",
)
_ACTIVE_SLOTS = "SELECT slot_name FROM pg_replication_slots WHERE database = %s AND active"
_SUBSCRIPTIONS = """
    SELECT subname FROM pg_subscription JOIN pg_database d ON d.oid = subdbid WHERE datname = %s
"""
# Sessions that this role may not end.
_NOT_OURS = """
    SELECT usename FROM pg_stat_activity
    WHERE datname = %s AND pid <> pg_backend_pid() AND usesysid IS NOT NULL
      AND NOT pg_has_role('pg_signal_backend', 'USAGE') AND NOT pg_has_role(usesysid, 'USAGE')
"""


def database_exists(connection: Connection, name: str) -> bool:
    """Ask the server whether it has a database of this exact name that can be used."""
    with connection.cursor() as cursor:
        cursor.execute(EXISTS, (name,))
        return cursor.fetchone() is not None


def may_create_databases(connection: Connection) -> bool:
    """Tell whether the connection's role has CREATEDB, or is a superuser.

    Where it acts as another one, either of them will do.
    """
    query = (
        "SELECT bool_or(rolcreatedb OR rolsuper) FROM pg_roles"
        " WHERE rolname IN (current_user, session_user)"
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
    return bool(row and row[0])


def database_oid(connection: Connection, name: str) -> int | None:
    """Return what tells the database *name* from one that takes its name later; None without it."""
    found = _column(connection, "SELECT oid FROM pg_database WHERE datname = %s", name)
    return int(found[0]) if found else None


def database_size(connection: Connection, name: str) -> int:
    """Return how many bytes the database *name* has."""
    found = _column(connection, "SELECT pg_database_size(%s::name)", name)
    return int(found[0])


def all_comments(connection: Connection) -> tuple[tuple[str, str], ...]:
    """Return the databases of the server that can be used, each with its comment."""
    query = (
        "SELECT datname, coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database"
        " WHERE datconnlimit <> -2 ORDER BY datname"
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        return tuple((str(name), str(comment)) for name, comment in cursor.fetchall())


def may_copy_database(connection: Connection, name: str) -> bool:
    """Tell whether the connection's role may copy the database *name*: as its owner, or any."""
    query = (
        "SELECT datistemplate OR pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, (name,))
        row = cursor.fetchone()
    return bool(row and row[0])


def drop_database(server: Server, connection: Connection) -> bool:
    """Drop the target from a maintenance *connection*, whoever is connected to it.

    Returns False if it did not exist. Raises `DatabaseInUse`, `InsufficientPrivilege`, or
    `StatementFailed`.
    """
    name = quoted(server.url.database, connection)
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    except psycopg2.Error as error:
        if error.pgcode == errorcodes.INVALID_CATALOG_NAME:
            return False
        raise drop_error(server, connection, error) from None
    return True


def database_in_use(server: Server, connection: Connection) -> DatabaseInUse | None:
    """Return what keeps the target from being dropped, or None if ending sessions is enough."""
    name = server.url.database
    prepared = _column(connection, "SELECT gid FROM pg_prepared_xacts WHERE database = %s", name)
    if prepared:
        return DatabaseInUse(
            server.location,
            f"prepared transactions are open: {', '.join(prepared)}",
            f"inside {quote_ident(name)}: COMMIT PREPARED or ROLLBACK PREPARED each of them",
        )
    slots = _column(connection, _ACTIVE_SLOTS, name)
    if slots:
        return DatabaseInUse(
            server.location,
            f"replication slots are active: {', '.join(slots)}",
            "stop their subscribers, then: SELECT pg_drop_replication_slot(NAME)",
        )
    subscriptions = _column(connection, _SUBSCRIPTIONS, name)
    if subscriptions:
        return DatabaseInUse(
            server.location,
            f"it has subscriptions: {', '.join(subscriptions)}",
            f"inside {quote_ident(name)}: DROP SUBSCRIPTION {quote_ident(subscriptions[0])}",
        )
    return None


def drop_error(server: Server, connection: Connection, error: psycopg2.Error) -> ServerError:
    """Return the typed error for what the server said of dropping or renaming the target."""
    name = server.url.database
    foreign = error.pgcode == errorcodes.OBJECT_IN_USE and _column(connection, _NOT_OURS, name)
    if error.pgcode == errorcodes.OBJECT_IN_USE and not foreign:
        return database_in_use(server, connection) or DatabaseInUse(
            server.location,
            first_line(error),
            "end what uses it (see pg_stat_activity), then run this again",
        )
    if error.pgcode == errorcodes.INSUFFICIENT_PRIVILEGE or foreign:
        role = acting_role(connection)
        owner = _column(
            connection,
            "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s"
            " AND NOT pg_has_role(datdba, 'USAGE')",
            name,
        )
        if owner:
            return InsufficientPrivilege(
                server.location,
                role,
                f"drop a database owned by {owner[0]!r}",
                f"as a superuser: ALTER DATABASE {quote_ident(name)} OWNER TO {quote_ident(role)}",
            )
        return InsufficientPrivilege(
            server.location,
            role,
            "end the sessions that other roles have in it",
            f"close them, or as a superuser: GRANT pg_signal_backend TO {quote_ident(role)}",
        )
    return server.failure("DROP DATABASE", error)


def _column(connection: Connection, query: str, *arguments: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(query, arguments)
        return [str(row[0]) for row in cursor.fetchall()]


def identities_of(connection: Connection) -> frozenset[str]:
    """Return what tells the server of *connection* from others; a copy of it shares a part."""
    found: list[str] = []
    for query in _IDENTITIES:
        try:
            with connection.cursor() as cursor:
                cursor.execute(query)
                found += [str(row[0]) for row in cursor.fetchall()]
        except NotAllowed:
            continue
    return frozenset(found)
