"""Apply and revert migrations."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from db_ops.errors import StatementFailed, UsageError
from db_ops.migrations.graph import Goal
from db_ops.migrations.revision_names import upgrade_goal
from db_ops.operations.ahead import check_known
from db_ops.operations.guard import check_intent, check_mark
from db_ops.operations.step_plans import downgrade_plan, upgrade_plan
from db_ops.operations.target import Target, open_target
from db_ops.results import (
    Downgraded,
    InvalidIndexDropped,
    InvalidIndexLeft,
    Migrated,
    OnEvent,
    Revision,
    Step,
    ignore,
)
from db_ops.settings import Settings

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from db_ops.migrations.steps import StepPlan


def upgrade(
    settings: Settings, *, revision: str | None = None, on_event: OnEvent = ignore
) -> Migrated:
    """Apply pending migrations up to *revision* (all of them), or so many: `+2`. Idempotent.

    Each revision commits on its own, under the migration lock; at head, no lock is taken and
    nothing is written. Raises `DatabaseMissing`, `MigrationFailed`, and what `init` raises.
    """
    target = open_target(settings, "upgrade", on_event)
    with target.server.target() as connection:
        recorded = target.recorded_on(connection)
        position = check_known(target, recorded, connection)
        goal = upgrade_goal(target.graph, revision, position.known, "db-ops upgrade -r")
        steps = () if position.ahead else apply_pending(target, recorded, goal, connection)
        heads, ahead = reached(target, recorded, goal, connection)
    return Migrated(target.location, heads, steps, ahead=ahead)


def downgrade(
    settings: Settings,
    *,
    steps: int = 1,
    branch: str | None = None,
    confirm: str | None = None,
    on_event: OnEvent = ignore,
) -> Downgraded:
    """Revert the newest *steps* migrations (of *branch*), each in a transaction of its own.

    Destructive, so the guard asks for `confirm` unless settings and database agree that it is
    disposable. *branch* is a label, or a revision that belongs to it. Raises `UsageError` for fewer
    than one step, what `downgrade_plan` raises, `Refused`, `StepsDiffer`, `MigrationFailed`.
    """
    from db_ops.migrations.runner import run_steps

    if steps < 1:
        raise UsageError(f"steps: {steps} is not 1 or more", "revert one: db-ops downgrade -s 1")
    target = open_target(settings, "downgrade", on_event)
    arguments = f" -s {steps}" + (f" --branch {shlex.quote(branch)}" if branch else "")
    check_intent(target.server, confirm, arguments)
    with target.migration_lock() as connection:
        plan = downgrade_plan(target, connection, steps, branch, "db-ops downgrade")
        check_mark(target.server, connection, confirm, arguments)
        with target.recording(connection) as records:
            run = target.run(plan, recorder=records)
            done = run_steps(run, lock_retries=settings.lock_retries)
        _check_done(target, plan, connection)
        return Downgraded(target.location, target.recorded_on(connection), done)


def apply_pending(
    target: Target,
    recorded: tuple[str, ...],
    goal: Goal = None,
    connection: Connection | None = None,
) -> tuple[Step, ...]:
    """Apply what leads from *recorded* to *goal* (the heads); nothing and no lock if nothing does.

    The recorded revisions are read again once the lock is held: another process may have been
    faster. It is held on *connection* if there is one: who waits needs one slot of the server.
    """
    if not target.graph.pending(recorded, goal):
        return ()
    from db_ops.migrations.runner import run_steps
    from db_ops.postgres.indexes import invalid_indexes

    with target.migration_lock(connection) as locked:
        recorded = target.recorded_on(locked)
        pending = target.graph.pending(recorded, goal)
        if not pending or check_known(target, recorded, locked).ahead:
            return ()
        if not recorded:
            from db_ops.operations.untracked_tables import check_tracked

            check_tracked(target, locked, recorded)
        plan = upgrade_plan(target, locked, goal)
        with target.recording(locked) as records:
            run = target.run(plan, lambda: _drop_invalid_indexes(target, locked, pending), records)
            steps = run_steps(run, lock_retries=target.settings.lock_retries)
        _check_done(target, plan, locked)
        for _, index in invalid_indexes(locked):
            target.server.on_event(InvalidIndexLeft(target.location, index))
    return steps


def _check_done(target: Target, plan: StepPlan, connection: Connection) -> None:
    """See in the database that what *plan* announced is done, and that the rest has stayed.

    Alembic's exit without an error is not a proof: what is recorded is.
    """
    now = target.recorded_in_all(connection)
    if not plan.is_done(now):
        at = "; ".join(", ".join(one) or "base" for one in now)
        raise StatementFailed(
            target.location,
            plan.direction,
            f"Alembic reported success, the database is at {at}",
            "none",
            f"see what {plan.env_py} does with transactions",
        )


def reached(
    target: Target, before: tuple[str, ...], goal: Goal, connection: Connection
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return where the database is now, and by what it is ahead; *before* it was there.

    Another process, of a newer release perhaps, may have been faster than this one.
    """
    if not target.graph.pending(before, goal):
        return before, ()
    now = target.recorded_on(connection)
    return now, check_known(target, now, connection).ahead


def _drop_invalid_indexes(
    target: Target, connection: Connection, pending: tuple[Revision, ...]
) -> None:
    """Drop what a failed concurrent build has left, if a pending revision names and rebuilds it."""
    from db_ops.postgres.indexes import drop_left_index, invalid_indexes

    left = invalid_indexes(connection)
    if not left:
        return
    root = target.settings.root
    source = "".join((root / revision.path).read_text(errors="replace") for revision in pending)
    for name, full_name in left:
        if re.search(rf"\b{re.escape(name)}\b", source):
            drop_left_index(target.server, connection, full_name)
            target.server.on_event(InvalidIndexDropped(target.location, full_name))
