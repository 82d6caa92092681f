"""Who is in the way: holders of an advisory lock, blockers of a table lock, in words."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from psycopg2.extensions import connection as Connection

from db_ops.postgres.server import Server

# The holder's statement runs in another session of the same process, with the same name.
_HOLDER = """
    SELECT h.pid, h.application_name, extract(epoch FROM now() - h.backend_start),
           coalesce(w.query, CASE WHEN h.state = 'active' THEN h.query END),
           p.phase, 100 * p.blocks_done / nullif(p.blocks_total, 0)
    FROM pg_locks l
    JOIN pg_stat_activity h ON h.pid = l.pid
    LEFT JOIN pg_stat_activity w ON w.datname = h.datname AND w.state = 'active'
         AND w.application_name = h.application_name AND w.pid <> h.pid
    LEFT JOIN pg_stat_progress_create_index p ON p.pid = coalesce(w.pid, h.pid)
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.classid = %s AND l.objid = %s
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_BLOCKERS = """
    SELECT pid, application_name, state, extract(epoch FROM now() - xact_start), query
    FROM pg_stat_activity WHERE pid = ANY (pg_blocking_pids(%s))
"""
_LONGEST_QUERY = 80


def describe_lock_holder(connection: Connection, key: int) -> tuple[str, str]:
    """Say which session holds the advisory lock *key*, and the SQL that would free it."""
    unsigned = key % 2**64
    with connection.cursor() as cursor:
        cursor.execute(_HOLDER, (unsigned >> 32, unsigned % 2**32))
        row = cursor.fetchone()
    if row is None:
        return "another process", "SELECT * FROM pg_stat_activity"
    pid, application, seconds, query, phase, percent = row
    parts = [f"pid {pid}", f"for {seconds:.0f} s"]
    if query:
        parts.append(f"running: {_short(query)}")
    if phase:
        parts.append(phase + (f" {percent} %" if percent is not None else ""))
    return f"{_named(application)} ({', '.join(parts)})", _end_sessions(pid, application)


def _end_sessions(pid: int, application: str | None) -> str:
    """Return the SQL that ends the holder: all of its sessions, or its statement would go on."""
    if not application:
        return f"SELECT pg_terminate_backend({pid})"
    name = application.replace("'", "''")
    return (
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{name}'"
    )


def describe_blockers(connection: Connection, pid: int) -> str | None:
    """Say which sessions keep the session *pid* waiting for a lock, or None if none does."""
    with connection.cursor() as cursor:
        cursor.execute(_BLOCKERS, (pid,))
        rows = cursor.fetchall()
    said = [
        f"pid {blocker} ({_named(application)}, {state} for {seconds or 0:.0f} s: {_short(query)})"
        for blocker, application, state, seconds, query in rows
    ]
    return ", ".join(said) or None


class BlockerWatch:
    """What the watched session was last seen waiting for."""

    def __init__(self) -> None:
        self.last: str | None = None


@contextmanager
def watch_blockers(server: Server, connection: Connection) -> Iterator[BlockerWatch]:
    """Look who blocks *connection*, several times within each `lock_timeout`, for a `with` block.

    A blocked statement that times out no longer knows by whom, so somebody must look meanwhile.
    The connection for it is opened only when the first interval has passed.
    """
    interval = max(server.settings.lock_timeout / 5, 0.1)
    pid = connection.info.backend_pid
    watch, stop = BlockerWatch(), threading.Event()

    def look() -> None:
        if stop.wait(interval):
            return
        # Watching is a courtesy: it must not be what makes a migration fail.
        with suppress(Exception), closing(server.connect()) as looking:
            while not stop.is_set():
                watch.last = describe_blockers(looking, pid) or watch.last
                stop.wait(interval)

    thread = threading.Thread(target=look, name="db_ops-blockers", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        stop.set()
        thread.join(interval)


def _named(application: str | None) -> str:
    return application or "a session without a name"


def _short(query: str | None) -> str:
    text = " ".join((query or "").split())
    return text if len(text) <= _LONGEST_QUERY else text[: _LONGEST_QUERY - 3] + "..."
