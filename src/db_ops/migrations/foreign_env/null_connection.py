"""A connection to no server: every statement succeeds and returns true.

An env.py that looks before it configures, as one that takes a lock of its own does, goes on with
it, so that what it configures can be seen without a server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from db_ops.errors.quote_ident import in_quotes

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from db_ops.migrations.env.runtime import Session

_ANSWER = (True,)
# What is not named here answers with something that has every method again.
_ANSWERS = {
    "fetchval": True,
    "fetchrow": _ANSWER,
    "fetchone": _ANSWER,
    "fetch": [_ANSWER],
    "fetchall": [_ANSWER],
    "fetchmany": [_ANSWER],
    "is_closed": False,
}
_BOOLEAN = 16
_VERSION = (14, 0)
_DESCRIPTION = (("answer", _BOOLEAN, None, 1, None, None, None),)


class _Cursor:
    """A DB-API cursor whose result is always one row."""

    description = _DESCRIPTION
    rowcount = 1
    arraysize = 1
    lastrowid = None
    statusmessage = ""

    def __init__(self, connection: NullConnection) -> None:
        self.connection = connection
        self._rows: list[tuple[bool]] = []

    def __enter__(self) -> _Cursor:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[tuple[bool]]:
        return iter(self.fetchall())

    def execute(self, statement: Any, parameters: Any = None, **options: Any) -> _Cursor:
        text = str(statement)
        if "search_path" in text and isinstance(parameters, Mapping):
            # Nothing else that is given beside a statement is kept: it may be secret.
            for name, value in parameters.items():
                text = text.replace(f"%({name})s", in_quotes(str(value)))
        self.connection.statements.append(text)
        self._rows = [_ANSWER]
        return self

    def executemany(self, statement: Any, parameters: Any = None) -> None:
        self.execute(statement)

    def copy_expert(self, statement: Any, file: Any, size: int = 0) -> None:
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


class NullConnection:
    """A DB-API connection to no server, which records the statements it gets."""

    autocommit = False
    notices: tuple[str, ...] = ()
    isolation_level = None
    closed = 0
    info = SimpleNamespace(
        server_version=_VERSION[0] * 10000,
        transaction_status=0,
        status=1,
        host="",
        port=0,
        user="",
        password="",
        dbname="",
    )

    def __init__(self, statements: list[str]) -> None:
        self.statements = statements

    def __enter__(self) -> NullConnection:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def cursor(self, *arguments: Any, **options: Any) -> _Cursor:
        return _Cursor(self)

    def execute(self, statement: Any, parameters: Any = None, **options: Any) -> _Cursor:
        return self.cursor().execute(statement)

    def set_isolation_level(self, level: Any) -> None:
        pass

    def commit(self) -> None:
        pass

    def rollback(self) -> None:
        pass

    def close(self) -> None:
        pass


class NullSession:
    """An asynchronous driver's connection to no server, and what its methods return."""

    def __init__(self, statements: list[str], value: Any = None) -> None:
        self._statements, self._value = statements, value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def method(*arguments: Any, **options: Any) -> NullSession:
            if arguments and isinstance(arguments[0], str):
                self._statements.append(arguments[0])
            return NullSession(self._statements, _ANSWERS.get(name))

        return method

    def __await__(self) -> Generator[Any, None, Any]:
        yield from ()
        return self if self._value is None else self._value

    async def __aenter__(self) -> NullSession:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    async def __aiter__(self) -> AsyncIterator[tuple[bool]]:
        yield _ANSWER

    def __bool__(self) -> bool:
        # What asks without waiting asks whether it is closed.
        return self._value is not False


def null_engine(statements: list[str]) -> Engine:
    """Return an engine whose null connections append to *statements*."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    engine = create_engine(
        "postgresql+psycopg2://",
        creator=lambda: NullConnection(statements),
        poolclass=StaticPool,
        pool_reset_on_return=None,
        # Nobody is there to be asked for a version.
        _initialize=False,
    )
    known: Any = type(engine.dialect)

    class Dialect(known):  # type: ignore[misc]
        """One whose version is asked for like anything else of the server."""

        default_schema_name = "public"
        supports_statement_cache = True

        @property
        def server_version_info(self) -> tuple[int, ...]:
            statements.append("SHOW server_version")
            return _VERSION

    engine.dialect.__class__ = Dialect
    return engine


def answer_as_driver(engine: Engine, session: Session) -> None:
    """Give connections of *engine* a null connection as their `driver_connection`."""

    def driver_connection(connection: Any) -> NullSession:
        session.uses_driver = True
        return NullSession(session.statements)

    engine.dialect.get_driver_connection = driver_connection  # type: ignore[method-assign]  # its own
