"""Run an env.py that does not call `db_ops` on our connection, or inspect where it connects.

Whatever engine env.py creates, from whatever URL and for whatever driver, it has to connect and to
pass a connection to `context.configure`. Both are replaced while env.py runs: `Engine.connect`
returns a connection over our driver connection (in an inspection, over a null one), `Pool.connect`
does so for code that calls the driver itself, as `raw_connection`, and `configure` gets our own
connection, outside of any transaction that env.py has begun. The classes are SQLAlchemy's and
Alembic's, so other threads of the process are affected; one env.py may be run at a time.

Source: SQLAlchemy documentation, `DialectEvents.do_connect`; Alembic documentation,
`EnvironmentContext.configure`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from db_ops.migrations.autogenerate.comparison import (
    comparison_options,
    make_default_comparison_safe,
)
from db_ops.migrations.env.configured import check_configured, configured_now
from db_ops.migrations.env.runtime import Session, processing
from db_ops.migrations.foreign_env.driver_connections import (
    connection_parameters_of,
    is_scratch,
    psycopg2_by_default,
    replaced_drivers,
)
from db_ops.migrations.foreign_env.engines import (
    Engines,
    inherited_execution_options,
    make_read_only,
)
from db_ops.settings import RECORDS_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable

    from alembic.runtime.environment import EnvironmentContext
    from sqlalchemy import Connection, Engine, Pool, PoolProxiedConnection

# Options of theirs that would take a revision's own transaction away.
_OURS_ALONE = ("transaction_per_migration", "transactional_ddl")

_SEEN = "autogenerate would see the records, and drop them: env.py sets include_schemas"
_UNSEEN = (
    "let its include_name leave out schema db_ops, or use Alembic 1.18 or newer; "
    "then: db-ops history --record"
)


@contextmanager
def env_py_adoption(session: Session) -> Iterator[Engines]:
    """Make env.py, for a `with` block, use `session.connection`.

    A session that `inspects` has none: nothing is contacted, no migration runs. One that
    `uses_own_connection` lets env.py's own engine connect, to our database.
    """
    from alembic.runtime.environment import EnvironmentContext
    from sqlalchemy import Engine, Pool
    from sqlalchemy.engine import Transaction

    engines = Engines(session, Engine.connect, Pool.connect)
    adoption = _Adoption(session, EnvironmentContext.configure)
    run = EnvironmentContext.run_migrations
    ends = {name: getattr(Transaction, name) for name in ("commit", "rollback")}
    ours = session.connection

    def connect(engine: Engine) -> Connection:
        return engines.connect(engine)

    def connect_pool(pool: Pool) -> PoolProxiedConnection:
        return engines.connect_pool(pool)

    def configure(
        context: EnvironmentContext, connection: Connection | None = None, **options: Any
    ) -> None:
        if is_ours(context):
            adoption.configure(context, connection, options)
        else:
            adoption.original_configure(context, connection=connection, **options)

    def run_migrations(context: EnvironmentContext, **arguments: Any) -> None:
        if is_ours(context) and not session.inspects:
            run(context, **arguments)

    def ending(name: str) -> Callable[[Transaction], None]:
        def end(transaction: Transaction) -> None:
            if transaction in adoption.ended:
                # What has come since is in another one.
                getattr(transaction.connection, name)()
            else:
                ends[name](transaction)

        return end

    def is_ours(context: EnvironmentContext) -> bool:
        # Many an application runs Alembic's commands itself when it is made; what they would do is
        # what was asked of us, or what was not.
        return session.bootstraps or context.config.attributes.get("db_ops") is session

    place = (
        connection_parameters_of(ours.connection.driver_connection) if ours is not None else None
    )
    if ours is not None and session.read_only and not session.may_try:
        make_read_only(ours.connection.driver_connection, session)
    Engine.connect = connect  # type: ignore[method-assign, assignment]  # put back below
    Pool.connect = connect_pool  # type: ignore[method-assign, assignment]  # put back below
    EnvironmentContext.configure = configure  # type: ignore[assignment]  # put back below
    EnvironmentContext.run_migrations = run_migrations  # type: ignore[method-assign, assignment]  # put back below
    for name in ends:
        setattr(Transaction, name, ending(name))
    try:
        with ExitStack() as stack:
            stack.enter_context(psycopg2_by_default())
            if place is None or session.read_only:
                stack.enter_context(replaced_drivers(session, None))
            elif is_scratch(place.get("dbname", "")):
                stack.enter_context(replaced_drivers(session, place))
            yield engines
    finally:
        Engine.connect = engines.original_connect  # type: ignore[method-assign, assignment]
        Pool.connect = engines.original_pool_connect  # type: ignore[method-assign, assignment]
        EnvironmentContext.configure = adoption.original_configure  # type: ignore[method-assign]
        EnvironmentContext.run_migrations = run  # type: ignore[method-assign]
        for name, end in ends.items():
            setattr(Transaction, name, end)


@dataclass
class _Adoption:
    """Replaces `EnvironmentContext.configure`, and records the calls of env.py.

    `ended` are transactions that env.py has begun for the revisions, which have one each.
    """

    session: Session
    original_configure: Callable[..., None]
    ended: list[Any] = field(default_factory=list)

    def configure(
        self, context: EnvironmentContext, connection: Connection | None, options: dict[str, Any]
    ) -> None:
        session, ours = self.session, self.session.connection
        metadata = options.get("target_metadata")
        metadata = session.metadata_of_models if metadata is None else metadata
        if session.reported is None:
            # Not where revisions run: Alembic would name what they make by its convention.
            options = {**options, "target_metadata": metadata}
        session.calls.append(dict(options))
        called = configured_now(context.script, options, session.statements)
        session.configured.append(called)
        session.scope.look_at(options)
        session.scope.translate_as(connection)
        if session.metadata is None:
            session.metadata = metadata
        if connection is None or ours is None:
            self.original_configure(context, connection=connection, **options)
            session.reached = True
            return
        used = ours if connection.engine is ours.engine else connection
        session.uses_own_connection = used is not ours
        if used is ours:
            # What env.py has done so far stays, as SET does under the plain command.
            ours.connection.commit()
            ours.execution_options(
                **inherited_execution_options(connection.get_execution_options())
            )
        elif connection.in_transaction():
            begun = connection.get_transaction()
            connection.commit()
            self.ended.append(begun)
        if session.schema is not None:
            check_configured(called, session.schema, used)
        self.original_configure(context, connection=used, **self._options(options))
        if options.get("compare_server_default", True) is True:
            make_default_comparison_safe(context.get_context())
        if session.recording is not None and session.scope.sees_records():
            session.recording.recorder.turn_off(_SEEN, _UNSEEN)
            session.recording = None
        session.record_steps(context.get_context())
        session.reached = True

    def _options(self, theirs: dict[str, Any]) -> dict[str, Any]:
        options = {name: value for name, value in theirs.items() if name not in _OURS_ALONE}
        options["transaction_per_migration"] = True
        if self.session.read_only:
            options = self.session.scope.watched(
                {**_defaults(theirs), **options, "dont_mutate": True}
            )
            options["include_name"] = self._without_our_tables(options.get("include_name"))
        options["process_revision_directives"] = processing(
            self.session, theirs.get("process_revision_directives")
        )
        return options

    def _without_our_tables(self, theirs: Any) -> Callable[[Any, Any, Any], bool]:
        """Wrap env.py's filter: Alembic itself leaves out one version table of one schema."""
        tables = {call.get("version_table") or "alembic_version" for call in self.session.calls}

        def included(name: Any, kind: Any, parents: Any) -> bool:
            if kind == "table" and name in tables:
                return False
            if kind == "schema" and name == RECORDS_SCHEMA:
                return False
            return theirs is None or bool(theirs(name, kind, parents))

        return included


def _defaults(theirs: dict[str, Any]) -> dict[str, Any]:
    """Return the comparison options that env.py does not set itself."""
    metadata = theirs.get("target_metadata")
    if metadata is None or isinstance(metadata, list | tuple | set):
        return {}
    options = comparison_options(metadata)
    if not {"include_schemas", "include_name", "include_object"}.isdisjoint(theirs):
        options.pop("include_name", None)
        if "include_schemas" not in theirs:
            options.pop("include_schemas", None)
    return options
