"""Template databases: a migrated database that is copied instead of being migrated again.

A template carries in its comment what it was built from. Nobody can connect to it, so that nobody
changes it or keeps it from being copied. Source: PostgreSQL documentation, "Template Databases".
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import Any

from psycopg2.errors import (
    DuplicateDatabase,
    InsufficientPrivilege,
    ObjectInUse,
    UniqueViolation,
)
from psycopg2.extensions import connection as Connection

from db_ops.postgres.databases import drop_database
from db_ops.postgres.lock import lock_key, release_advisory_lock, try_advisory_lock
from db_ops.postgres.mark import marked
from db_ops.postgres.own_databases import (
    OLD,
    SPARE,
    TEMPLATE,
    OwnDatabase,
    allow_connections,
    comment,
    describe,
    drop,
    drop_unused,
    own_databases,
    own_name,
    rename,
    scratch_database,
    transaction,
)
from db_ops.postgres.server import Server

# What a new database of this server, made and migrated by this role, would be like.
_CHARACTER = """
    SELECT concat_ws(chr(10), current_setting('server_version_num')::int / 10000, current_user,
        (SELECT to_jsonb(t) - '{oid,datfrozenxid,datminmxid,datlastsysoid,datacl}'::text[]
         FROM pg_database t WHERE datname = 'template1'),
        (SELECT string_agg(name || default_version, ' ' ORDER BY name)
         FROM pg_available_extensions),
        current_setting('search_path'), current_setting('TimeZone'),
        current_setting('default_tablespace'), current_setting('default_table_access_method'))
"""
_HAS_STATE_OF_ITS_OWN = """
    SELECT datacl IS NOT NULL
           OR EXISTS (SELECT FROM pg_db_role_setting WHERE setdatabase = pg_database.oid)
    FROM pg_database WHERE datname = %s
"""
# DROP DATABASE looks for these before it ends any session.
_KEEPS_FROM_LEAVING = """
    SELECT FROM pg_prepared_xacts WHERE database = %(name)s
    UNION ALL SELECT FROM pg_replication_slots WHERE database = %(name)s AND active
"""
# The server itself ends autovacuum where it is in the way.
_END_SESSIONS = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = %s AND backend_type <> 'autovacuum worker'
"""
_KEPT, _KEPT_IN_ALL = 4, 16
_PATIENCE, _PAUSE = 5.0, 0.002
_SECOND_LOOK = 0.05


def character(connection: Connection) -> str:
    """Describe what, besides migrations, decides what a new database on this server is like."""
    with connection.cursor() as cursor:
        cursor.execute(_CHARACTER)
        row = cursor.fetchone()
    return str(row[0]) if row else ""


def templates_built_from(connection: Connection, inputs: str) -> tuple[OwnDatabase, ...]:
    """Return the templates whose known inputs had the digest *inputs*."""
    return tuple(
        database
        for database in own_databases(connection)
        if database.kind == TEMPLATE and database.facts.get("inputs") == inputs
    )


def has_state_of_its_own(connection: Connection, name: str) -> bool:
    """Tell whether a database has settings or grants, which a copy of it would lack."""
    with connection.cursor() as cursor:
        cursor.execute(_HAS_STATE_OF_ITS_OWN, (name,))
        row = cursor.fetchone()
    return bool(row and row[0])


def keep_as_template(
    connection: Connection, scratch: str, name: str, facts: Mapping[str, Any]
) -> None:
    """Close the database *scratch* to everybody and make it the template *name*."""
    _wait_until_unused(connection, scratch)
    with transaction(connection) as cursor:
        allow_connections(cursor, scratch, False)
        describe(cursor, scratch, facts)
        rename(cursor, scratch, name)


def prune(connection: Connection, service: str) -> None:
    """Drop all but the newest templates, of *service* and of all services, that nobody uses."""
    newest = sorted(
        (one for one in own_databases(connection) if one.kind == TEMPLATE),
        key=lambda one: float(one.facts.get("built", 0)),
        reverse=True,
    )
    of_service = [one for one in newest if one.facts.get("service") == service]
    for name in {one.name for one in (*newest[_KEPT_IN_ALL:], *of_service[_KEPT:])}:
        drop_unused(connection, name)


