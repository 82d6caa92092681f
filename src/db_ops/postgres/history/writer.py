"""Write the history table: each applied or reverted revision, when, by whom, in what time.

A row is written inside the revision's own transaction or after its commit, so that it says what
was committed and nothing else. It may be missing: what cannot be recorded is told once and stops no
migration.
"""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import psycopg2
from psycopg2 import errorcodes
from psycopg2.errors import (
    InsufficientPrivilege,
    InvalidSchemaName,
    UndefinedColumn,
    UndefinedTable,
)
from psycopg2.extensions import TRANSACTION_STATUS_INTRANS
from psycopg2.extensions import connection as Connection

from db_ops.postgres.connection.error_text import first_line
from db_ops.postgres.history import AT_ONCE
from db_ops.postgres.history.table import (
    MARK,
    OPT_OUT,
    TABLE,
    HistoryUnavailable,
    create_if_missing,
    records_key,
)
from db_ops.postgres.schema.reading import fingerprint
from db_ops.results import Record

_INSERT = f"""
    INSERT INTO {TABLE}
        (version_table, revision, action, heads, parents, checksum, seconds, finished_at, os_user,
         command, acting_role)
"""
_VALUES = """
    %s, %s, %s, %s::text[], %s::text[], %s, %s,
    clock_timestamp() - make_interval(secs => %s), %s, %s, current_user
"""
# A table that is not ours, or lacks a column, stays as it is. To ask for it first takes a third
# of what a small revision does.
_INSERT_IF_OURS = f"""
    {_INSERT} SELECT {_VALUES} WHERE obj_description('{TABLE}'::regclass, 'pg_class') = '{MARK}'
"""
_NOT_READY = (UndefinedTable, UndefinedColumn, InvalidSchemaName, InsufficientPrivilege)
_SAVEPOINT = "db_ops_record"
_FINGERPRINT = f"""
    UPDATE {TABLE} SET fingerprint = %s
    WHERE id = (SELECT max(id) FROM {TABLE} WHERE version_table = %s)
"""
_EVERY = 0.25  # seconds
# Enough for what nobody else is at; a migration must not wait for its records.
_LOCK_TIMEOUT = "SET lock_timeout = '2s'"
# Not a reason to go on: somebody ends this session, or its statement.
_STOPPED = (
    errorcodes.QUERY_CANCELED,
    errorcodes.ADMIN_SHUTDOWN,
    errorcodes.CRASH_SHUTDOWN,
    None,
)

# Told once why nothing is recorded, and what would change that.
OnTrouble = Callable[[str, str], None]


