"""A cursor that continues after a failed DDL statement and records the failure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from psycopg2.errorcodes import (
    INVALID_SCHEMA_NAME,
    UNDEFINED_FUNCTION,
    UNDEFINED_OBJECT,
    UNDEFINED_TABLE,
)
from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from db_ops.errors.quote_ident import quote_ident
from db_ops.postgres.schema.identifiers import unquoted_parts
from db_ops.postgres.schema.repair import last_part

TABLE = "table or sequence"
_DEPTH = 4
_NAME = r'(?:"(?:[^"]|"")*"|[\w.])+'
_TABLE = re.compile(rf"\b(?:TABLE|ON)\s+({_NAME})")
# What makes one object, or says something of it, that no other statement of the models needs.
_ALONE = re.compile(
    rf"""\s*(?:CREATE\s+(?:UNIQUE\s+)?(?P<index>INDEX)\s+(?:(?:CONCURRENTLY|IF\s+NOT\s+EXISTS)\s+)*
    |ALTER\s+TABLE\s+{_NAME}\s+ADD\s+CONSTRAINT\s+
    |COMMENT\s+ON\s+CONSTRAINT\s+)(?P<name>{_NAME})""",
    re.VERBOSE | re.IGNORECASE,
)
_MISSING = {
    UNDEFINED_OBJECT: "type, collation or operator class",
    UNDEFINED_FUNCTION: "function",
    INVALID_SCHEMA_NAME: "schema",
    UNDEFINED_TABLE: TABLE,
}
# As SQLAlchemy writes it: what the table consists of on a line each.
_CREATE_TABLE = re.compile(
    rf"\s*CREATE TABLE ({_NAME}) \(\n\t(.*?) ?\n\)", re.DOTALL | re.IGNORECASE
)
_CONSTRAINT = re.compile(rf"CONSTRAINT {_NAME} (?:FOREIGN KEY|UNIQUE|CHECK|EXCLUDE)\b")
_UNNAMED = re.compile(r"(FOREIGN KEY|UNIQUE) ?\(([^()]+)\)")
_LONGEST_NAME = 63
# Each locks what it makes until the end of the transaction, and the server's table of locks is
# everybody's.
_TOGETHER = 100


@dataclass(frozen=True)
class FailedStatement:
    """A statement that the server has refused, the first line of why, and the SQLSTATE."""

    statement: str
    reason: str
    sqlstate: str

    @property
    def table(self) -> str:
        """The plain name of the table that the statement is about, if it is about one."""
        found = _TABLE.search(self.statement)
        return last_part(found[1]).strip('"') if found else ""

    @property
    def alone(self) -> tuple[str, str] | None:
        """Kind and plain name of the index or constraint that it would have made, if one."""
        found = _ALONE.match(self.statement)
        if found is None:
            return None
        return "index" if found["index"] else "constraint", unquoted_parts(found["name"])[-1]

    @property
    def missing(self) -> str | None:
        """What it needs and is not there, None if it is refused for another reason."""
        return _MISSING.get(self.sqlstate)

    @property
    def summary(self) -> str:
        """The statement's first words."""
        words = " ".join(self.statement.split())
        return words if len(words) <= 60 else f"{words[:57]}..."


