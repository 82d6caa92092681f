"""Run revisions in a scratch database and measure the effects of each statement."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from db_ops.errors import NotMeasurable
from db_ops.frozen_data import replace
from db_ops.migrations.env.runner import run_steps
from db_ops.migrations.revisions.graph import Goal
from db_ops.migrations.revisions.steps import StepPlan
from db_ops.postgres.catalog import major_version
from db_ops.postgres.impact import (
    Observer,
    StatementRecorder,
    may_write,
    observed_tables,
    writes_version_table,
)
from db_ops.postgres.impact.squawk import lint
from db_ops.results import (
    Event,
    MeasuredRevision,
    Measurement,
    Revision,
    RevisionFinished,
    RevisionRetried,
    RevisionStarted,
)
from db_ops.target.apply import apply_pending
from db_ops.target.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_SETTING_AFTER = re.compile(r"\A; SET synchronous_commit = \w+;")


def measure_upgrade(scratch: Target, recorded: tuple[str, ...], goal: Goal = None) -> Measurement:
    """Apply what leads from *recorded* to *goal* (the heads) in a scratch database; measure it.

    *scratch* is a target whose server's URL names the scratch database, which is at *recorded*; it
    stays at *goal*. What is measured is what happens to the tables that are there at the beginning.
    Raises what `upgrade` raises; nobody else may use the scratch database meanwhile.
    """
    return _measured(scratch, lambda target: apply_pending(target, recorded, goal))


def measure_downgrade(scratch: Target, plan: StepPlan) -> Measurement:
    """Revert what *plan* announces in the scratch database, and measure it."""
    return _measured(scratch, lambda target: run_steps(target.run(plan), lock_retries=0))


class _RecordedTarget(Target):
    """A target whose migrating sessions are recorded."""

    recorder: StatementRecorder
    is_measured: ClassVar[bool] = True

    def open(self, *, read_only: bool = False) -> Connection:
        connection = super().open(read_only=read_only)
        if not read_only:
            self.recorder.attach(connection)
        return connection


@dataclass
class _StatementsPerRevision:
    """Notes which of the recorded statements belong to which revision."""

    recorder: StatementRecorder
    begun: int = 0
    revisions: list[tuple[Revision, int, int]] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        if isinstance(event, RevisionStarted | RevisionRetried):
            self.recorder.settle()
            self.begun = len(self.recorder.statements)
        elif isinstance(event, RevisionFinished):
            self.recorder.settle()
            end = len(self.recorder.statements)
            self.revisions.append((event.step.revision, self.begun, end))


def _without_runner_statements(scratch: Target, statement: str) -> str:
    """Return *statement* without what the runner itself sends, alone or in front of it."""
    if "INSERT INTO db_ops.history" in statement or statement == scratch.settings.set_role:
        return ""
    return _SETTING_AFTER.sub(
        "", statement.removeprefix("; ".join(scratch.session_settings))
    ).lstrip("; ")


def _measured(scratch: Target, run: Callable[[Target], object]) -> Measurement:
    with closing(scratch.server.connect()) as connection:
        major = major_version(connection)
        observer = Observer(connection, observed_tables(connection, scratch.project.version_table))
        recorder = StatementRecorder(observer, worth=partial(_without_runner_statements, scratch))
        statements_per_revision = _StatementsPerRevision(recorder)

        def on_event(event: Event) -> None:
            statements_per_revision(event)
            scratch.server.on_event(event)

        server = replace(scratch.server, on_event=on_event)
        target = _RecordedTarget(scratch.project, scratch.graph, server, recorder)
        # To import all revisions once more would take longer than to run one.
        vars(target)["scripts"] = scratch.scripts
        run(target)
    revisions = tuple(
        MeasuredRevision(revision, tuple(recorder.statements[begin:end]))
        for revision, begin, end in statements_per_revision.revisions
    )
    table = scratch.project.version_table
    for one in revisions:
        if not any(writes_version_table(statement.sql, table) for statement in one.statements):
            path = scratch.project.display(scratch.project.env_py)
            raise NotMeasurable(path, one.revision.id)
    first = statements_per_revision.revisions[0][1] if statements_per_revision.revisions else 0
    prelude = tuple(one for one in recorder.statements[:first] if may_write(one.sql))
    if scratch.settings.squawk:
        revisions = tuple(lint(one, major, scratch.settings.root) for one in revisions)
    return Measurement(prelude, revisions)