@dataclass
class HistoryWriter:
    """Writes the records of one run, which holds the migration lock on *connection*.

    *key* names the version table: several services may share a database. Of a *schema* that is
    migrated alone, the fingerprint is its own. The schema of the records is created
    with the first record, by the role of *connection*; a run that applies nothing creates none.
    Where revisions run on *connection* itself, what may outlive them needs another: see `connect`.
    """

    connection: Connection
    version_table: str
    version_schema: str | None
    command: str
    on_trouble: OnTrouble
    checksum: Callable[[Path], str | None]
    fingerprints: bool = True
    schema: str | None = None
    connect: Callable[[], Connection] | None = None
    written: int = 0
    _ready: bool = field(default=False, init=False)
    _off: bool = field(default=False, init=False)
    _waiting: list[tuple[Record, float]] = field(default_factory=list, init=False)
    _flushed: float = field(default_factory=time.monotonic, init=False)

    def turn_off(self, reason: str, remedy: str) -> None:
        """Record nothing from now on, and tell why, and what would change that."""
        self._off = True
        self.on_trouble(reason, remedy)

    @contextmanager
    def flush_at_end(self) -> Iterator[HistoryWriter]:
        """Keep records of what a `with` block does; if it fails, of what it did until then."""
        try:
            yield self
        except BaseException:
            # The error that ends the run is the one to tell.
            with suppress(psycopg2.Error):
                self.flush()
            raise
        self.finish()

    def shares_transaction(self, migrating: object) -> bool:
        """Tell whether to record the next step in the transaction of the connection *migrating*.

        It costs a round trip; what another driver has opened cannot be written through.
        """
        return isinstance(migrating, Connection) and self.written < AT_ONCE

    def write(self, migrating: Connection, record: Record) -> None:
        """Write *record* in the transaction of *migrating*; undo no more than that if it fails."""
        if self._off:
            return
        row = self._row(record, time.monotonic())
        with self._giving_up():
            try:
                is_there = self._insert(migrating, row)
            except _NOT_READY:
                is_there = False
            if not is_there:
                self._create(migrating)
                self._insert(migrating, row)
            self._ready = True
            self.written += 1

    def add(self, record: Record) -> None:
        """Write *record*, of what is committed, by and by: at the latest with `flush`."""
        self._waiting.append((record, time.monotonic()))
        if time.monotonic() - self._flushed > _EVERY:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        self._flushed = time.monotonic()
        if self._waiting and self._is_available():
            rows = [self._row(record, since) for record, since in self._waiting]
            self._waiting.clear()
            with self._giving_up(), self.connection.cursor() as cursor:
                values = b", ".join(cursor.mogrify(f"({_VALUES})", row) for row in rows)
                cursor.execute(f"{_INSERT} VALUES ".encode() + values)
                self.written += len(rows)

    def accept(self, records: Iterable[Record]) -> str | None:
        """Record a state that nobody saw come about, all or nothing, and its fingerprint.

        Returns the fingerprint, None if nothing could be recorded.
        """
        now = time.monotonic()
        self._waiting.extend((record, now) for record in records)
        self.flush()
        return self.finish()

    def finish(self) -> str | None:
        """Write what waits, then the fingerprint of the catalogs as the last step left them.

        Returns the fingerprint, None after a run that has recorded nothing.
        """
        self.flush()
        if self._off or not self.written or not self.fingerprints:
            return None
        with self._giving_up():
            _limit_waits(self.connection)
            digest = fingerprint(
                self.connection,
                version_table=self.version_table,
                version_schema=self.version_schema,
                schema=self.schema,
            )
            with self.connection.cursor() as cursor:
                cursor.execute(_FINGERPRINT, (digest, self.key))
            return digest
        return None

    @property
    def key(self) -> str:
        return records_key(self.version_table, self.version_schema)

    def _is_available(self) -> bool:
        """Tell whether records can be written, after creating what they need the first time."""
        if not self._ready and not self._off:
            with self._giving_up():
                self._create()
                self._ready = True
        return not self._off

    def _create(self, migrating: Connection | None = None) -> None:
        if migrating is self.connection and self.connect is not None:
            with closing(self.connect()) as connection:
                _limit_waits(connection)
                create_if_missing(connection)
            return
        _limit_waits(self.connection)
        create_if_missing(self.connection)

    @contextmanager
    def _giving_up(self) -> Iterator[None]:
        """Tell what fails in a `with` block, and record nothing from then on."""
        try:
            yield
        except HistoryUnavailable as unavailable:
            self.turn_off(*unavailable.args)
        except psycopg2.Error as error:
            if error.pgcode in _STOPPED:
                raise
            self.turn_off(first_line(error), OPT_OUT)

    def _row(self, record: Record, since: float) -> tuple[object, ...]:
        ago = time.monotonic() - since
        row = self.key, record.revision, record.action, list(record.heads)
        parents = None if record.parents is None else list(record.parents)
        return (*row, parents, record.checksum, record.seconds, ago, _os_user(), self.command)

    def _insert(self, migrating: Connection, row: tuple[object, ...]) -> bool:
        """Write *row*; False if the table is not ours."""
        # A revision may have left its connection in autocommit mode.
        is_open = migrating.info.transaction_status == TRANSACTION_STATUS_INTRANS
        begin = f"SAVEPOINT {_SAVEPOINT};" if is_open else ""
        with migrating.cursor() as cursor:
            try:
                # The savepoint ends with the transaction.
                cursor.execute(begin + _INSERT_IF_OURS, row)
                return cursor.rowcount > 0
            except psycopg2.Error as error:
                if is_open and error.pgcode not in _STOPPED:
                    cursor.execute(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
                raise


def _limit_waits(connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_TIMEOUT)


@cache
def _os_user() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        # A container may run as a number that has no name.
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return f"{user}@{socket.gethostname()}"
