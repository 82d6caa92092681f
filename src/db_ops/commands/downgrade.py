"""Revert the newest migrations."""

from __future__ import annotations

import shlex

from db_ops.errors import UsageError
from db_ops.results import Downgraded, OnEvent, ignore
from db_ops.settings import Settings
from db_ops.target.apply import revert
from db_ops.target.guard import check_intent, check_mark
from db_ops.target.step_plans import downgrade_plan
from db_ops.target.target import open_target


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
    disposable. *branch* is a label, or a revision that belongs to it. Raises `UsageError` for fewer
    than one step, what `downgrade_plan` raises, `Refused`, `StepsDiffer`, `MigrationFailed`.
    """
    if steps is not None and steps < 1:
        raise UsageError(f"steps: {steps} is not 1 or more", "revert one: db-ops downgrade -s 1")
    target = open_target(settings, "downgrade", on_event)
    arguments = f" -s {'base' if steps is None else steps}" + (
        f" --branch {shlex.quote(branch)}" if branch else ""
    )
    check_intent(target.server, confirm, arguments)
    with target.migration_lock() as connection:
        plan = downgrade_plan(target, connection, steps, branch, "db-ops downgrade")
        check_mark(target.server, connection, confirm, arguments)
        done = revert(target, connection, plan, settings.lock_retries)
        return Downgraded(target.location, target.recorded_on(connection), done)