@contextmanager
def holding_spare(connection: Connection, service: str) -> Iterator[bool]:
    """Keep others from making or taking the spare of *service*; False if another does so now."""
    key = lock_key(_spare_name(service))
    held = try_advisory_lock(connection, key)
    try:
        yield held
    finally:
        if held and not connection.closed:
            release_advisory_lock(connection, key)


def spare_of(connection: Connection, service: str, template: str) -> str | None:
    """Return the name of the spare of *service*, if it has one and that is a copy of *template*."""
    for database in own_databases(connection):
        if database.name == _spare_name(service) and database.facts.get("template") == template:
            return database.name
    return None


def make_spare(server: Server, connection: Connection, service: str, template: str) -> None:
    """Make the spare of *service* from *template*, instead of one that it may have.

    It has its name only when it is whole, and nobody can connect to it before it is used.
    """
    name = _spare_name(service)
    drop(connection, name)
    with (
        scratch_database(server, connection, template=template) as scratch,
        transaction(connection) as cursor,
    ):
        allow_connections(cursor, scratch, False)
        describe(cursor, scratch, {"service": service, "template": template})
        rename(cursor, scratch, name)


def _spare_name(service: str) -> str:
    return own_name(SPARE, service)


def put_in_place(server: Server, connection: Connection, newcomer: str) -> str | None:
    """Give the target's name and mark to the database *newcomer*, all or nothing.

    Who is connected to the present target is disconnected. Returns the name that it has now, None
    if there was none. *newcomer* is closed or has no sessions. Raises what `drop_database` does.
    """
    old = own_name(OLD)
    if not _is_held(connection, server.url.database):
        with suppress(ObjectInUse, InsufficientPrivilege), nobody_in(server, connection):
            return old if _exchange(server, connection, newcomer, old) else None
    # What cannot be renamed may still be dropped; if not, this says why.
    drop_database(server, connection)
    put_in_free_place(server, connection, newcomer)
    return None


def put_in_free_place(server: Server, connection: Connection, newcomer: str) -> bool:
    """Give the target's name and mark to the database *newcomer*; False if the name is taken."""
    with suppress(DuplicateDatabase, UniqueViolation):
        _exchange(server, connection, newcomer, None)
        return True
    return False


def _exchange(server: Server, connection: Connection, newcomer: str, old: str | None) -> bool:
    """Rename *newcomer* to the target, a present target to *old*; tell whether there was one."""
    target = server.url.database
    _wait_until_unused(connection, newcomer)
    with transaction(connection) as cursor:
        cursor.execute("SELECT FROM pg_database WHERE datname = %s", (target,))
        occupied = cursor.fetchone() is not None
        if occupied and old is not None:
            rename(cursor, target, old)
        comment(cursor, newcomer, marked("", server.settings.environment))
        allow_connections(cursor, newcomer, True)
        rename(cursor, newcomer, target)
    return occupied


def _is_held(connection: Connection, database: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_KEEPS_FROM_LEAVING, {"name": database})
        return cursor.fetchone() is not None


@contextmanager
def nobody_in(server: Server, connection: Connection) -> Iterator[None]:
    """Disconnect everybody from the target, and who comes back during a `with` block.

    ALTER DATABASE keeps new sessions waiting, but waits itself for those that were quicker.
    """
    stop = threading.Event()
    database, maintenance = server.url.database, connection.info.dbname
    once = server.without_waiting()

    def watch() -> None:
        if stop.wait(_SECOND_LOOK):
            return
        with (
            suppress(Exception),
            closing(once.connect(maintenance)) as watching,
        ):
            while not stop.is_set():
                _end_sessions(watching, database)
                stop.wait(_SECOND_LOOK)

    _wait_until_unused(connection, database)
    thread = threading.Thread(target=watch, name="db_ops-sessions", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _wait_until_unused(connection: Connection, database: str) -> None:
    """End the sessions of a database and wait for the last: even a closed one takes a moment.

    The server would look only ten times a second. A pooler keeps its sessions open for others, so
    those of a database that is ours have to be ended too.
    """
    deadline = time.monotonic() + _PATIENCE
    while _end_sessions(connection, database) and time.monotonic() < deadline:
        time.sleep(_PAUSE)


def _end_sessions(connection: Connection, database: str) -> int:
    """End the sessions of a database; return how many there still were."""
    with connection.cursor() as cursor:
        cursor.execute(_END_SESSIONS, (database,))
        row = cursor.fetchone()
    return int(row[0]) if row else 0
