"""Apply and revert migrations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from db_ops.errors import (
    AmbiguousDowngrade,
    StatementFailed,
    TooManySteps,
    UsageError,
)
from db_ops.operations.guard import check_intent, check_mark
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
        target.check_known(recorded)
        goal = target.graph.goal(revision, recorded)
        steps = apply_pending(target, recorded, goal, connection)
        # Nothing applied may mean that another process was faster.
        heads = target.recorded_on(connection) if target.graph.pending(recorded, goal) else recorded
    return Migrated(target.location, heads, steps)


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
    disposable. Raises `UsageError` for fewer than one step, `TooManySteps`, `AmbiguousDowngrade`
    where branches make "newest" ambiguous, `Refused`, `MigrationFailed`.
    """
    from db_ops.migrations.runner import run_downgrade

    if steps < 1:
        raise UsageError(f"steps: {steps} is not 1 or more", "revert one: inv db.downgrade -s 1")
    target = open_target(settings, "downgrade", on_event)
    arguments = f" -s {steps}" + (f" --branch {branch}" if branch else "")
    check_intent(target.server, confirm, arguments)
    with target.migration_lock() as connection:
        recorded = target.recorded_on(connection)
        target.check_known(recorded)
        doomed = newest(target, target.graph.on_branch(recorded, branch), steps)
        check_mark(target.server, connection, confirm, arguments)
        below = target.graph.nodes[doomed[-1].id].down
        goal = below[0] if below else f"{branch}@base" if branch else "base"
        total = len(doomed) * (1 + len(target.project.tables))
        with target.recording(connection) as records:
            run = target.run("downgrade", goal, total, lambda: None, records)
            done = run_downgrade(run, lock_retries=settings.lock_retries)
        now = target.recorded_on(connection)
        if target.graph.applied(now) & {revision.id for revision in doomed}:
            raise _undone(target, "downgrade", now)
        return Downgraded(target.location, now, done)


def apply_pending(
    target: Target,
    recorded: tuple[str, ...],
    goal: str | None = None,
    connection: Connection | None = None,
) -> tuple[Step, ...]:
    """Apply what leads from *recorded* to *goal* (the head); nothing and no lock if nothing does.

    The recorded revisions are read again once the lock is held: another process may have been
    faster. It is held on *connection* if there is one: who waits needs one slot of the server.
    """
    target.check_known(recorded)
    if not target.graph.pending(recorded, goal):
        return ()
    from db_ops.migrations.runner import run_upgrade
    from db_ops.postgres.indexes import invalid_indexes

    with target.migration_lock(connection) as locked:
        recorded = target.recorded_on(locked)
        target.check_known(recorded)
        pending = target.graph.pending(recorded, goal)
        if not pending:
            return ()
        target.check_tracked(locked, recorded)
        with target.recording(locked) as records:
            run = target.run(
                "upgrade",
                goal or "heads",
                target.pending_in_all(locked, goal),
                before_attempt=lambda: _drop_invalid_indexes(target, locked, pending),
                recorder=records,
            )
            steps = run_upgrade(run, lock_retries=target.settings.lock_retries)
        # Alembic's exit without an error is not a proof: what is recorded is.
        now = target.recorded_on(locked)
        if target.graph.pending(now, goal):
            raise _undone(target, "upgrade", now)
        for _, index in invalid_indexes(locked):
            target.server.on_event(InvalidIndexLeft(target.location, index))
    return steps


def _undone(target: Target, action: str, now: tuple[str, ...]) -> StatementFailed:
    return StatementFailed(
        target.location,
        action,
        f"Alembic reported success, the database is at {', '.join(now) or 'base'}",
        "none",
        f"see what {target.project.display(target.project.env_py)} does with transactions",
    )


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


def newest(target: Target, recorded: tuple[str, ...], steps: int) -> tuple[Revision, ...]:
    """Name the newest *steps* revisions below *recorded*, newest first."""
    applied = len(target.graph.applied(recorded))
    if steps > applied:
        raise TooManySteps(target.location, steps, applied)
    named: list[Revision] = []
    here = recorded
    while len(named) < steps:
        if len(here) != 1:
            raise AmbiguousDowngrade(target.location, here)
        node = target.graph.nodes[here[0]]
        named.append(node.revision)
        here = node.down
    return tuple(named)
