"""Advisory locks: one migrator per database, one creator or dropper per database name.

The lock is polled with `pg_try_advisory_lock` on an autocommit connection. A blocking
`pg_advisory_lock`, or polling inside a transaction, would hold a snapshot that CREATE INDEX
CONCURRENTLY waits for, while its runner holds the lock: a deadlock. `lock_timeout` would cut a
blocking wait too. Source: PostgreSQL documentation, "Advisory Locks" and "Building Indexes
Concurrently".

An advisory lock belongs to the database that its session is connected to, and two processes may
come in through different ones. So whoever gets a lock looks for it in all databases, and gives it
back if somebody has it in another, which in its own nobody can: of two that take it at once, at
least the later one sees the other. Source: PostgreSQL documentation, "pg_locks", which shows all
databases to everybody.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import psycopg2
from psycopg2.extensions import connection as Connection

from db_ops.errors import MigrationLockHeld
from db_ops.postgres.backoff import sleep_about
from db_ops.postgres.locks.blockers import describe_lock_holder
from db_ops.results import OnEvent, WaitingForLock, ignore

if TYPE_CHECKING:
    from typing import TypedDict

    from db_ops.postgres.connection.server import Server

    class Waiting(TypedDict):
        """How to wait for a lock: for what, how many seconds, and whom to tell."""

        location: str
        timeout: float
        on_event: OnEvent


_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5
_REPORT_AFTER, _REPORT_EVERY = 0.5, 5.0
# The look comes after the lock, because it refers to it.
_TRY = """
    SELECT held, held AND EXISTS (
        SELECT FROM pg_locks
        WHERE held AND locktype = 'advisory' AND objsubid = 1 AND granted
          AND classid = %(high)s AND objid = %(low)s AND pid <> pg_backend_pid()
          AND mode = ANY (%(modes)s)
    )
    FROM (SELECT pg_try_advisory_lock{shared}(%(key)s) AS held OFFSET 0) AS taken
"""
_HELD = """
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
      AND classid = %s AND objid = %s AND pid <> pg_backend_pid()
"""
_EXCLUSIVE, _SHARED = "ExclusiveLock", "ShareLock"


def lock_key(*parts: str | None) -> int:
    """Return the advisory lock's key for what *parts* name: a signed 64-bit integer."""
    # Who finds nothing to do takes no lock.
    import hashlib

    digest = hashlib.sha256("\0".join(("db_ops", *(part or "" for part in parts))).encode())
    return int.from_bytes(digest.digest()[:8], "big", signed=True)


def lock_options(server: Server) -> Waiting:
    """How to wait for the lock of another process at *server*."""
    timeout = server.settings.migration_lock_timeout
    return {"location": server.location, "timeout": timeout, "on_event": server.on_event}


@contextmanager
def advisory_lock(
    connection: Connection, key: int, *, location: str, timeout: float, on_event: OnEvent = ignore
) -> Iterator[None]:
    """Hold the session-level advisory lock *key*, for a `with` block. See `take_advisory_lock`."""
    take_advisory_lock(connection, key, location=location, timeout=timeout, on_event=on_event)
    try:
        yield
    finally:
        release_if_alive(connection, key)


def wait_until_released(
    connection: Connection, key: int, *, location: str, timeout: float, on_event: OnEvent = ignore
) -> None:
    """Wait as `take_advisory_lock` does until no other session has the lock *key*."""
    unsigned = key % 2**64
    with connection.cursor() as cursor:
        # A look is cheaper than the lock, and mostly enough.
        cursor.execute(_HELD, (unsigned >> 32, unsigned % 2**32))
        if cursor.rowcount == 0:
            return
    with advisory_lock(connection, key, location=location, timeout=timeout, on_event=on_event):
        pass


def take_advisory_lock(
    connection: Connection,
    key: int,
    *,
    location: str,
    timeout: float,
    on_event: OnEvent = ignore,
    shared: bool = False,
) -> None:
    """Take the advisory lock *key* for as long as the session lives; *shared* keeps others from it.

    *connection* must be in autocommit mode and outside any transaction. Waits at most *timeout*
    seconds and reports for whom, then raises `MigrationLockHeld`.
    """
    started = time.monotonic()
    report_at, pause = started + _REPORT_AFTER, _FIRST_PAUSE
    while not try_advisory_lock(connection, key, shared=shared):
        now = time.monotonic()
        if now - started + pause > timeout:
            holder, remedy = describe_lock_holder(connection, key)
            raise MigrationLockHeld(location, holder, remedy, now - started)
        if now >= report_at:
            holder, remedy = describe_lock_holder(connection, key)
            on_event(WaitingForLock(location, holder, remedy, now - started))
            report_at = now + _REPORT_EVERY
        sleep_about(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def try_advisory_lock(connection: Connection, key: int, *, shared: bool = False) -> bool:
    """Take the advisory lock *key* if no other session of the server has it.

    This session may have it already. Several may have it *shared*.
    """
    unsigned = key % 2**64
    arguments = {
        "key": key,
        "high": unsigned >> 32,
        "low": unsigned % 2**32,
        "modes": [_EXCLUSIVE] if shared else [_EXCLUSIVE, _SHARED],
    }
    with connection.cursor() as cursor:
        cursor.execute(_TRY.format(shared="_shared" if shared else ""), arguments)
        held, elsewhere = cursor.fetchone() or (False, False)
    if held and elsewhere:
        release_advisory_lock(connection, key, shared=shared)
    return bool(held and not elsewhere)


def release_advisory_lock(connection: Connection, key: int, *, shared: bool = False) -> None:
    """Release the advisory lock *key*, which this session holds."""
    statement = f"SELECT pg_advisory_unlock{'_shared' if shared else ''}(%s)"
    with connection.cursor() as cursor:
        cursor.execute(statement, (key,))


def release_if_alive(connection: Connection, key: int) -> None:
    """Release *key* at the end of a block: with a session that has ended, its locks went too."""
    with suppress(psycopg2.Error):
        release_advisory_lock(connection, key)
