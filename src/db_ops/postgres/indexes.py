"""Indexes that a failed or killed CREATE INDEX CONCURRENTLY has left behind, INVALID.

They cost every write and serve no read, and `IF NOT EXISTS` keeps them. Source: PostgreSQL
documentation, "Building Indexes Concurrently".
"""

from __future__ import annotations

from psycopg2.errors import UndefinedTable
from psycopg2.extensions import connection as Connection


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


def drop_index(connection: Connection, full_name: str) -> bool:
    """Drop an index, waiting for its users instead of stopping them. False if it is gone already.

    *full_name* is quoted as `regclass` prints it; *connection* must be in autocommit mode.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP INDEX CONCURRENTLY {full_name}")
    except UndefinedTable:
        return False
    return True
