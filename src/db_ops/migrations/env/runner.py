"""Run revisions through the project's own env.py, one transaction each."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from db_ops.errors import DbOpsError
from db_ops.migrations.autogenerate.incomplete_models import missing_table_error
from db_ops.migrations.autogenerate.models import broken_models, unnamed_index_error
from db_ops.migrations.env.diagnostics import diagnostics
from db_ops.migrations.env.engine import connection_over
from db_ops.migrations.env.failures import (
    describe_lock_timeout,
    explain_loss,
    explain_revision,
    explain_statement,
    is_lock_timeout,
    lost_connection,
)
from db_ops.migrations.env.run_env import run_env
from db_ops.migrations.env.runtime import Session
from db_ops.migrations.env.step_recorder import StepRecorder, StepRecording
from db_ops.migrations.env.step_reports import reported_steps
from db_ops.migrations.project import Project
from db_ops.migrations.revisions.graph import Graph
from db_ops.migrations.revisions.steps import StepPlan
from db_ops.migrations.scripts import broken_environment
from db_ops.results import OnEvent, RevisionRetried, Step, ignore
from db_ops.settings import Settings

if TYPE_CHECKING:
    from alembic.runtime.migration import RevisionStep
    from alembic.script import ScriptDirectory
    from psycopg2.extensions import connection as DriverConnection

    from db_ops.migrations.foreign_env.driver_session import TransactionWatch

_LONGEST_PAUSE = 5.0


class LockWatch(Protocol):
    """The sessions that were last seen blocking a session."""

    last: str | None


class Database(Protocol):
    """What the runner needs of the database that it works on."""

    @property
    def location(self) -> str: ...

    @property
    def graph(self) -> Graph: ...

    @property
    def is_being_built(self) -> bool:
        """Tell whether this database is not in use yet, so that a crash loses nothing."""

    @property
    def is_scratch(self) -> bool:
        """Whether it is dropped after the command, and is not the target."""

    @property
    def is_measured(self) -> bool:
        """Whether the statements of its sessions are measured, at the cursors of psycopg2."""

    @property
    def transaction_watch(self) -> TransactionWatch | None:
        """What notes, or refuses, what a session commits outside of this database, if anything."""

    @property
    def session_settings(self) -> tuple[str, ...]:
        """The statements that set the role and the timeouts of a migration's session."""

    @property
    def settings(self) -> Settings: ...

    def other_members(self, schemas: tuple[str, ...]) -> tuple[str, ...]:
        """Return those *schemas* whose tables are migrated by a run of their own."""

    def session(self, plan: StepPlan) -> AbstractContextManager[DriverConnection]:
        """Open a session for the revisions of *plan*, for a `with` block."""

    def open(self, *, read_only: bool = False) -> DriverConnection:
        """Return a new connection of its own, with the timeouts set."""

    def open_beside(self) -> DriverConnection:
        """Return a new connection for what a revision does in a session of its own."""

    def remedy_for_right(self, message: str, statement: str) -> str:
        """Return what gives the right that *statement* lacked, as the server's *message* says."""

    def watch(self, connection: DriverConnection) -> AbstractContextManager[LockWatch]:
        """Watch, for a `with` block, which sessions block *connection*."""

    def recorded(self) -> tuple[str, ...]:
        """Return the revisions recorded now, asked on a new connection."""


@dataclass
class Run:
    """One walk over the revision graph, in one direction, and how far it got.

    `before_attempt` is called each time before revisions run, while no session of ours does.
    """

    project: Project
    plan: StepPlan
    scripts: ScriptDirectory
    database: Database
    before_attempt: Callable[[], None]
    on_event: OnEvent = ignore
    recorder: StepRecorder | None = None
    steps: list[Step] = field(default_factory=list)
    running: str | None = None
    metadata: Any = None
    blocked_by: str | None = None

    @property
    def graph(self) -> Graph:
        return self.plan.graph

    @property
    def direction(self) -> str:
        return self.plan.direction

    @property
    def total(self) -> int:
        return self.plan.total

    @property
    def schema(self) -> str | None:
        """The schema that is meant; a database that is built to look at has none for it."""
        return None if self.database.is_scratch else self.database.settings.schema


