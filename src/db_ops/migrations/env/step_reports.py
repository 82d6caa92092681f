"""Tell when a revision starts and when it is committed, and set its session in between."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from db_ops.migrations.env.runtime import Plan, Reported, run_settings
from db_ops.migrations.env.shared_pool import new_connections
from db_ops.migrations.env.step_guards import keep_in_schema, keep_role
from db_ops.results import RevisionFinished, RevisionStarted, Step

if TYPE_CHECKING:
    from alembic.runtime.migration import RevisionStep
    from psycopg2.extensions import connection as DriverConnection
    from sqlalchemy import Connection

    from db_ops.migrations.env.runner import Run
    from db_ops.migrations.env.step_recorder import StepRecording


def _session_settings(run: Run, position: int) -> tuple[str, ...]:
    """Return what sets the session for the revision at *position*: one before may have set its own.

    In a database that is being built only the last commit waits for the disk, and then for all
    before it. Anywhere else each does: what others commit meanwhile may rest on a revision.
    https://www.postgresql.org/docs/current/wal-async-commit.html
    """
    waits = position >= run.total or not run.database.is_being_built
    commit = "DEFAULT" if waits else "off"
    return (*run.database.session_settings, f"SET synchronous_commit = {commit}")


def reported_steps(
    run: Run,
    connection: Connection,
    driver: DriverConnection,
    recording: StepRecording | None,
) -> Reported:
    """Return what passes the steps of *run* on to Alembic, and tells of each.

    Alembic takes one when it starts it, the next after its commit.
    """
    scratch = run.database.is_scratch

    def pass_on(plan: Plan, heads: Any, context: Any) -> Iterator[RevisionStep]:
        for step in plan(heads, context):
            revision = run.graph.nodes[step.revision.revision].revision
            position = len(run.steps) + 1
            run.running = revision.id
            settings = _session_settings(run, position)
            connection.commit()
            driver.commit()  # what a revision began behind SQLAlchemy's back
            if context.connection is connection:
                # One round trip; a transaction for them would take two more.
                driver.autocommit = True
                with driver.cursor() as cursor:
                    cursor.execute("; ".join(settings))
                driver.autocommit = False
            else:
                run_settings(context.connection, *settings)
                context.connection.commit()
            run.on_event(RevisionStarted(revision, run.direction, position, run.total, scratch))
            if recording is not None:
                recording.begin()
            if run.database.settings.set_role:
                keep_role(step, context, run.database.settings.set_role)
            if run.schema is not None:
                keep_in_schema(step, context, run.database, revision.path)
            started = time.monotonic()
            with new_connections(connection.engine, run.database.open_beside):
                yield step
            done = Step(revision, time.monotonic() - started)
            run.steps.append(done)
            run.running = None
            run.on_event(RevisionFinished(done, run.direction, position, run.total, scratch))

    return lambda plan: lambda heads, context: pass_on(plan, heads, context)
