"""Revert the newest migrations."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from typing import TYPE_CHECKING

from db_ops.errors import UsageError
from db_ops.postgres.undo import keep_copy, present_target
from db_ops.results import Downgraded, KeptForUndo, OnEvent, ignore
from db_ops.settings import Settings
from db_ops.target.apply import revert
from db_ops.target.create import locked_maintenance_session
from db_ops.target.guard import check_intent, check_mark
from db_ops.target.step_plans import downgrade_plan
from db_ops.target.target import open_target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from db_ops.migrations.revisions.steps import StepPlan


def downgrade(
    settings: Settings,
    *,
    steps: int | None = 1,
    branch: str | None = None,
    confirm: str | None = None,
    on_event: OnEvent = ignore,
) -> Downgraded:
    """Revert the newest *steps* migrations (of *branch*), or all, each in its own transaction.

    Destructive, so the guard asks for `confirm` unless settings and database agree that it is
    disposable. In development and test a copy of a small database that nobody uses is made first,
    for `undo`. *branch* is a label, or a revision that belongs to it. Raises `UsageError` for fewer
    than one step, what `downgrade_plan` raises, `Refused`, `StepsDiffer`, `MigrationFailed`.
    """
    if steps is not None and steps < 1:
        raise UsageError(f"steps: {steps} is not 1 or more", "revert one: db-ops downgrade -s 1")
    target = open_target(settings, "downgrade", on_event)
    arguments = f" -s {'base' if steps is None else steps}" + (
        f" --branch {shlex.quote(branch)}" if branch else ""
    )
    check_intent(target.server, confirm, arguments)
    server = target.server

    def checked_plan(connection: Connection) -> StepPlan:
        plan = downgrade_plan(target, connection, steps, branch, "db-ops downgrade")
        check_mark(server, connection, confirm, arguments)
        return plan

    with ExitStack() as stack:
        connection = stack.enter_context(target.migration_lock())
        plan = checked_plan(connection)
        present = present_target(server, connection, copied=True)
        undo = present.undo if present else None
        if present is not None and present.facts is not None:
            # A copy is made of a database without sessions, our own among them.
            stack.close()
            maintenance = stack.enter_context(locked_maintenance_session(server))
            undo = keep_copy(server, maintenance, present)
            connection = stack.enter_context(target.migration_lock())
            plan = checked_plan(connection)
        try:
            done = revert(target, connection, plan, settings.lock_retries)
        except BaseException:
            if undo is not None and undo.until is not None:
                on_event(KeptForUndo(target.location))
            raise
        return Downgraded(target.location, target.recorded_on(connection), done, undo=undo)
