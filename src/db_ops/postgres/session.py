"""Sessions that write: what must hold before the first write, and what frees a dead one's locks."""

from __future__ import annotations

import secrets
import threading
from contextlib import ExitStack, closing, suppress

import psycopg2
from psycopg2.extensions import connection as Connection

from db_ops.errors import ReadOnlyServer, TransactionPooler
from db_ops.postgres.server import Server

_STATE = """
    SELECT pg_backend_pid(), pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'
"""
# A killed client's statement would go on, with its locks, until the server has something to send.
# Sources: PostgreSQL documentation, "client_connection_check_interval", "tcp_keepalives_idle".
_NOTICE_DEAD_CLIENTS = (
    "SET client_connection_check_interval = '1s'",
    "SET tcp_keepalives_idle = 10",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
)
_HELD_BY_PROBE = 3


def prepare_to_write(server: Server, connection: Connection) -> None:
    """Check that *connection* can carry migrations, and let the server notice when we die.

    Nothing is written. Raises `ReadOnlyServer` or `TransactionPooler`.
    """
    with connection.cursor() as cursor:
        cursor.execute(_STATE)
        pid, in_recovery, read_only = cursor.fetchone() or (0, False, False)
    # A pooler hands out identifiers of its own, and only then the dearer question is asked.
    if pid != connection.info.backend_pid and _shares_sessions(server, connection):
        raise TransactionPooler(server.location)
    if in_recovery:
        raise ReadOnlyServer(
            server.location,
            "it is a standby",
            "set DATABASE_URL to the primary, or name all hosts in it and append "
            "target_session_attrs=read-write",
        )
    if read_only:
        raise ReadOnlyServer(
            server.location,
            "its sessions are read-only",
            "find who set it: SELECT * FROM pg_db_role_setting, or SHOW "
            "default_transaction_read_only",
        )
    notice_dead_clients(connection)


def notice_dead_clients(connection: Connection) -> None:
    """Let the server end this session's statement within seconds after its client has died."""
    for statement in _NOTICE_DEAD_CLIENTS:
        # Not before PostgreSQL 14, and not on every system of the server.
        with suppress(psycopg2.Error), connection.cursor() as cursor:
            cursor.execute(statement)


def _shares_sessions(server: Server, connection: Connection) -> bool:
    """Tell whether others get the server's session of *connection* between its transactions.

    A value is left in the session; then other connections, each inside a transaction and so with a
    session of its own, look for it.
    """
    token = secrets.token_hex(8)
    _set_probe(connection, token)
    with ExitStack() as others:
        for _ in range(_HELD_BY_PROBE):
            other = others.enter_context(closing(server.connect(connection.info.dbname)))
            other.autocommit = False
            # A pool in session mode may have no session left, and would make us wait for one.
            timer = threading.Timer(server.settings.connect_timeout, other.cancel)
            timer.start()
            try:
                if _probe(other) == token:
                    _set_probe(other, "")
                    return True
            except psycopg2.Error:
                break
            finally:
                timer.cancel()
        return _probe(connection) != token


def _probe(connection: Connection) -> str | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('db_ops.probe', true)")
        row = cursor.fetchone()
    return str(row[0]) if row else None


def _set_probe(connection: Connection, token: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('db_ops.probe', %s, false)", (token,))
