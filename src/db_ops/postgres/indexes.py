"""Indexes that a failed or killed CREATE INDEX CONCURRENTLY has left behind, INVALID.

They cost every write and serve no read, and `IF NOT EXISTS` keeps them. Source: PostgreSQL
documentation, "Building Indexes Concurrently".
"""

from __future__ import annotations

from psycopg2.errors import LockNotAvailable
from psycopg2.extensions import connection as Connection

from db_ops.errors import IndexInUse
from db_ops.postgres.activity import watch_blockers
from db_ops.postgres.server import Server


def invalid_indexes(connection: Connection) -> list[tuple[str, str]]:
    """Return the bare and the full name of each index that a failed concurrent build has left.

    One that is being built right now is invalid too, and not returned.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, i.indexrelid::regclass::text FROM pg_index i"
            " JOIN pg_class c ON c.oid = i.indexrelid"
            " WHERE NOT i.indisvalid AND c.relkind = 'i' AND i.indexrelid NOT IN"
            " (SELECT index_relid FROM pg_stat_progress_create_index)"
        )
        return [(str(name), str(full)) for name, full in cursor.fetchall()]


def drop_left_index(server: Server, connection: Connection, full_name: str) -> None:
    """Drop an index if it is there, waiting for its users instead of stopping them.

    *full_name* is quoted as `regclass` prints it; *connection* must be in autocommit mode. Waits
    for `lock_timeout` at most, then raises `IndexInUse`, naming who is in the way.
    """
    timeout = server.settings.lock_timeout
    with watch_blockers(server, connection) as watch:
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"SET lock_timeout = {round(timeout * 1000)}")
                cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {full_name}")
        except LockNotAvailable:
            blockers = watch.last or "another session"
            raise IndexInUse(server.location, full_name, blockers) from None