@dataclass
class StatementErrorHandler:
    """Handles statements that fail on a connection: `failed` keeps those that fail again.

    `missing` names, for a statement, others that create what it may need; each is tried, with what
    it may need itself, and then the statement once more.
    """

    missing: Callable[[str], Iterable[str]]
    failed: list[FailedStatement] = field(default_factory=list)
    # What the open transaction has done so far; None once each statement has one of its own.
    _together: list[tuple[object, object]] | None = field(default_factory=list)
    _factory: Any = Cursor

    def watch(self, connection: Connection) -> None:
        """Make later cursors of *connection* continue after an error, in autocommit mode."""
        error_handler = self
        # A session in a trial has cursors that are watched.
        base: Any = getattr(connection, "cursor_factory", None) or Cursor
        self._factory = base

        class TolerantCursor(base):  # type: ignore[misc]
            def execute(self, query: object, vars: object = None) -> None:
                execute = super().execute
                try:
                    error_handler._execute_together(self, execute, query, vars)
                except psycopg2.Error as error:
                    if error.pgcode is None:
                        raise
                    error_handler._create_missing(self.connection, _text(query))
                    if vars or not error_handler._create_in_parts(execute, _text(query)):
                        error_handler._retry(execute, query, vars)

        connection.autocommit = True
        connection.cursor_factory = TolerantCursor

    def commit(self, connection: Connection) -> None:
        """Commit what was executed so far."""
        if connection.info.transaction_status != TRANSACTION_STATUS_IDLE:
            # As the sessions of a trial do, which look at it before.
            with connection.cursor(cursor_factory=self._factory) as cursor:
                cursor.execute("COMMIT")
        if self._together:
            self._together = []

    def _execute_together(
        self, cursor: Cursor, execute: Callable[..., None], query: object, values: object
    ) -> None:
        """Execute many statements in a transaction, as long as none is refused.

        Then all of that transaction, and what follows, are executed one by one.
        """
        connection, together = cursor.connection, self._together
        if together is None:
            execute(query, values)
            return
        try:
            if connection.info.transaction_status == TRANSACTION_STATUS_IDLE:
                with connection.cursor(cursor_factory=Cursor) as control:
                    control.execute("BEGIN")
            execute(query, values)
        except psycopg2.Error as error:
            if error.pgcode is None:
                raise
            self._together = None
            execute("ROLLBACK")
            for one in together:
                execute(*one)
            execute(query, values)
        else:
            if cursor.description is None:
                together.append((query, values))
            if len(together) >= _TOGETHER:
                self.commit(connection)

    def _create_in_parts(self, execute: Callable[..., None], statement: str) -> bool:
        """Create a table and then its constraints, so that what is refused is one of those alone.

        False, and nothing was done, if *statement* creates no table with constraints, or the server
        refuses it without them too.
        """
        table, alone, constraints = constraints_apart(statement)
        if not constraints:
            return False
        try:
            execute(alone)
        except psycopg2.Error:
            return False
        for constraint in constraints:
            self._retry(execute, f"ALTER TABLE {table} ADD {constraint}", None)
        return True

    def _retry(self, execute: Callable[..., None], query: object, values: object) -> None:
        try:
            execute(query, values)
        except psycopg2.Error as error:
            if error.pgcode is None:
                raise
            reason = error.diag.message_primary or type(error).__name__
            self.failed.append(FailedStatement(_text(query), reason.splitlines()[0], error.pgcode))

    def _create_missing(self, connection: Connection, statement: str, depth: int = 0) -> None:
        """Create what *statement* may be missing, and before it what that may be missing."""
        for helper in self.missing(statement):
            for attempt in range(2):
                try:
                    with connection.cursor(cursor_factory=Cursor) as cursor:
                        cursor.execute(helper)
                    break
                except psycopg2.Error as error:
                    if error.pgcode is None:
                        raise
                    if attempt or depth == _DEPTH:
                        break
                    self._create_missing(connection, helper, depth + 1)


def constraints_apart(statement: str) -> tuple[str, str, list[str]]:
    """Return the table that *statement* creates, how to create it alone, and its constraints.

    They are without its primary key and what is written beside a column. One without a name gets
    that which the server would give it.
    """
    found = _CREATE_TABLE.match(statement)
    if found is None:
        return "", statement, []
    table, body = found.groups()
    kept: list[str] = []
    constraints: list[str] = []
    for line in body.split(", \n\t"):
        named = _named(last_part(table).strip('"'), line)
        if named is None:
            kept.append(line)
        else:
            constraints.append(named)
    start, end = found.span(2)
    return table, f"{statement[:start]}{', '.join(kept)}{statement[end:]}", constraints


def _named(table: str, line: str) -> str | None:
    """Return a constraint with its name, None if *line* is none."""
    if _CONSTRAINT.match(line):
        return line
    found = _UNNAMED.match(line)
    if found is None:
        return None
    columns = [column.strip().strip('"') for column in found[2].split(",")]
    name = "_".join((table, *columns, "fkey" if found[1] == "FOREIGN KEY" else "key"))
    is_whole = len(name.encode()) <= _LONGEST_NAME
    return f"CONSTRAINT {quote_ident(name)} {line}" if is_whole else None


def _text(query: object) -> str:
    return query.decode() if isinstance(query, bytes) else str(query)
