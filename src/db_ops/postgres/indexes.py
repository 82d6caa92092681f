"""Indexes that a failed or killed CREATE INDEX CONCURRENTLY has left behind, INVALID.

They cost every write and serve no read, and `IF NOT EXISTS` keeps them. Source: PostgreSQL
documentation, "Building Indexes Concurrently".
"""

from __future__ import annotations

from psycopg2.errors import LockNotAvailable
from psycopg2.extensions import connection as Connection

from db_ops.errors import IndexInUse
from db_ops.postgres.connection.server import Server
from db_ops.postgres.locks.blockers import watch_blockers

# Of another role's build, the server shows no more than the process. Its lock on the table is shown
# to everybody; so it is for REINDEX, which builds several indexes and names one at a time.
_BEING_BUILT = """
    SELECT FROM pg_stat_progress_create_index p
    WHERE p.datname = current_database() AND (
        p.index_relid = i.indexrelid
        OR (p.index_relid IS NULL OR p.command LIKE 'REINDEX%') AND EXISTS (
            SELECT FROM pg_locks l
            WHERE l.pid = p.pid AND l.locktype = 'relation' AND l.relation = i.indrelid
              AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted
              AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        )
    )
"""


def invalid_indexes(connection: Connection) -> list[tuple[str, str]]:
    """Return the bare and the full name of each index that a failed concurrent build has left.

    One that is being built right now is invalid too, and not returned.
    """
    with connection.cursor() as cursor:
        # To plan the other question takes longer than most revisions.
        cursor.execute("SELECT FROM pg_index WHERE NOT indisvalid LIMIT 1")
        if cursor.rowcount == 0:
            return []
        cursor.execute(
            f"""
            SELECT c.relname, i.indexrelid::regclass::text FROM pg_index i
            JOIN pg_class c ON c.oid = i.indexrelid
            WHERE NOT i.indisvalid AND c.relkind = 'i' AND NOT EXISTS ({_BEING_BUILT})
            """
        )
        return [(str(name), str(full)) for name, full in cursor.fetchall()]


def drop_invalid_index(server: Server, connection: Connection, full_name: str) -> None:
    """Drop an index if it is there, waiting for its users instead of stopping them.

    *full_name* is quoted as `regclass` prints it; *connection* must be in autocommit mode. Waits
    for `lock_timeout` at most, then raises `IndexInUse`, naming the blockers.
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
