"""The session that a revision is planned in; what it runs is rolled back where that is possible."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from db_ops.errors import DbOpsError, StatementFailed
from db_ops.generation.statements import SETTLES_NOTHING, RevisionStatement
from db_ops.migrations.autogenerate.draft import Draft
from db_ops.migrations.env.diagnostics import reason_of, sqlstate
from db_ops.migrations.env.engine import connection_over
from db_ops.postgres.rows import tables_with_rows
from db_ops.postgres.schema.dependents import Dependents, read_dependents, read_sequences
from db_ops.postgres.schema.objects import Schema
from db_ops.postgres.schema.ownership import without_rights
from db_ops.postgres.schema.reading import read_schema
from db_ops.target.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_SAVEPOINT = "db_ops_plan"
# An invalid transaction state, an enum's value that it has added, an object in use, too many locks.
_OF_TRANSACTION = ("25", "55P04", "55006", "53200")
# How many statements: the server's table of locks is everybody's.
_MOST = 100


@dataclass
class PlanningSession:
    """Runs statements in the scratch database *work*, which *connection* is to.

    Each is committed; from `begin` on, all are one transaction, which `close` rolls back. A
    statement that cannot be in one has it committed. `schema` is that of the database until
    something is run, with owners and rights.
    """

    connection: Connection
    work: Target
    schema: Schema | None
    draft: Draft | None = None
    # Whether the database is as it was, once the session is closed.
    is_unchanged: bool = True
    _is_empty: bool = False
    # SQLAlchemy's connection to the transaction, and the number of that.
    _alchemy: Any = None
    _number: str | None = None
    _count: int = 0
    _stack: ExitStack = field(default_factory=ExitStack)

    def begin(self) -> None:
        """Run what follows in one transaction, unless something has been committed already."""
        if self.is_unchanged:
            self._alchemy = self._stack.enter_context(connection_over(self.connection))
            self._number = self._current_number()

    def close(self) -> None:
        """End the transaction, if there is one, so that nothing of it is left."""
        if self._alchemy is None:
            return
        try:
            # An operation of the project's may have committed it.
            self.is_unchanged = self._current_number() == self._number
        except DbOpsError:
            self.is_unchanged = False
            self._alchemy.invalidate()
        self._end()

    def read(self, *, grants: bool = False) -> Schema:
        if self.schema is None:
            self.schema = read_schema(self.connection, grants=True, **self._version_table)
        return self.schema if grants else without_rights(self.schema)

    def dependents(self, columns: Collection[str]) -> Dependents:
        return read_dependents(self.connection, columns, **self._version_table)

    def sequences(self) -> Mapping[str, str]:
        return read_sequences(self.connection)

    def run(
        self, statement: RevisionStatement, settles: Callable[[Schema], bool] | None = None
    ) -> str | None:
        connection, seen = self.connection, None

        def send(alchemy: Any) -> None:
            nonlocal seen
            if statement.sql is None:
                assert self.draft is not None
                self.draft.execute(alchemy, statement.code)
            else:
                self._execute(statement.sql)
            if settles is not None:
                seen = read_schema(connection, grants=True, **self._version_table)
                if not settles(without_rights(seen)):
                    raise _SettlesNothing

        how = {"by_alembic": statement.sql is None, "alone": settles is None}
        refusal = self._run(send, **how)
        if refusal not in (None, SETTLES_NOTHING) and self._empty_tables():
            refusal = self._run(send, **how)
        if refusal is None:
            self.schema = seen
        return refusal

    def _run(
        self, send: Callable[[Any], object], *, by_alembic: bool = False, alone: bool = True
    ) -> str | None:
        try:
            with self._typed_errors(by_alembic=by_alembic):
                if self._alchemy is not None:
                    try:
                        self._in_transaction(send)
                    except Exception as error:
                        if not (sqlstate(error) or "").startswith(_OF_TRANSACTION):
                            raise
                        self._commit()
                    else:
                        self._count += 1
                        if self._count == _MOST:
                            self._commit()
                        return None
                self.is_unchanged = False
                self._committed(send, by_alembic=by_alembic, alone=alone)
        except _SettlesNothing:
            return SETTLES_NOTHING
        except StatementFailed as failed:
            return failed.reason
        except Exception as error:
            if not by_alembic:
                raise
            return reason_of(error)
        return None

    def _typed_errors(self, *, by_alembic: bool) -> AbstractContextManager[None]:
        if by_alembic:
            return nullcontext()
        return self.work.server.translate_errors("a trial")

    def _in_transaction(self, send: Callable[[Any], object]) -> None:
        self._execute(f"SAVEPOINT {_SAVEPOINT}")
        try:
            send(self._alchemy)
        except Exception:
            # It is not there if an operation has committed.
            with suppress(DbOpsError):
                self._execute(f"ROLLBACK TO {_SAVEPOINT}")
            raise

    def _committed(self, send: Callable[[Any], object], *, by_alembic: bool, alone: bool) -> None:
        connection = self.connection
        try:
            if by_alembic:
                with connection_over(connection) as alchemy:
                    send(alchemy)
                    alchemy.commit()
            else:
                connection.autocommit = alone
                send(None)
                connection.commit()
        finally:
            connection.rollback()
            connection.autocommit = True

    def _empty_tables(self) -> bool:
        """Remove what migrations have written, unless that was done; False if there is nothing.

        What rows forbid is for the proof to find; a statement is none the worse for it.
        """
        if self._is_empty:
            return False
        self._is_empty = True
        names = ", ".join(tables_with_rows(self.connection, self.work.project.version_table))
        # A trigger of theirs may forbid it.
        return bool(names) and not self._run(lambda _: self._execute(f"TRUNCATE {names} CASCADE"))

    def _commit(self) -> None:
        """Commit what was run so far; each that follows is committed alone."""
        self.is_unchanged = False
        self.connection.commit()
        self._end()

    def _end(self) -> None:
        self._alchemy = None
        self._stack.close()
        if not self.connection.closed:
            self.connection.rollback()
            self.connection.autocommit = True

    def _current_number(self) -> str:
        (number,) = self._execute("SELECT pg_current_xact_id()::text")
        return str(number)

    def _execute(self, statement: str) -> tuple[Any, ...]:
        with self.work.server.translate_errors("a trial"), self.connection.cursor() as cursor:
            cursor.execute(statement)
            return (cursor.fetchone() or ()) if cursor.description else ()

    @property
    def _version_table(self) -> dict[str, Any]:
        project = self.work.project
        return {
            "version_table": project.version_table,
            "version_schema": project.version_table_schema,
        }


class _SettlesNothing(Exception):
    """A statement runs, and the difference that it is for stays."""