def run_steps(run: Run, *, lock_retries: int) -> tuple[Step, ...]:
    """Apply or revert what `run.plan` announces; return what was committed.

    That is compared with what Alembic plans before anything runs, and again by what Alembic itself
    reads from the version table.

    A revision that cannot get a table lock within `lock_timeout` is rolled back and run again,
    alone, at most *lock_retries* times: waiting in the lock queue would stall every reader behind
    it. Raises `StepsDiffer`, `MigrationFailed`, `EnvironmentBroken`, `RevisionFileBroken`,
    `ConnectionLost`.
    """
    run.plan.check(run.scripts)
    attempt, pause = 1, 0.1
    while True:
        run.before_attempt()
        try:
            _attempt(run)
            return tuple(run.steps)
        except (DbOpsError, KeyboardInterrupt):
            raise
        except BaseException as error:
            if not is_lock_timeout(error) or run.running is None or attempt > lock_retries:
                raise _failure(run, error) from error
            reason = describe_lock_timeout(run)
        attempt += 1
        run.on_event(RevisionRetried(run.running, reason, attempt, lock_retries + 1))
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(pause * 2, _LONGEST_PAUSE)


def _attempt(run: Run) -> None:
    with run.database.session(run.plan) as driver, run.database.watch(driver) as watch:
        try:
            with connection_over(driver, keeps_dialect=run.project.is_ours) as connection:
                recording = StepRecording(run.recorder) if run.recorder else None
                session = Session(
                    connection,
                    recording=recording,
                    typed=run.plan.typed,
                    destination=run.plan.destination,
                    schema=run.schema,
                )
                if not run.project.is_ours:
                    choose_connection(run.project, run.database, session)
                session.reported = reported_steps(run, connection, driver, recording)
                try:
                    run_env(run.project, run.scripts, session, _plan_function(run))
                finally:
                    run.metadata = session.metadata
        finally:
            run.blocked_by = watch.last


def choose_connection(project: Project, database: Database, session: Session) -> None:
    """Let env.py's own engine connect to *database*, where its driver is not ours.

    What a revision says to a driver, and what it gets back, is meant for that one. Where statements
    are measured that is done with ours, unless the revisions need the other one.
    """
    from db_ops.migrations.foreign_env.inspection import needs_own_connection

    session.uses_own_connection = needs_own_connection(project)
    session.keeps_driver = not database.is_measured
    session.first = tuple(filter(None, (database.settings.set_role, database.settings.set_schema)))
    session.watch = database.transaction_watch


def _plan_function(run: Run) -> Callable[[Any, Any], list[RevisionStep]]:
    """Return what plans the steps of *run*.

    An env.py may call it, to see what will be run, and takes the command from its name, as that of
    the function in `alembic.command`.
    """

    def plan(heads: Any, context: Any) -> list[RevisionStep]:
        return run.plan.steps_from(heads, run.scripts, [one.revision.id for one in run.steps])

    plan.__name__ = run.direction
    return plan


def comparison_error(
    project: Project, database: Database, session: Session, error: BaseException
) -> DbOpsError:
    """Return the typed error for what a comparison raised: env.py, the models, or the server."""
    from sqlalchemy.exc import SQLAlchemyError

    if isinstance(error, DbOpsError):
        return error
    if not session.reached:
        return broken_environment(project, error)
    models = unnamed_index_error(session.metadata, project.display(project.env_py))
    if models is None and isinstance(error, SQLAlchemyError) and diagnostics(error) is None:
        is_incomplete = type(error).__name__ == "NoReferencedTableError"
        models = (missing_table_error if is_incomplete else broken_models)(project, error)
    return models or explain_statement(database, "comparing models with the database", error)


def _failure(run: Run, error: BaseException) -> DbOpsError:
    """Turn what a revision raised into an error that says how far the run got.

    The recorded revision is read again: an autocommit block commits halfway.
    """
    if lost_connection(error):
        return explain_loss(run, error)
    if run.running is None:
        return explain_statement(run.database, "recording revisions", error)
    return explain_revision(run, run.running, error, run.database.recorded())
