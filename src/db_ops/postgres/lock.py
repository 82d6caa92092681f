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
from contextlib import contextmanager, suppress
from typing import TypedDict

from psycopg2 import InterfaceError, OperationalError
from psycopg2.extensions import connection as Connection

from db_ops.errors import MigrationLockHeld
from db_ops.postgres.activity import describe_lock_holder
from db_ops.results import OnEvent, WaitingForLock, ignore

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5
_REPORT_AFTER, _REPORT_EVERY = 0.5, 5.0


class Waiting(TypedDict):
    """How to wait for a lock: for what, how many seconds, and whom to tell."""

    location: str
    timeout: float
    on_event: OnEvent


def lock_key(*parts: str | None) -> int:
    """Return the advisory lock's key for what *parts* name: a signed 64-bit integer."""
    digest = hashlib.sha256("\0".join(("db_ops", *(part or "" for part in parts))).encode())
    return int.from_bytes(digest.digest()[:8], "big", signed=True)


@contextmanager
def advisory_lock(
    connection: Connection, key: int, *, location: str, timeout: float, on_event: OnEvent = ignore
) -> Iterator[None]:
    """Hold the session-level advisory lock *key* of the connection's database, for a `with` block.

    See `take_advisory_lock`.
    """
    take_advisory_lock(connection, key, location=location, timeout=timeout, on_event=on_event)
    try:
        yield
    finally:
        # With a session that has ended, by whomever, its locks went too.
        with suppress(InterfaceError, OperationalError):
            release_advisory_lock(connection, key)


def take_advisory_lock(
    connection: Connection, key: int, *, location: str, timeout: float, on_event: OnEvent = ignore
) -> None:
    """Take the advisory lock *key* for as long as the session lives.

    *connection* must be in autocommit mode and outside any transaction. Waits at most *timeout*
    seconds and reports for whom, then raises `MigrationLockHeld`.
    """
    started = time.monotonic()
    report_at, pause = started + _REPORT_AFTER, _FIRST_PAUSE
    while not try_advisory_lock(connection, key):
        now = time.monotonic()
        if now - started + pause > timeout:
            holder, remedy = describe_lock_holder(connection, key)
            raise MigrationLockHeld(location, holder, remedy, now - started)
        if now >= report_at:
            holder, remedy = describe_lock_holder(connection, key)
            on_event(WaitingForLock(location, holder, remedy, now - started))
            report_at = now + _REPORT_EVERY
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def try_advisory_lock(connection: Connection, key: int) -> bool:
    """Take the advisory lock *key* if no other session has it; this session may have it already."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (key,))
        row = cursor.fetchone()
    return bool(row and row[0])


def share_advisory_lock(connection: Connection, key: int) -> None:
    """Keep *key* from being taken exclusively for as long as the session lives; others may share.

    Waits for the session that has it exclusively.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock_shared(%s)", (key,))


def release_advisory_lock(connection: Connection, key: int) -> None:
    """Release the advisory lock *key*, which this session holds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s)", (key,))
