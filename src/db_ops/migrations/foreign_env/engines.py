"""The engines that env.py creates, and the connections they return while it is run.

They use our driver connection, or a null connection where env.py is only inspected. Code that calls
the driver itself is written for one driver: in a read-only session it gets a null connection,
otherwise a connection of its own driver to our database.

Source: SQLAlchemy documentation, `DialectEvents.do_connect`, `Pool.connect`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from db_ops.migrations.env.runtime import Session, run_settings
from db_ops.migrations.foreign_env.driver_connections import (
    LOCATION_PARAMETERS,
    connection_parameters_of,
    read_only_cursor,
)
from db_ops.migrations.foreign_env.driver_session import watch_transactions
from db_ops.migrations.foreign_env.null_connection import answer_as_driver, null_engine
from db_ops.settings.keepalives import keep_alive

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine, Pool, PoolProxiedConnection

# The names of libpq's keywords in drivers that have their own.
_DRIVER_NAMES = {"asyncpg": {"dbname": "database"}, "pg8000": {"dbname": "database"}}


class _Stopped(BaseException):
    """Stops an attempt to connect; not an `Exception`, which env.py may catch."""


@dataclass
class Engines:
    """Replaces `Engine.connect` and `Pool.connect` while env.py is run."""

    session: Session
    original_connect: Callable[[Engine], Connection]
    original_pool_connect: Callable[[Pool], PoolProxiedConnection]
    engines: list[Engine] = field(default_factory=list)
    # Whose connections are ours, or lead to where ours do.
    known: list[Pool] = field(default_factory=list)
    redirected: list[Any] = field(default_factory=list)

    def forget(self) -> None:
        """Discard what was recorded before env.py itself was run."""
        self.engines.clear()
        self.session.destinations.clear()
        self.session.statements.clear()

    def connect(self, engine: Engine) -> Connection:
        from db_ops.migrations.env.shared_pool import gives_out_new_connections

        session, ours = self.session, self.session.connection
        if engine.dialect.name != "postgresql" or (ours is not None and engine is ours.engine):
            return self.original_connect(engine)
        if ours is not None and (session.uses_own_connection or self._is_kept(engine)):
            return self._redirected(engine, ours)
        if ours is not None and gives_out_new_connections(ours.engine):
            return self._beside(engine, ours)
        session.connected = True
        if engine not in self.engines:
            self.engines.append(engine)
            if session.inspects:
                session.destinations.append(self._destination(engine))
            if ours is not None:
                _call_connect_listeners(engine, ours)
        if ours is None:
            source = self._blank(engine.dialect.is_async)
        else:
            source = ours.engine
            if session.read_only and engine.dialect.is_async:
                answer_as_driver(source, session)
        connection = self.original_connect(source)
        if ours is not None:
            _share_facts(engine.dialect, source.dialect)
        return connection.execution_options(
            **inherited_execution_options(engine.get_execution_options())
        )

    def connect_pool(self, pool: Pool) -> PoolProxiedConnection:
        """Return a connection of the pool, replaced as `connect` does for an engine."""
        dialect: Any = pool._dialect
        session, ours = self.session, self.session.connection
        if any(pool is one for one in self.known) or dialect.name != "postgresql":
            return self.original_pool_connect(pool)
        if ours is not None and pool is ours.engine.pool:
            return self.original_pool_connect(pool)
        if dialect.driver == "psycopg2" and ours is not None:
            return self.original_pool_connect(ours.engine.pool)
        # Code that goes below SQLAlchemy is written for that driver.
        if ours is not None and not session.read_only:
            fresh = pool.recreate()
            self.known.append(fresh)
            self._redirect(dialect, ours)
            pooled = self.original_pool_connect(fresh)
            for statement in session.first:
                pooled.cursor().execute(statement)
                pooled.commit()
            return pooled
        return self.original_pool_connect(self._blank(dialect.is_async).pool)

    def _beside(self, engine: Engine, ours: Connection) -> Connection:
        """Return a connection of its own to where ours is, set up as one of *engine*."""
        from db_ops.migrations.env.shared_pool import BORROWER, lent_to

        with lent_to(engine):
            connection = self.original_connect(ours.engine)
        if BORROWER not in connection.info:
            connection.info[BORROWER] = engine
            _call_connect_listeners(engine, connection)
        _share_facts(engine.dialect, ours.dialect)
        options = dict(engine.get_execution_options())
        level = getattr(engine.dialect, "_on_connect_isolation_level", None)
        if level is not None:
            options.setdefault("isolation_level", level)
        return connection.execution_options(**options)

    def _blank(self, is_async: bool) -> Engine:
        engine = null_engine(self.session.statements)
        if is_async:
            answer_as_driver(engine, self.session)
        self.known.append(engine.pool)
        return engine

    def _destination(self, engine: Engine) -> dict[str, Any]:
        """Return the arguments with which *engine* calls its driver, without connecting."""
        from sqlalchemy import event

        seen: list[dict[str, Any]] = []

        def stop(dialect: Any, record: Any, cargs: Any, cparams: dict[str, Any]) -> None:
            dsn = {"dsn": cargs[0]} if cargs and cargs[0] else {}
            seen.append({**dsn, **cparams})
            raise _Stopped

        if self.session.is_known and _has_creator(engine):
            # A connector of a cloud's, which would connect to what is not asked for.
            return {}
        known_dsns = len(self.session.driver_dsns)
        # What the project's own listeners do, such as getting a token, is not needed then.
        listen = _listen_first if self.session.is_known else event.listen
        listen(engine, "do_connect", stop)
        self.known.append(engine.pool)
        try:
            # A pool that holds a connection already, from an import, does not connect.
            self.original_connect(engine).close()
        except _Stopped:
            return seen[0]
        except Exception:
            # One that has a creator of its own got a connection to nothing.
            engine.pool.dispose()
        finally:
            event.remove(engine, "do_connect", stop)
            self.known.remove(engine.pool)
        if len(self.session.driver_dsns) > known_dsns:
            return {"dsn": self.session.driver_dsns[-1]}
        return dict(engine.dialect.create_connect_args(engine.url)[1])

    def _redirected(self, engine: Engine, ours: Connection) -> Connection:
        if engine not in self.engines:
            self.engines.append(engine)
            self.known.append(engine.pool)
        self._redirect(engine.dialect, ours)
        if _has_creator(engine) and engine.pool not in self.redirected:
            self.redirected.append(engine.pool)
            engine.pool._creator = lambda *record: self._connected(engine, ours)
        connection = self.original_connect(engine)
        keep_alive(connection.connection.driver_connection)
        if self.session.first:
            run_settings(connection, *self.session.first)
            connection.commit()
        watch = self.session.watch
        if watch is not None:
            watch_transactions(connection, ours.connection.driver_connection, watch)
        return connection

    def _is_kept(self, engine: Engine) -> bool:
        return self.session.keeps_driver and engine.dialect.driver != "psycopg2"

    def _connected(self, engine: Engine, ours: Connection) -> Any:
        """Connect *engine*'s driver to where ours is, in the place of a creator of its own."""
        parameters = dict(engine.dialect.create_connect_args(engine.url)[1])
        _lead_to(parameters, engine.dialect, ours)
        return engine.dialect.connect(**parameters)

    def _redirect(self, dialect: Any, ours: Connection) -> None:
        def redirect(dialect: Any, record: Any, cargs: Any, cparams: dict[str, Any]) -> Any:
            _lead_to(cparams, dialect, ours)
            # Listeners of the project's own might lead elsewhere, or want a token first.
            return dialect.connect(**cparams)

        if dialect not in self.redirected:
            self.redirected.append(dialect)
            _listen_first(dialect, "do_connect", redirect)


