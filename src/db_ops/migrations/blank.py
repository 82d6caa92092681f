"""A connection to nothing: every statement succeeds and answers true.

An env.py that looks before it configures, as one that takes a lock of its own does, goes on with
it, so that what it configures can be seen without a server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Engine

_ANSWER = (True,)
_BOOLEAN = 16
_DESCRIPTION = (("answer", _BOOLEAN, None, 1, None, None, None),)


class _Cursor:
    """A DBAPI cursor over one row."""

    description = _DESCRIPTION
    rowcount = 1
    arraysize = 1
    lastrowid = None
    statusmessage = ""

    def __init__(self, connection: _Connection) -> None:
        self.connection = connection
        self._rows: list[tuple[bool]] = []

    def execute(self, statement: Any, parameters: Any = None) -> None:
        self.connection.statements.append(str(statement))
        self._rows = [_ANSWER]

    def executemany(self, statement: Any, parameters: Any = None) -> None:
        self.execute(statement)

    def fetchone(self) -> tuple[bool] | None:
        return self._rows.pop() if self._rows else None

    def fetchmany(self, size: int = 1) -> list[tuple[bool]]:
        return self.fetchall()

    def fetchall(self) -> list[tuple[bool]]:
        rows, self._rows = self._rows, []
        return rows

    def close(self) -> None:
        self._rows = []


class _Connection:
    """A DBAPI connection that notes the statements it gets."""

    autocommit = False
    notices: tuple[str, ...] = ()
    isolation_level = None
    closed = 0

    def __init__(self, statements: list[str]) -> None:
        self.statements = statements

    def cursor(self, *arguments: Any, **options: Any) -> _Cursor:
        return _Cursor(self)

    def set_isolation_level(self, level: Any) -> None:
        pass

    def commit(self) -> None:
        pass

    def rollback(self) -> None:
        pass

    def close(self) -> None:
        pass


def blank_engine(statements: list[str]) -> Engine:
    """Return an engine whose connections note in *statements* what they are asked."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    return create_engine(
        "postgresql+psycopg2://",
        creator=lambda: _Connection(statements),
        poolclass=StaticPool,
        pool_reset_on_return=None,
        # Nobody is there to be asked for a version.
        _initialize=False,
    )
