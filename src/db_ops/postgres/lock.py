"""Advisory locks: one migrator per database, one creator or dropper per database name.

The lock lives on an autocommit connection of its own and is polled with `pg_try_advisory_lock`. A
blocking `pg_advisory_lock`, or polling inside a transaction, would hold a snapshot that CREATE
INDEX CONCURRENTLY waits for, while its runner holds the lock: a deadlock. `lock_timeout` would cut
a blocking wait too. Source: PostgreSQL documentation, "Advisory Locks" and "Building Indexes
Concurrently".
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg2.extensions import connection as Connection

from db_ops.errors import MigrationLockHeld
from db_ops.results import OnEvent, WaitingForLock, ignore

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5
_REPORT_EVERY = 5.0
_HOLDER = """
    SELECT a.pid, a.application_name, now() - a.backend_start
    FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.classid = %s AND l.objid = %s
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def lock_key(*parts: str | None) -> int:
    """Return the advisory lock's key for what *parts* name: a signed 64-bit integer."""
    digest = hashlib.sha256("\0".join(("db_ops", *(part or "" for part in parts))).encode())
    return int.from_bytes(digest.digest()[:8], "big", signed=True)


@contextmanager
def advisory_lock(
    connection: Connection, key: int, *, location: str, timeout: float, on_event: OnEvent = ignore
) -> Iterator[None]:
    """Hold the session-level advisory lock *key* of the connection's database.

    *connection* must be in autocommit mode and stay outside any transaction. Waits at most
    *timeout* seconds, then raises `MigrationLockHeld`. Anybody's lock ends with their session.
    """
    started = time.monotonic()
    reported, pause = started - _REPORT_EVERY, _FIRST_PAUSE
    while not _try(connection, key):
        now = time.monotonic()
        if now - started + pause > timeout:
            raise MigrationLockHeld(location, describe_holder(connection, key), now - started)
        if now - reported >= _REPORT_EVERY:
            holder = describe_holder(connection, key)
            on_event(WaitingForLock(location, holder, now - started))
            reported = now
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(pause * 1.5, _LONGEST_PAUSE)
    try:
        yield
    finally:
        if not connection.closed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", (key,))


def describe_holder(connection: Connection, key: int) -> str:
    """Say which session holds the lock *key*: process, application name and age."""
    unsigned = key % 2**64
    with connection.cursor() as cursor:
        cursor.execute(_HOLDER, (unsigned >> 32, unsigned % 2**32))
        row = cursor.fetchone()
    if row is None:
        return "another process"
    pid, application, age = row
    return f"{application or 'a session without a name'} (pid {pid}, for {age.seconds} s)"


def _try(connection: Connection, key: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (key,))
        row = cursor.fetchone()
    return bool(row and row[0])
