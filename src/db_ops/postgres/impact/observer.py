"""A second session in the scratch database that observes the locks of the first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from db_ops.postgres.impact.snapshot import (
    CatalogSnapshot,
    strongest_by_table,
    take_catalog_snapshot,
)

_GATED = """
    SELECT format('%%I.%%I', n.nspname, c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.oid = ANY(%s::oid[])
"""
_LOCKS = """
    SELECT relation, mode, granted, locktype = 'virtualxid' AND NOT granted,
           relation = ANY(%s::oid[]) AND locktype = 'relation'
    FROM pg_locks WHERE pid = %s
"""
_PAUSE, _PATIENCE = 0.005, 2.0


@dataclass
class ObservedLocks:
    """What a statement held or asked for while it was kept waiting."""

    locks: dict[int, str] = field(default_factory=dict)
    waits: bool = False


@dataclass(frozen=True)
class Observer:
    """`connection` is in autocommit mode, to the database of the observed session."""

    connection: Connection
    tables: tuple[int, ...]

    def snapshot(self) -> CatalogSnapshot:
        """Look at what is committed."""
        return take_catalog_snapshot(self.connection, self.tables)

    def is_committed(self, xid: str | None) -> bool:
        """Tell how a transaction ended; one that wrote nothing counts as committed."""
        if xid is None:
            return True
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT pg_xact_status(%s::xid8)", (xid,))
            row = cursor.fetchone()
        return row is not None and row[0] == "committed"

    @contextmanager
    def gate(self, pid: int) -> Iterator[ObservedLocks]:
        """Keep the statement of session *pid* waiting, for a `with` block, until its locks show.

        What runs outside of a transaction has given back its locks when it ends. A writer's lock on
        every table makes it wait in the middle. A statement that does not wait ends by itself.
        """
        seen, done = ObservedLocks(), threading.Event()
        self._close_gate()
        thread = threading.Thread(target=self._watch, args=(pid, seen, done.is_set), daemon=True)
        thread.start()
        try:
            yield seen
        finally:
            done.set()
            thread.join()

    def _close_gate(self) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(_GATED, (list(self.tables),))
            names = [sql.SQL(row[0]) for row in cursor.fetchall()]
            cursor.execute("BEGIN")
            lock = sql.SQL("LOCK TABLE ONLY {} IN ROW EXCLUSIVE MODE")
            # Thousands of tables may be more than the server has room for: nothing is seen then.
            with suppress(psycopg2.Error):
                cursor.execute(lock.format(sql.SQL(", ONLY ").join(names)))

    def _watch(self, pid: int, seen: ObservedLocks, is_done: Callable[[], bool]) -> None:
        pause, waited = threading.Event(), 0.0
        with self.connection.cursor() as cursor:
            try:
                while not is_done() and waited < _PATIENCE:
                    cursor.execute(_LOCKS, (list(self.tables), pid))
                    rows = cursor.fetchall()
                    if any(not row[2] for row in rows):
                        seen.locks = strongest_by_table(
                            (relation, mode) for relation, mode, _, _, ours in rows if ours
                        )
                        seen.waits = any(row[3] for row in rows)
                        return
                    pause.wait(_PAUSE)
                    waited += _PAUSE
            except psycopg2.Error:
                return
            finally:
                if not self.connection.closed:
                    cursor.execute("ROLLBACK")
