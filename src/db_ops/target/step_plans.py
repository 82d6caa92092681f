"""The revisions that a command will apply or revert, decided before it runs any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db_ops.errors import VersionTablesDiffer
from db_ops.migrations.revisions.graph import Goal
from db_ops.migrations.revisions.steps import StepPlan, TableSteps
from db_ops.target.ahead import check_known
from db_ops.target.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


def upgrade_plan(
    target: Target, recorded: tuple[str, ...], connection: Connection, goal: Goal
) -> StepPlan:
    """Return what leads each version table to *goal*; a single one is at *recorded*."""
    graph = target.graph
    several = target.recorded_in_all(connection) if target.project.tables else (recorded,)
    tables = (
        TableSteps(start, tuple(one.id for one in graph.pending(start, goal))) for start in several
    )
    return StepPlan(graph, "upgrade", tuple(tables), target.location, _env_py(target), goal)


def revert_plan(target: Target, start: tuple[str, ...], steps: tuple[str, ...]) -> StepPlan:
    """Return what reverts *steps*, in this order, where every version table is at *start*."""
    tables = (TableSteps(start, steps),) * (1 + len(target.project.tables))
    return StepPlan(target.graph, "downgrade", tables, target.location, _env_py(target))


def downgrade_plan(
    target: Target, connection: Connection, steps: int | None, branch: str | None, command: str
) -> StepPlan:
    """Return the newest *steps* revisions (of *branch*), or all, newest first.

    The order of application is taken from the records; where they do not tell, it is one that the
    graph allows. *command* is what was typed. Raises `NoSuchRevision`, `TooManySteps`,
    `AmbiguousDowngrade` where branches that are never merged leave open which is newest,
    `NeededByOthers`, `VersionTablesDiffer`.
    """
    from db_ops.target.newest_revisions import NewestRevisions

    start, *others = target.recorded_in_all(connection)
    check_known(target, start, connection, "their files are needed to revert them")
    for other in others:
        if set(other) != set(start):
            raise VersionTablesDiffer(target.location, tuple(sorted({*start, *other})))
    done = target.read_records(connection).done
    applied_at = {
        name: row.number for name, row in done.items() if row.action in ("upgrade", "stamp")
    }
    newest = NewestRevisions(target.graph, start, applied_at, target.location, command)
    return revert_plan(target, start, newest.take(steps, branch))


def _env_py(target: Target) -> str:
    return target.project.display(target.project.env_py)
