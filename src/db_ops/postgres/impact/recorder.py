"""Record the statements of a session at its cursors, and measure each of them.

The session's own transactions are as they would be: what is asked in between is asked inside of
them, or on a second connection where there is none.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import (
    ISOLATION_LEVEL_READ_COMMITTED,
    ISOLATION_LEVEL_READ_UNCOMMITTED,
    ISOLATION_LEVEL_REPEATABLE_READ,
    ISOLATION_LEVEL_SERIALIZABLE,
    TRANSACTION_STATUS_IDLE,
    TRANSACTION_STATUS_INTRANS,
    encodings,
    quote_ident,
)
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as PlainCursor

from db_ops.frozen_data import replace
from db_ops.postgres.impact.observation import Observation
from db_ops.postgres.impact.observer import ObservedLocks, Observer
from db_ops.postgres.impact.patterns import unsafe_patterns
from db_ops.postgres.impact.snapshot import CatalogSnapshot, take_catalog_snapshot
from db_ops.postgres.impact.statements import (
    is_about_session,
    is_copy_from_stdin,
    is_rollback,
    is_server_wide,
    is_show,
    reads_rows,
    with_data,
)
from db_ops.results import MeasuredStatement

# So that a scan is one that no index could have spared, however empty the tables are.
_PLAIN_SCANS = "SET enable_seqscan = off; SET enable_indexonlyscan = off"
_NOT_IN_A_TRANSACTION = (
    errorcodes.ACTIVE_SQL_TRANSACTION,
    errorcodes.INVALID_TRANSACTION_TERMINATION,
)
_LEVELS = {
    ISOLATION_LEVEL_READ_UNCOMMITTED: " ISOLATION LEVEL READ UNCOMMITTED",
    ISOLATION_LEVEL_READ_COMMITTED: " ISOLATION LEVEL READ COMMITTED",
    ISOLATION_LEVEL_REPEATABLE_READ: " ISOLATION LEVEL REPEATABLE READ",
    ISOLATION_LEVEL_SERIALIZABLE: " ISOLATION LEVEL SERIALIZABLE",
}


@dataclass
class StatementRecorder:
    """What a session sends, in order, with what each statement did to the observer's tables.

    `statements` of a transaction that was rolled back are taken out again. `worth` is given each
    statement before it is run and returns what of it is recorded, if anything.
    """

    observer: Observer
    worth: Callable[[str], str]
    statements: list[MeasuredStatement] = field(default_factory=list)
    _transaction: int = 0
    _first_of_transaction: int = 0
    _xid: str | None = None
    _last: CatalogSnapshot | None = None
    _without_value: frozenset[tuple[int, int]] = frozenset()

    def attach(self, connection: Connection) -> None:
        """Record what cursors of *connection* send from now on, also those of SQLAlchemy."""
        with connection.cursor() as cursor:
            cursor.execute(_PLAIN_SCANS)
        recorder = self

        # A session in a trial has cursors that are watched.
        base: Any = getattr(connection, "cursor_factory", None) or PlainCursor

        class RecordingCursor(base):  # type: ignore[misc]
            _rows_of_many: int | None = None

            @property
            def rowcount(self) -> int:
                return super().rowcount if self._rows_of_many is None else self._rows_of_many

            def execute(self, query: Any, vars: Any = None) -> None:
                self._rows_of_many = None

                def send() -> None:
                    super(RecordingCursor, self).execute(query, vars)

                recorder.run(self, send, _text(self, query, vars))

            def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
                text = _text(self, sql, None)
                if not is_copy_from_stdin(text):
                    super().copy_expert(sql, file, size)
                    return
                data = file.read()

                def send() -> None:
                    rows = io.StringIO(data) if isinstance(data, str) else io.BytesIO(data)
                    super(RecordingCursor, self).copy_expert(sql, rows, size)

                recorder.run(self, send, with_data(text, data))

            def copy_from(
                self,
                file: Any,
                table: str,
                sep: str = "\t",
                null: str = "\\N",
                size: int = 8192,
                columns: Any = None,
            ) -> None:
                of = f" ({', '.join(quote_ident(one, self) for one in columns)})" if columns else ""
                options = self.mogrify("WITH (DELIMITER %s, NULL %s)", (sep, null)).decode()
                statement = f"COPY {quote_ident(table, self)}{of} FROM STDIN {options}"
                self.copy_expert(statement, file, size)

            def executemany(self, query: Any, vars_list: Any) -> None:
                rows = 0
                for one in vars_list:
                    self.execute(query, one)
                    rows += self.rowcount
                self._rows_of_many = rows

        connection.cursor_factory = RecordingCursor

    def settle(self) -> None:
        """Take back the last transaction if it was rolled back; the session is idle or closed."""
        if not self.observer.is_committed(self._xid):
            del self.statements[self._first_of_transaction :]
            self._last = None
        self._xid = None
        self._first_of_transaction = len(self.statements)
        self._last = (self._last or self.observer.snapshot()).at_rest()

    def run(self, cursor: PlainCursor, send: Callable[[], None], text: str) -> None:
        """Run one statement with *send* and measure it."""
        connection = cursor.connection
        text = self.worth(text)
        if cursor.name is not None or not text:
            send()
            return
        idle = connection.info.transaction_status == TRANSACTION_STATUS_IDLE
        if idle:
            self.settle()
            self._transaction += 1
        if is_server_wide(text):
            self._add(connection, text, skipped=True)
        elif is_about_session(text):
            send()
            if not is_show(text):
                self._add(connection, text)
            goes_on = connection.info.transaction_status == TRANSACTION_STATUS_INTRANS
            if is_rollback(text) and goes_on:
                self._last = take_catalog_snapshot(connection, self.observer.tables)
        elif connection.autocommit and idle:
            self._add(connection, text, self._run_alone(cursor, send, text))
        else:
            send()
            self._add(connection, text, self._observe(cursor, text))

    def _run_alone(self, cursor: PlainCursor, send: Callable[[], None], text: str) -> Observation:
        """Run a statement that is its own transaction, in one of ours if the server allows it."""
        connection = cursor.connection
        with connection.cursor(cursor_factory=PlainCursor) as control:
            control.execute("BEGIN")
            try:
                send()
                observation = self._observe(cursor, text)
            except psycopg2.Error as error:
                control.execute("ROLLBACK")
                if error.pgcode not in _NOT_IN_A_TRANSACTION:
                    raise
            else:
                watch = getattr(connection, "watch", None)
                if watch is not None:
                    watch.before_commit(connection)
                control.execute("COMMIT")
                return observation
        with self.observer.gate(connection.info.backend_pid) as seen:
            send()
        return self._observe(cursor, text, seen)

    def _observe(
        self, cursor: PlainCursor, text: str, alone: ObservedLocks | None = None
    ) -> Observation:
        assert self._last is not None
        after = take_catalog_snapshot(cursor.connection, self.observer.tables)
        observation = Observation(
            text,
            self._last,
            after,
            alone,
            self._without_value,
            returned_rows=cursor.description is not None and reads_rows(text),
        )
        self._last = after if alone is None else after.at_rest()
        self._xid = after.xid if alone is None else None
        self._without_value = observation.without_value
        return observation

    def _add(
        self,
        connection: Connection,
        text: str,
        observation: Observation | None = None,
        *,
        skipped: bool = False,
    ) -> None:
        level = _LEVELS.get(connection.isolation_level or 0, "")
        statement = MeasuredStatement(
            text,
            None if connection.autocommit else self._transaction,
            f"BEGIN{level}",
            skipped=skipped,
        )
        if observation is not None:
            statement = replace(
                statement,
                effects=observation.effects,
                unsafe=unsafe_patterns(observation),
                waits=observation.waits,
                reads=observation.read,
            )
        self.statements.append(statement)


def _text(cursor: PlainCursor, query: Any, vars: Any) -> str:
    """Return *query* with its parameters in it, as the driver sends it."""
    sent: bytes = cursor.mogrify(query, vars)
    return sent.decode(encodings[cursor.connection.encoding]).strip()
