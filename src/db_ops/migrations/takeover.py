"""Run an env.py that has never heard of `db_ops` on our connection, or learn where it would go.

Whatever engine env.py makes, from whatever URL and for whatever driver, it has to connect and to
hand a connection to `context.configure`. Both are taken over while env.py runs: `Engine.connect`
gives a connection over our driver connection (or, to learn, over nothing), and `configure` gets our
own, outside of any transaction that env.py has begun. The classes are SQLAlchemy's and Alembic's,
so this reaches other threads of the process; one env.py may be run at a time.

Source: SQLAlchemy documentation, `DialectEvents.do_connect`; Alembic documentation,
`EnvironmentContext.configure`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from db_ops.migrations.blank import blank_engine
from db_ops.migrations.comparison import comparison_options, make_default_comparison_safe
from db_ops.migrations.describe import describe
from db_ops.migrations.environment import Session, check_ids, examine

if TYPE_CHECKING:
    from collections.abc import Callable

    from alembic.operations import MigrationScript
    from alembic.runtime.environment import EnvironmentContext
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import Connection, Engine

# Options of theirs that would take a revision's own transaction away.
_OURS_ALONE = ("transaction_per_migration", "transactional_ddl")
_LOOKS = re.compile(r"\s*(?:SELECT|SET|RESET|SHOW|WITH|VALUES)\b", re.I)
_LOCKS = re.compile(r"\bpg_(?:try_)?advisory_", re.I)
# The names of libpq's keywords in drivers that have their own.
_DRIVER_NAMES = {"asyncpg": {"dbname": "database"}, "pg8000": {"dbname": "database"}}


class _Stopped(BaseException):
    """Ends an attempt to connect; not an `Exception`, which env.py may be prepared for."""


@contextmanager
def taking_over(session: Session) -> Iterator[None]:
    """Let what env.py does, for a `with` block, happen on `session.connection`.

    A session that `learns` has none: nothing is contacted, no migration runs. One that
    `keeps_theirs` lets env.py's own engine connect, to our database.
    """
    from alembic.runtime.environment import EnvironmentContext
    from sqlalchemy import Engine

    takeover = _Takeover(session, Engine.connect, EnvironmentContext.configure)
    run = EnvironmentContext.run_migrations

    def connect(engine: Engine) -> Connection:
        return takeover.connect(engine)

    def configure(
        context: EnvironmentContext, connection: Connection | None = None, **options: Any
    ) -> None:
        takeover.configure(context, connection, options)

    def run_migrations(context: EnvironmentContext, **arguments: Any) -> None:
        if not session.learns:
            run(context, **arguments)

    Engine.connect = connect  # type: ignore[method-assign, assignment]  # put back below
    EnvironmentContext.configure = configure  # type: ignore[assignment]  # put back below
    EnvironmentContext.run_migrations = run_migrations  # type: ignore[method-assign, assignment]  # put back below
    try:
        yield
    finally:
        Engine.connect = takeover.original_connect  # type: ignore[method-assign, assignment]
        EnvironmentContext.configure = takeover.original_configure  # type: ignore[method-assign]
        EnvironmentContext.run_migrations = run  # type: ignore[method-assign]


@dataclass
class _Takeover:
    session: Session
    original_connect: Callable[[Engine], Connection]
    original_configure: Callable[..., None]
    engines: list[Engine] = field(default_factory=list)

    def connect(self, engine: Engine) -> Connection:
        from sqlalchemy import event

        session, ours = self.session, self.session.connection
        if engine.dialect.name != "postgresql" or (ours is not None and engine is ours.engine):
            return self.original_connect(engine)
        if ours is not None and session.keeps_theirs:
            return self._redirected(engine, ours)
        if engine not in self.engines:
            self.engines.append(engine)
            session.destinations.append(self._destination(engine))
            if ours is not None:
                _greet(engine, ours)
        source = blank_engine(session.statements) if ours is None else ours.engine
        connection = self.original_connect(source)
        if session.looks:
            event.listen(connection, "before_cursor_execute", _only_look, retval=True)
        return connection.execution_options(**_kept(engine.get_execution_options()))

    def configure(
        self, context: EnvironmentContext, connection: Connection | None, options: dict[str, Any]
    ) -> None:
        session, ours = self.session, self.session.connection
        session.calls.append(dict(options))
        if session.metadata is None:
            session.metadata = options.get("target_metadata")
        if connection is None or ours is None:
            self.original_configure(context, connection=connection, **options)
            session.reached = True
            return
        if not session.keeps_theirs:
            # What env.py has done so far stays, as SET does under the plain command.
            ours.connection.commit()
            ours.execution_options(**_kept(connection.get_execution_options()))
        elif connection.in_transaction():
            connection.commit()
        used = connection if session.keeps_theirs else ours
        self.original_configure(context, connection=used, **self._options(context, options))
        if options.get("compare_server_default", True) is True:
            make_default_comparison_safe(context.get_context())
        if session.recording is not None:
            migration = context.get_context()
            callbacks = migration.on_version_apply_callbacks
            migration.on_version_apply_callbacks = (*callbacks, session.recording)
            session.recording.begin()
        session.reached = True

    def _options(self, context: EnvironmentContext, theirs: dict[str, Any]) -> dict[str, Any]:
        options = {name: value for name, value in theirs.items() if name not in _OURS_ALONE}
        options["transaction_per_migration"] = True
        if self.session.looks:
            options = {**_defaults(theirs), **options, "dont_mutate": True}
            options["include_name"] = self._without_version_tables(options.get("include_name"))
        options["process_revision_directives"] = self._processing(
            context, theirs.get("process_revision_directives")
        )
        return options

    def _without_version_tables(self, theirs: Any) -> Callable[[Any, Any, Any], bool]:
        """Wrap env.py's filter: Alembic itself leaves out the one table of the one schema."""
        tables = {call.get("version_table") or "alembic_version" for call in self.session.calls}

        def included(name: Any, kind: Any, parents: Any) -> bool:
            if kind == "table" and name in tables:
                return False
            return theirs is None or bool(theirs(name, kind, parents))

        return included

    def _processing(
        self, environment: EnvironmentContext, theirs: Any
    ) -> Callable[[MigrationContext, Any, list[MigrationScript]], None]:
        """Wrap what env.py does to generated scripts, so that a comparison is seen whole."""
        revision_context = environment.context_opts.get("revision_context")
        # `alembic check` has no message, and fails on a list that env.py has emptied.
        checks = revision_context is not None and not revision_context.command_args.get("message")

        def process(
            context: MigrationContext, revision: Any, directives: list[MigrationScript]
        ) -> None:
            found = list(directives)
            if theirs is not None:
                theirs(context, revision, directives)
            if checks and not directives:
                directives[:] = found
            # With several calls of `configure`, the list holds what was found in those before too.
            self.session.diffs.clear()
            examine(self.session, directives)
            unique = {describe(diff): diff for diff in self.session.diffs}
            self.session.diffs[:] = unique.values()
            check_ids(directives)

        return process

    def _destination(self, engine: Engine) -> dict[str, Any]:
        """Return the arguments with which *engine* would have called its driver."""
        from sqlalchemy import event

        seen: list[dict[str, Any]] = []

        def stop(dialect: Any, record: Any, cargs: Any, cparams: dict[str, Any]) -> None:
            dsn = {"dsn": cargs[0]} if cargs and cargs[0] else {}
            seen.append({**dsn, **cparams})
            raise _Stopped

        event.listen(engine, "do_connect", stop)
        try:
            # A pool that holds a connection already, from an import, does not connect.
            self.original_connect(engine).close()
        except _Stopped:
            return seen[0]
        finally:
            event.remove(engine, "do_connect", stop)
        return dict(engine.dialect.create_connect_args(engine.url)[1])

    def _redirected(self, engine: Engine, ours: Connection) -> Connection:
        from sqlalchemy import event

        def redirect(dialect: Any, record: Any, cargs: Any, cparams: dict[str, Any]) -> None:
            info = ours.connection.driver_connection.info  # type: ignore[union-attr]
            names = _DRIVER_NAMES.get(dialect.driver, {})
            for name in ("host", "port", "user", "password", "dbname"):
                value = getattr(info, name)
                cparams.pop(names.get(name, name), None)
                if value:
                    cparams[names.get(name, name)] = value

        if engine not in self.engines:
            self.engines.append(engine)
            event.listen(engine, "do_connect", redirect)
        return self.original_connect(engine)