def _share_facts(theirs: Any, ours: Any) -> None:
    """Tell the dialect of an engine that does not connect what ours was told by the server."""
    for name in ("server_version_info", "default_schema_name"):
        if getattr(theirs, name, None) is None:
            setattr(theirs, name, getattr(ours, name))


def _lead_to(parameters: dict[str, Any], dialect: Any, ours: Connection) -> None:
    """Change the *parameters* of a driver so that it connects to where ours is."""
    names = _DRIVER_NAMES.get(dialect.driver, {})
    place = connection_parameters_of(ours.connection.driver_connection)
    parameters.pop("async_creator_fn", None)
    for name in LOCATION_PARAMETERS:
        parameters.pop(names.get(name, name), None)
    parameters.update({names.get(name, name): value for name, value in place.items()})


def _listen_first(target: Any, name: str, function: Callable[..., Any]) -> None:
    """Listen before all others, which the events of a dialect have no public way for."""
    from sqlalchemy.event.api import _event_key

    key = _event_key(target, name, function)
    key.dispatch_target._has_events = True
    key.base_listen(insert=True)


def _has_creator(engine: Engine) -> bool:
    """Tell whether *engine* was made with a function of the project's own that connects."""
    creator = getattr(engine.pool, "_creator", None)
    return getattr(creator, "__module__", "") != "sqlalchemy.engine.create"


def make_read_only(driver: Any, session: Session) -> None:
    """Skip statements of env.py that write or lock: the session is read-only."""
    driver.cursor_factory = read_only_cursor(type(driver.cursor()), session)


def _call_connect_listeners(engine: Engine, ours: Connection) -> None:
    """Call the `connect` listeners of *engine* with our connection, if the driver is psycopg2."""
    if engine.dialect.driver != "psycopg2":
        return
    proxied = ours.connection
    for listener in engine.pool.dispatch.connect:
        if getattr(listener, "__module__", "").startswith("sqlalchemy."):
            continue
        listener(proxied.dbapi_connection, proxied._connection_record)
    proxied.commit()


def inherited_execution_options(options: Any) -> dict[str, Any]:
    # Autocommit would take the revision's transaction away.
    return {name: value for name, value in options.items() if name != "isolation_level"}
