"""Replace the connect functions of drivers that env.py calls without SQLAlchemy.

In a read-only session they return null connections; on a scratch database, connections to that.
Our own connections, known by their application name, are not replaced. Drivers that env.py imports
later are replaced when they are imported.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from typing import Any

from db_ops.migrations.env.runtime import Session
from db_ops.migrations.foreign_env.null_connection import NullConnection, NullSession

_OURS = "application_name='db_ops "
_LOOKS = re.compile(r"\s*(?:SELECT|SET|RESET|SHOW|WITH|VALUES|SAVEPOINT|RELEASE|ROLLBACK)\b", re.I)
_CHANGES = re.compile(r"\bpg_(?:try_)?advisory_|\bread\s+write\b|transaction_read_only", re.I)
LOCATION_PARAMETERS = ("host", "port", "user", "password", "dbname")


@contextmanager
def replaced_drivers(session: Session, place: Mapping[str, str] | None) -> Iterator[None]:
    """Connect to *place* in a `with` block, or to no server, recording the statements."""
    with ExitStack() as stack:

        def take(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
            original = owner.__dict__[name]
            setattr(owner, name, make(getattr(owner, name)))
            stack.callback(setattr, owner, name, original)

        taken = _DriverReplacement(session, place, take)
        late = {
            "psycopg2": taken.take_psycopg2,
            "psycopg": taken.take_psycopg,
            "asyncpg.connect_utils": taken.take_asyncpg,
            "asyncpg": taken.take_pools,
        }
        for name, function in late.items():
            if sys.modules.get(name) is not None:
                function()
        finder = _LateFinder({n: f for n, f in late.items() if n not in sys.modules})
        sys.meta_path.insert(0, finder)
        stack.callback(sys.meta_path.remove, finder)
        try:
            yield
        finally:
            taken.active = False


@contextmanager
def psycopg2_by_default() -> Iterator[None]:
    """Let `postgresql://` mean psycopg2, in a `with` block, where psycopg cannot be imported.

    SQLAlchemy 2.1 takes it to mean psycopg; a URL was written so for the version before.
    """
    from sqlalchemy.dialects import registry

    before = registry.impls.pop("postgresql", None)

    def load() -> Any:
        try:
            import_module("psycopg")
        except ImportError:
            from sqlalchemy.dialects.postgresql import psycopg2

            return psycopg2.dialect
        del registry.impls["postgresql"]
        try:
            return registry.load("postgresql")
        finally:
            registry.impls["postgresql"] = load

    registry.impls["postgresql"] = load
    try:
        yield
    finally:
        del registry.impls["postgresql"]
        if before is not None:
            registry.impls["postgresql"] = before


class _DriverReplacement:
    """The replaced functions; a reference kept after the block calls the original."""

    def __init__(
        self,
        session: Session,
        place: Mapping[str, str] | None,
        take: Callable[[Any, str, Callable[[Any], Any]], None],
    ) -> None:
        self.session, self.place, self.take = session, place, take
        self.statements = session.statements
        self.active = True

    def take_psycopg2(self) -> None:
        psycopg2 = sys.modules["psycopg2"]

        def make(original: Any) -> Any:
            def connect(dsn: str, *arguments: Any, **options: Any) -> Any:
                if not self.active or _OURS in dsn:
                    return original(dsn, *arguments, **options)
                if self.place is None:
                    self.session.driver_dsns.append(dsn)
                    if self.session.connection is not None:
                        driver = self.session.connection.connection.driver_connection
                        return _Borrowed(driver, self.session)
                    return NullConnection(self.statements)
                return original(
                    psycopg2.extensions.make_dsn(dsn, **self.place), *arguments, **options
                )

            return connect

        self.take(psycopg2, "_connect", make)

    def take_psycopg(self) -> None:
        psycopg = sys.modules["psycopg"]

        def make(original: Any) -> Any:
            def connect(*arguments: Any, **options: Any) -> Any:
                if not self.active or self.place is not None:
                    return original(*arguments, **{**options, **(self._there() or {})})
                return NullConnection(self.statements)

            return connect

        def make_async(original: Any) -> Any:
            async def connect(*arguments: Any, **options: Any) -> Any:
                if not self.active or self.place is not None:
                    return await original(*arguments, **{**options, **(self._there() or {})})
                return NullSession(self.statements)

            return connect

        self.take(psycopg.Connection, "connect", make)
        self.take(psycopg.AsyncConnection, "connect", make_async)
        self.take(psycopg, "connect", make)

    def take_asyncpg(self) -> None:
        def make(original: Any) -> Any:
            async def connect(**options: Any) -> Any:
                if self.active and self.place is None:
                    return NullSession(self.statements)
                there = self._there() or {}
                if "dbname" in there:
                    there["database"] = there.pop("dbname")
                return await original(**{**options, **there})

            return connect

        self.take(sys.modules["asyncpg.connect_utils"], "_connect", make)

    def take_pools(self) -> None:
        def make(original: Any) -> Any:
            def create_pool(*arguments: Any, **options: Any) -> Any:
                if self.active and self.place is None:
                    return NullSession(self.statements)
                return original(*arguments, **options)

            return create_pool

        asyncpg = sys.modules["asyncpg"]
        self.take(asyncpg.pool, "create_pool", make)
        self.take(asyncpg, "create_pool", make)

    def _there(self) -> dict[str, str] | None:
        return dict(self.place) if self.active and self.place is not None else None


def read_only_cursor(base: Any, session: Session) -> Any:
    """Return a class of cursors that skip what would write or lock: the session is read-only.

    They append what they are given to its `statements`, and what they ask to its `questions`.
    """

    class ReadOnlyCursor(base):  # type: ignore[misc]
        def execute(self, query: Any, vars: Any = None) -> None:
            text = query if isinstance(query, str) else self.mogrify(query, vars).decode()
            session.statements.append(text)
            if _LOOKS.match(text) and not _CHANGES.search(text):
                session.questions.append(self.mogrify(query, vars).decode())
                super().execute(query, vars)
            else:
                super().execute("SELECT true")

    return ReadOnlyCursor


class _Borrowed:
    """Our read-only session, which who gets it may neither close nor change."""

    autocommit = False

    def __init__(self, driver: Any, session: Session) -> None:
        self._driver, self._session = driver, session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    def __enter__(self) -> _Borrowed:
        return self

    def __exit__(self, *error: object) -> None:
        self._driver.rollback()

    def cursor(self, *arguments: Any, cursor_factory: Any = None, **options: Any) -> Any:
        factory = cursor_factory and read_only_cursor(cursor_factory, self._session)
        return self._driver.cursor(*arguments, cursor_factory=factory, **options)

    def close(self) -> None:
        self._driver.rollback()

    def set_session(self, *arguments: Any, **options: Any) -> None:
        """Leave it read-only."""

    set_isolation_level = set_client_encoding = set_session


class _LateFinder(MetaPathFinder):
    """Calls a function when a module has been imported."""

    def __init__(self, waiting: dict[str, Callable[[], None]]) -> None:
        self._waiting = waiting

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        function = self._waiting.pop(fullname, None)
        spec = find_spec(fullname) if function is not None else None
        if function is None or spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            function()

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]  # of this one loader
        return spec


def is_scratch(database: str) -> bool:
    """Tell whether *database* is a scratch database."""
    return database.startswith("db_ops_scratch_")


def connection_parameters_of(connection: Any) -> dict[str, str]:
    """Return the libpq parameters of a psycopg2 connection."""
    found = {name: getattr(connection.info, name) for name in LOCATION_PARAMETERS}
    return {name: str(value) for name, value in found.items() if value}