def _only_look(
    connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
) -> tuple[str, Any]:
    """Replace what env.py would write, or lock, before it configures: the session is read-only."""
    if _LOOKS.match(statement) and not _LOCKS.search(statement):
        return statement, parameters
    return "SELECT true", ()


def _greet(engine: Engine, ours: Connection) -> None:
    """Let the project's own listeners prepare our driver connection, if it is of their driver."""
    if engine.dialect.driver != "psycopg2":
        return
    proxied = ours.connection
    for listener in engine.pool.dispatch.connect:
        if getattr(listener, "__module__", "").startswith("sqlalchemy."):
            continue
        listener(proxied.dbapi_connection, proxied._connection_record)
    proxied.commit()


def _kept(options: Any) -> dict[str, Any]:
    # Autocommit would take the revision's transaction away.
    return {name: value for name, value in options.items() if name != "isolation_level"}


def _defaults(theirs: dict[str, Any]) -> dict[str, Any]:
    """Return what makes a comparison complete, where env.py has no opinion."""
    metadata = theirs.get("target_metadata")
    if metadata is None or isinstance(metadata, list | tuple | set):
        return {}
    options = comparison_options(metadata)
    if not {"include_schemas", "include_name", "include_object"}.isdisjoint(theirs):
        options.pop("include_name", None)
        if "include_schemas" not in theirs:
            options.pop("include_schemas", None)
    return options
