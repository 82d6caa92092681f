"""Prepare a session for writes: checks before the first write, and session settings."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import psycopg2
from psycopg2.extensions import connection as Connection

from db_ops.errors import BalancingPooler, ReadOnlyServer, StandbyServer, TransactionPooler
from db_ops.postgres.connection.server import Server
from db_ops.settings import keepalives

_STATE = """
    SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'
"""
_NAME_AND_PID = "SELECT current_database(), pg_backend_pid()"
_ALL = f"""
    {_NAME_AND_PID}, {_STATE.strip().removeprefix("SELECT")}, host(inet_server_addr()),
    coalesce(inet_server_port(), current_setting('port')::integer)
"""
# What Pgpool-II answers itself, and a server does not know.
_PGPOOL = "SHOW pool_status"
_NOT_FROM_PRIMARY = ("load_balance_mode", "memory_cache_enabled")
# A killed client's statement would go on, with its locks, until the server has something to send.
# Source: PostgreSQL documentation, "client_connection_check_interval".
# A healthy migrator is idle on its lock's session, may compute inside a transaction, and a copy of
# a database takes as long as it takes, whatever limits the role or the database has for services.
# With each, the first version that knows it.
_SETTINGS = (
    ("SET statement_timeout = 0", 0),
    ("SET transaction_timeout = 0", 17),
    ("SET idle_session_timeout = 0", 14),
    ("SET idle_in_transaction_session_timeout = 0", 0),
    ("SET client_connection_check_interval = '1s'", 14),
    *((statement, 0) for statement in keepalives.SETTINGS),
)
_RESET = "RESET SESSION AUTHORIZATION", "RESET ROLE", "RESET ALL"
_TURNS, _PAUSE = 20, 0.002


def prepare_to_write(server: Server, connection: Connection) -> str:
    """Check that *connection* can carry migrations, then `set_up_session`.

    Nothing is written. Returns the server's own name of the database, by whatever name a pooler
    knows it. Raises `ReadOnlyServer`, `TransactionPooler` or `BalancingPooler`.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ALL)
        name, pid, in_recovery, read_only, *place = cursor.fetchone() or ("", 0, False, False)
    _refuse_transaction_pooler(server, connection, pid)
    _refuse_balancing_pooler(server, connection, tuple(place))
    if in_recovery:
        raise StandbyServer(server.location, source=server.url.source)
    if read_only:
        raise ReadOnlyServer(
            server.location,
            "its sessions are read-only",
            "find who set it: SELECT * FROM pg_db_role_setting, or SHOW "
            "default_transaction_read_only",
        )
    set_up_session(server, connection)
    return str(name)


@contextmanager
def maintenance_session(server: Server) -> Iterator[Connection]:
    """Connect to the maintenance database, for a `with` block that writes.

    Raises what `prepare_to_write` raises.
    """
    with server.maintenance() as connection:
        prepare_to_write(server, connection)
        yield connection


def refuse_transaction_pooler(server: Server, connection: Connection) -> str:
    """Raise `TransactionPooler` if others get the server's session between our transactions.

    Asked before the first SET, which would stay behind in a session of the service's. Returns the
    server's own name of the database.
    """
    with connection.cursor() as cursor:
        cursor.execute(_NAME_AND_PID)
        name, pid = cursor.fetchone() or ("", 0)
    _refuse_transaction_pooler(server, connection, pid)
    return str(name)


def _refuse_transaction_pooler(server: Server, connection: Connection, pid: int) -> None:
    # A pooler hands out identifiers of its own; only then is the dearer question asked.
    if pid != connection.info.backend_pid and _shares_sessions(server, connection):
        raise TransactionPooler(server.location, server.url.source)


def _refuse_balancing_pooler(server: Server, connection: Connection, place: object) -> None:
    # A server does not like the question: it is asked where something stands in between.
    if place == _peer(connection):
        return
    with suppress(psycopg2.Error), connection.cursor() as cursor:
        cursor.execute(_PGPOOL)
        settings = {row[0]: row[1] for row in cursor.fetchall()}
        for name in _NOT_FROM_PRIMARY:
            if settings.get(name, "0") not in ("0", "off"):
                raise BalancingPooler(server.location, server.url.source, name)


def _peer(connection: Connection) -> tuple[str | None, int]:
    """Return the address and the port that *connection* is to; no address for a Unix socket."""
    with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
        name = duplicate.getpeername()
    return (name[0], name[1]) if isinstance(name, tuple) else (None, connection.info.port)


def read_only_reason(connection: Connection) -> str | None:
    """Return why the server accepts no writes from *connection*, None if it does."""
    with connection.cursor() as cursor:
        cursor.execute(_STATE)
        in_recovery, read_only = cursor.fetchone() or (False, False)
    if in_recovery:
        return "the server is a standby"
    return "the server's sessions are read-only" if read_only else None


@contextmanager
def lent(server: Server, connection: Connection) -> Iterator[Connection]:
    """Let revisions run on *connection* for a `with` block, and undo what they have set there."""
    try:
        yield connection
    finally:
        with suppress(psycopg2.Error):
            connection.rollback()
            connection.autocommit = True
            if connection.isolation_level or connection.readonly or connection.deferrable:
                connection.set_session("DEFAULT", "default", "default")
            set_up_session(server, connection, *_RESET, server.settings.set_role)


def set_up_session(server: Server, connection: Connection, *first: str | None) -> None:
    """Let the server end this session soon after its client has died, and not before.

    A statement of it waits for the locks of others as long as we wait for a migrator. The
    statements *first* are run before.
    """
    patience = max(1, round(server.settings.migration_lock_timeout))
    major = connection.info.server_version // 10000
    statements = [statement for statement in first if statement]
    statements += [statement for statement, since in _SETTINGS if major >= since]
    statements.append(f"SET lock_timeout = '{patience}s'")
    # In one round trip, unless one of them is not there on the system of the server.
    with suppress(psycopg2.Error), connection.cursor() as cursor:
        cursor.execute("; ".join(statements))
        return
    for statement in statements:
        with suppress(psycopg2.Error), connection.cursor() as cursor:
            cursor.execute(statement)


def _shares_sessions(server: Server, connection: Connection) -> bool:
    """Tell whether *connection* has no session of its own between its transactions.

    Two connections that take turns meet in one session, or change theirs, at once.
    """
    with closing(server.connect(connection.info.dbname)) as other:
        # A pool in session mode may have no session left, and would make us wait for minutes.
        timer = threading.Timer(server.settings.connect_timeout, _hang_up, (other,))
        timer.start()
        try:
            seen = set()
            for _ in range(_TURNS):
                seen.add((_session(connection), _session(other)))
                time.sleep(_PAUSE)
        except psycopg2.Error:
            return False
        finally:
            timer.cancel()
            timer.join()
    return len(seen) > 1 or any(one == two for one, two in seen)


def _session(connection: Connection) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def _hang_up(connection: Connection) -> None:
    # A pooler takes no cancel for a client that still waits for its session.
    with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)
