"""The session that holds the migration lock, seen from the one that migrates.

They may be two connections. Where several servers are behind a URL (several hosts, a proxy), the
primary may change between the two, and a lock on the old one keeps nobody from the new one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2.extensions import connection as Connection

_PID = "SELECT pg_backend_pid()"
_HOLDS = """
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
      AND pid = %s AND classid = %s AND objid = %s
"""


@contextmanager
def keep_lock_session(sessions: list[Connection], locked: Connection) -> Iterator[None]:
    """Keep *locked* among *sessions* for a `with` block."""
    sessions.append(locked)
    try:
        yield
    finally:
        sessions.remove(locked)


def check_lock_session(locked: Connection, migrating: Connection, key: int) -> None:
    """Raise psycopg2's error of a lost connection if *locked* has not lock *key* where we migrate.

    That is if the server of *migrating* does not show it to hold the lock.
    """
    unsigned = key % 2**64
    with locked.cursor() as cursor:
        cursor.execute(_PID)
        (pid,) = cursor.fetchone() or (0,)
    with migrating.cursor() as cursor:
        cursor.execute(_HOLDS, (pid, unsigned >> 32, unsigned % 2**32))
        if cursor.fetchone() is None:
            raise psycopg2.OperationalError(
                "the migration lock is on another server: the primary has changed meanwhile"
            )
