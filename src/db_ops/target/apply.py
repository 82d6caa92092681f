"""Apply and revert revisions under the migration lock."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from db_ops.errors import StatementFailed
from db_ops.migrations.revisions.graph import Goal
from db_ops.postgres.catalog import is_empty
from db_ops.results import BootstrapStarted, InvalidIndexDropped, InvalidIndexLeft, Revision, Step
from db_ops.target.ahead import check_known
from db_ops.target.step_plans import upgrade_plan
from db_ops.target.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from db_ops.migrations.revisions.steps import StepPlan

CheckTables = Callable[[Target, "Connection"], None]


def apply_pending(
    target: Target,
    recorded: tuple[str, ...],
    goal: Goal = None,
    connection: Connection | None = None,
    check_tables: CheckTables | None = None,
) -> tuple[Step, ...]:
    """Apply what leads from *recorded* to *goal* (the heads); nothing and no lock if nothing does.

    The recorded revisions are read again once the lock is held: another process may have been
    faster. It is held on *connection* if there is one: who waits needs one slot of the server.
    *check_tables* may refuse a database in which nothing is recorded.
    """
    if not target.graph.pending(recorded, goal):
        return ()
    from db_ops.migrations.env.runner import run_steps
    from db_ops.postgres.indexes import invalid_indexes

    with target.migration_lock(connection) as locked:
        recorded = target.recorded_on(locked)
        if not recorded and target.project.bootstrap and is_empty(locked):
            recorded, check_tables = _bootstrap(target, locked), None
        pending = target.graph.pending(recorded, goal)
        if not pending or check_known(target, recorded, locked).ahead:
            return ()
        if not recorded and check_tables is not None:
            check_tables(target, locked)
        plan = upgrade_plan(target, recorded, locked, goal)
        with target.record_run(locked) as records:
            run = target.run(plan, lambda: _drop_invalid_indexes(target, locked, pending), records)
            steps = run_steps(run, lock_retries=target.settings.lock_retries)
        _check_done(target, plan, locked)
        for _, index in invalid_indexes(locked):
            target.server.on_event(InvalidIndexLeft(target.location, index))
    return steps


def _bootstrap(target: Target, locked: Connection) -> tuple[str, ...]:
    """Let the project make what its revisions rest on; return the revisions recorded then."""
    from db_ops.migrations.env.bootstrap import run_bootstrap

    assert target.project.bootstrap is not None
    _ = target.scripts
    target.server.on_event(BootstrapStarted(target.project.bootstrap, target.is_scratch))
    with target.record_run(locked) as records:
        run_bootstrap(target.project, target, records)
    return target.recorded_on(locked)


def is_bootstrapped(target: Target, steps: tuple[Step, ...]) -> bool:
    """Tell whether a build from empty that took *steps* was the project's bootstrap alone."""
    return target.project.bootstrap is not None and not steps and bool(target.graph.heads)


def revert(
    target: Target, connection: Connection, plan: StepPlan, lock_retries: int
) -> tuple[Step, ...]:
    """Revert what *plan* announces, under the migration lock that *connection* holds."""
    from db_ops.migrations.env.runner import run_steps

    with target.record_run(connection) as records:
        done = run_steps(target.run(plan, recorder=records), lock_retries=lock_retries)
    _check_done(target, plan, connection)
    return done


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


def reached_revisions(
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
    from db_ops.postgres.indexes import drop_invalid_index, invalid_indexes

    left = invalid_indexes(connection)
    if not left:
        return
    root = target.settings.root
    source = "".join((root / revision.path).read_text(errors="replace") for revision in pending)
    for name, full_name in left:
        if re.search(rf"\b{re.escape(name)}\b", source):
            drop_invalid_index(target.server, connection, full_name)
            target.server.on_event(InvalidIndexDropped(target.location, full_name))
