"""Describe the sessions that hold an advisory lock or block a table lock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from psycopg2.extensions import connection as Connection

from db_ops.postgres.connection.server import Server
from db_ops.results import StatementBlocked

# The holder may have come in through another database. Its statement runs in another session of the
# same process, with the same name. So does the look at its blockers, which is always the younger
# one. Of another role's sessions, the server shows no more than pid, name and role.
_HOLDER = """
    SELECT h.pid, h.application_name, h.usename, extract(epoch FROM now() - h.backend_start),
           coalesce(w.state, h.state), coalesce(w.query, h.query),
           p.phase, 100 * p.blocks_done / nullif(p.blocks_total, 0)
    FROM pg_locks l
    JOIN pg_stat_activity h ON h.pid = l.pid
    LEFT JOIN pg_stat_activity w ON w.state <> 'idle' AND w.pid <> h.pid
         AND w.application_name = h.application_name AND w.application_name <> ''
    LEFT JOIN pg_stat_progress_create_index p ON p.pid = coalesce(w.pid, h.pid)
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.classid = %s AND l.objid = %s AND l.pid <> pg_backend_pid()
    ORDER BY w.query_start LIMIT 1
"""
_BLOCKERS = """
    SELECT blocking.pid, usename,
           coalesce(nullif(application_name, ''), nullif(backend_type, 'client backend')),
           state, extract(epoch FROM now() - xact_start), query
    FROM unnest(pg_blocking_pids(%s)) AS blocking (pid) LEFT JOIN pg_stat_activity USING (pid)
"""
_SESSIONS = """
    SELECT pid, usename,
           coalesce(nullif(application_name, ''), nullif(backend_type, 'client backend')),
           state, extract(epoch FROM now() - coalesce(state_change, backend_start)), query
    FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid() ORDER BY pid
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
    pid, application, role, seconds, state, query, phase, percent = row
    parts = [f"pid {pid}", _since(role, seconds)]
    if state == "active":
        parts.append(f"running: {_short(query)}")
    elif state and state != "idle":
        parts.append(f"{state} after: {_short(query)}")
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
    return ", ".join(_blocker(*row) for row in rows) or None


def describe_sessions(connection: Connection, database: str) -> str | None:
    """Say which other sessions are connected to *database*, or None if none is."""
    with connection.cursor() as cursor:
        cursor.execute(_SESSIONS, (database,))
        rows = cursor.fetchall()
    return ", ".join(_blocker(*row) for row in rows) or None


def _blocker(
    pid: int,
    role: str | None,
    application: str | None,
    state: str | None,
    seconds: float | None,
    query: str | None,
) -> str:
    if pid == 0:
        return "a prepared transaction (SELECT * FROM pg_prepared_xacts)"
    doing = f"{state} {_since(role, seconds)}: {_short(query)}" if state else _since(role, seconds)
    return f"pid {pid} ({_named(application)}, {doing})"


class BlockerWatch:
    """The blockers that were last seen."""

    def __init__(self) -> None:
        self.last: str | None = None


@contextmanager
def watch_blockers(server: Server, connection: Connection) -> Iterator[BlockerWatch]:
    """Poll the blockers of *connection* several times per `lock_timeout`, for a `with` block.

    After a statement has timed out, the server no longer tells which session blocked it.
    The connection for it is opened only when the first interval has passed.
    """
    interval = max(server.settings.lock_timeout / 5, 0.1)
    pid = connection.info.backend_pid
    watch, stop = BlockerWatch(), threading.Event()

    def poll() -> None:
        if stop.wait(interval):
            return
        # An error here must not make a migration fail.
        with suppress(Exception), closing(server.without_waiting().connect()) as looking:
            while not stop.is_set():
                blockers = describe_blockers(looking, pid)
                if blockers:
                    watch.last = blockers
                    server.on_event(StatementBlocked(server.location, blockers))
                stop.wait(interval)

    thread = threading.Thread(target=poll, name="db_ops-blockers", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        stop.set()
        # Without a bound: it must not be inside libpq when the interpreter ends.
        thread.join()


def _since(role: str | None, seconds: float | None) -> str:
    if seconds is None:
        return f"of role {role}, which shows no more to this one"
    return f"for {seconds:.0f} s"


def _named(application: str | None) -> str:
    return application or "a session without a name"


def _short(query: str | None) -> str:
    text = " ".join((query or "").split())
    return text if len(text) <= _LONGEST_QUERY else text[: _LONGEST_QUERY - 3] + "..."
