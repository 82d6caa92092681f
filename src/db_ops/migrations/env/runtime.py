"""The body of every `env.py`.

It serves two callers: our own runner, which hands its connection over in
`config.attributes["db_ops"]`, and the plain `alembic` command, for which `connect` opens the
database that the project's settings name. No URL ever passes through Alembic's configuration: a
percent sign would break it, and a password would be written where others print it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from db_ops.errors import DbOpsError, EmptyMetadata
from db_ops.migrations.autogenerate.scope import AutogenerateScope
from db_ops.migrations.env.configured import Configured, check_configured, configured_now
from db_ops.migrations.env.engine import connection_over
from db_ops.migrations.env.env_source import running_with
from db_ops.migrations.env.step_recorder import StepRecorder, StepRecording

if TYPE_CHECKING:
    from alembic.operations import MigrationScript
    from alembic.runtime.migration import MigrationContext, RevisionStep
    from psycopg2.extensions import connection as DriverConnection
    from sqlalchemy import Connection, MetaData

    from db_ops.migrations.foreign_env.driver_session import TransactionWatch

MAX_REVISION_ID = 32
# The session of an environment that the project's own function has Alembic run.
current_session: ContextVar[Session | None] = ContextVar("current_session", default=None)


@dataclass(frozen=True)
class Opened:
    """A connection for the plain `alembic` command, and the recorder of its steps.

    `open_beside` opens what a revision asks for beside it.
    """

    connection: DriverConnection
    recorder: StepRecorder | None = None
    open_beside: Callable[[], DriverConnection] | None = None


Connect = Callable[[bool], AbstractContextManager[Opened]]
# Returns the steps that lead from the heads of a context.
Plan = Callable[[Any, Any], "Iterable[RevisionStep]"]
Reported = Callable[[Plan], Plan]


@dataclass
class Session:
    """What the runner passes to env.py: its connection, and whether env.py is run `read_only`.

    `reached` is set once env.py has called `context.configure`; an error before that is env.py's.
    `metadata` is its `target_metadata`, one `MetaData` or several; `metadata_of_models`, of the
    modules that the project names, stands in for it. `scope` is what a comparison found,
    `unchecked` what it could not compare. `recording` is called for each step, `reported` passes
    those that env.py's plan has on to Alembic. `typed` is the command of Alembic, with its
    arguments, that does the same, `destination` its revision. `schemas` are compared although no
    model lives there. One that `may_try` may write in a scratch database.

    One that `inspects` runs nothing, and without a connection contacts nobody: it holds the
    arguments of `configure` in each of the `calls`, and whether env.py `called_run_migrations` of
    `db_ops`. One that `bootstraps` runs what the project's function asks of Alembic. The rest is
    for an env.py that does not call `db_ops`: our database `is_known`; env.py has
    `connected` an engine; it `uses_own_connection`, opened by its own engine to our database, also
    where it `keeps_driver` and that is not psycopg2, with a `watch` on its transactions and the
    statements `first` in what it opens; the `destinations` that it wanted to connect to, its
    `statements`, whether it `uses_driver`, the functions of an asynchronous driver; `driver_dsns`
    are what it passed to `psycopg2.connect`, `questions` what a database was asked for it.
    `schema` is the one that is meant, of several with the same tables, and `configured` what it
    chose in each of the `calls`.
    """

    connection: Connection | None = None
    read_only: bool = False
    reached: bool = False
    metadata: Any = None
    metadata_of_models: Any = None
    scope: AutogenerateScope = field(default_factory=AutogenerateScope)
    unchecked: tuple[str, ...] = ()
    recording: StepRecording | None = None
    reported: Reported | None = None
    typed: tuple[str, Mapping[str, Any]] = ("current", MappingProxyType({}))
    destination: str = "head"
    schemas: tuple[str, ...] = ()
    may_try: bool = False
    inspects: bool = False
    bootstraps: bool = False
    connected: bool = False
    is_known: bool = False
    uses_own_connection: bool = False
    keeps_driver: bool = False
    watch: TransactionWatch | None = None
    first: tuple[str, ...] = ()
    uses_driver: bool = False
    called_run_migrations: bool = False
    calls: list[dict[str, Any]] = field(default_factory=list)
    destinations: list[dict[str, Any]] = field(default_factory=list, repr=False)
    statements: list[str] = field(default_factory=list, repr=False)
    driver_dsns: list[str] = field(default_factory=list, repr=False)
    questions: list[str] = field(default_factory=list, repr=False)
    schema: str | None = None
    configured: list[Configured] = field(default_factory=list, repr=False)

    def record_steps(self, migration: MigrationContext) -> None:
        """Record the steps of a context that env.py has configured."""
        if self.recording is not None:
            callbacks = migration.on_version_apply_callbacks
            migration.on_version_apply_callbacks = (*callbacks, self.recording)
            self.recording.begin()


def configure_and_run(target_metadata: MetaData, *, connect: Connect, **options: Any) -> None:
    """Run what Alembic was asked for: migrations, a comparison, or SQL on paper.

    Each revision runs in a transaction of its own, so that a failure leaves everything before it
    applied. *connect* is called with True if the command writes, and is expected to hold the
    migration lock for it. *options* are added to `context.configure` and win over ours.
    """
    from alembic import context

    from db_ops.migrations.autogenerate.comparison import (
        comparison_options,
        not_compared,
        without_history_schema,
    )

    session: Session = context.config.attributes.get("db_ops") or current_session.get() or Session()
    session.metadata = target_metadata
    session.unchecked = not_compared(target_metadata)
    configuration: dict[str, Any] = {
        "target_metadata": target_metadata,
        "transaction_per_migration": True,
        "version_table": context.config.get_main_option("version_table", "alembic_version"),
        "version_table_schema": context.config.get_main_option("version_table_schema"),
        **comparison_options(target_metadata, session.schemas),
        **options,
        "process_revision_directives": processing(
            session, options.get("process_revision_directives")
        ),
    }
    # We look into the schemas that migrations live in, unless that is not wanted.
    theirs = {"include_schemas": True, **options, "target_metadata": target_metadata}
    session.scope.look_at(theirs)
    configuration = without_history_schema(session.scope.watched(configuration))
    if session.inspects:
        session.calls.append(configuration)
        session.configured.append(configured_now(context.script, configuration, ()))
        session.called_run_migrations = True
        return
    if context.is_offline_mode():
        context.configure(
            dialect_name="postgresql",
            literal_binds=True,
            dialect_opts={"paramstyle": "named"},
            **configuration,
        )
        _begin(session)
    elif session.connection is not None:
        if session.read_only:
            _refuse_empty(target_metadata)
        if session.schema is not None:
            called = configured_now(context.script, configuration, ())
            check_configured(called, session.schema, session.connection)
        context.configure(
            connection=session.connection, dont_mutate=session.read_only, **configuration
        )
        _begin(session)
    else:
        _run_for_alembic(session, connect, configuration)


def _run_for_alembic(session: Session, connect: Connect, configuration: dict[str, Any]) -> None:
    from alembic import context

    from db_ops.migrations.env.shared_pool import new_connections

    # `check` and `revision` compare, `current` shows: looking must not create a version table.
    command_options = context._proxy.context_opts  # type: ignore[attr-defined]  # no public way
    compares = "revision_context" in command_options
    read_only = compares or "dont_mutate" in command_options
    table = configuration["version_table_schema"], configuration["version_table"]
    token = running_with.set(table)
    try:
        with told_by_alembic():
            if compares:
                _refuse_empty(configuration["target_metadata"])
            with (
                connect(not read_only) as opened,
                connection_over(opened.connection) as connection,
            ):
                session.recording = StepRecording(opened.recorder) if opened.recorder else None
                context.configure(
                    **{"connection": connection, "dont_mutate": read_only, **configuration}
                )
                with new_connections(connection.engine, opened.open_beside):
                    _begin(session)
    finally:
        running_with.reset(token)


def runs_for_alembic() -> bool:
    """Tell whether env.py runs under the plain `alembic` command, and not under ours."""
    from alembic import context

    return "db_ops" not in context.config.attributes and current_session.get() is None


@contextmanager
def told_by_alembic() -> Iterator[None]:
    """Let the plain command tell our errors, which are raised in a `with` block, as its own."""
    from alembic.util import CommandError

    try:
        yield
    except DbOpsError as error:
        raise CommandError(f"{error.message}\nhint: {error.hint}") from error


@contextmanager
def without_naming_convention() -> Iterator[None]:
    """Run revisions in a `with` block as if the models had no naming convention."""
    from alembic.operations.schemaobj import SchemaObjects
    from sqlalchemy import MetaData

    by_convention = SchemaObjects.metadata
    setattr(SchemaObjects, "metadata", lambda _: MetaData())  # noqa: B010  # a method
    try:
        yield
    finally:
        setattr(SchemaObjects, "metadata", by_convention)  # noqa: B010


def _refuse_empty(metadata: MetaData) -> None:
    from alembic import context

    if not metadata.tables:
        raise EmptyMetadata(str(Path(context.script.dir) / "env.py"))


def run_settings(connection: Connection, *settings: str) -> None:
    """Run the statements *settings*; a percent sign is one for any driver."""
    for statement in settings:
        connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def _begin(session: Session) -> None:
    from alembic import context

    from db_ops.migrations.autogenerate.comparison import make_default_comparison_safe

    migration = context.get_context()
    make_default_comparison_safe(migration)
    session.record_steps(migration)
    session.reached = True
    with context.begin_transaction():
        context.run_migrations()
    if session.recording is not None:
        session.recording.begin()


def processing(session: Session, theirs: Callable[..., Any] | None) -> Callable[..., None]:
    """Return the hook for generated scripts: env.py's own, then what we keep of its result."""
    from db_ops.migrations.autogenerate.comparison import drop_constraints_never_created
    from db_ops.migrations.autogenerate.models import metadatas

    def process(
        context: MigrationContext, revision: Any, directives: list[MigrationScript]
    ) -> None:
        for script in directives:
            drop_constraints_never_created(script, metadatas(session.metadata))
        session.scope.process(theirs, context, revision, directives)
        check_ids(directives)

    return process


def check_ids(directives: Iterable[MigrationScript]) -> None:
    """Refuse a revision id that is longer than the version table's column."""
    from alembic.util import CommandError

    for script in directives:
        if script.rev_id and len(script.rev_id) > MAX_REVISION_ID:
            raise CommandError(
                f"revision id {script.rev_id!r} is longer than {MAX_REVISION_ID} characters, "
                "the width of the version table's column"
            )
