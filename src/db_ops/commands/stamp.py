"""Record a revision without running it, once the tables are seen to be at it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from db_ops.builds.built_schema import read_built_schema
from db_ops.errors import NotCompared, ServerError, StatementFailed, UsageError
from db_ops.generation.rehearsal import scratch_database_at
from db_ops.migrations.env.stamp import stamp as stamp_by_alembic
from db_ops.migrations.revisions.names import stamp_goal
from db_ops.results import Difference, OnEvent, Record, RevisionsFound, Stamped, ignore
from db_ops.settings import Settings
from db_ops.target.guard import check_intent, check_mark
from db_ops.target.migrating_session import set_read_only
from db_ops.target.target import Target, open_target
from db_ops.verification.at_revision import RevisionComparison, nearest_places

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


def stamp(
    settings: Settings,
    *revisions: str,
    anyway: bool = False,
    confirm: str | None = None,
    on_event: OnEvent = ignore,
) -> Stamped:
    """Record that the database is at *revisions*, without running any, if its schema is that.

    What the migrations make up to there is built in a scratch database and compared; where it
    differs nothing is recorded and the exit code is 3, unless it is to be recorded *anyway*. `base`
    and `heads` mean what they mean to Alembic; a version table that is missing is created as env.py
    configures it. Under the migration lock. The guard asks for `confirm` as for `downgrade`
    (`Refused`). Raises `NotCompared`, `NoSuchRevision`, `VersionTableHidden`, `DatabaseMissing`.
    """
    if not revisions:
        problem = "stamp: no revision is named"
        raise UsageError(problem, "find the one that the tables are at: db-ops stamp --find")
    target = open_target(settings, "stamp", on_event)
    names = " ".join(f"-r {shlex.quote(one)}" for one in revisions)
    arguments = f" {names}{' --anyway' if anyway else ''}"
    check_intent(target.server, confirm, arguments)
    with target.migration_lock() as connection:
        # One that the session does not see is no reason to make another.
        target.recorded_on(connection)
        before = target.recorded_in_all(connection)
        recorded = tuple(dict.fromkeys(name for one in before for name in one))
        goal = stamp_goal(target.graph, revisions, recorded, "db-ops stamp")
        check_mark(target.server, connection, confirm, arguments)
        differences, others, unchecked = _compare(target, connection, goal, names, anyway=anyway)
        done = anyway or not differences
        if done and any(set(one) != set(goal) for one in before):
            _record(target, connection, recorded, goal)
    return Stamped(
        location=target.location,
        before=recorded,
        heads=goal if done else recorded,
        revisions=goal,
        done=done,
        differences=differences,
        others=others,
        unchecked=unchecked,
    )


def find_revisions(settings: Settings, *, on_event: OnEvent = ignore) -> RevisionsFound:
    """Tell which revision the tables are at, whatever is recorded. Writes nothing to the database.

    The migrations run once in a scratch database, and after each revision the schema is compared
    with that of the database. Where none is equal, those that are nearest are told with what
    differs, and the exit code is 3. Raises `NoScratchDatabase`, `RebuildFailed`, `DatabaseMissing`.
    """
    target = open_target(settings, "stamp", on_event)
    if not target.graph.heads:
        problem = "stamp: this project has no revisions"
        raise UsageError(problem, "write the first one: db-ops create-migration -m MESSAGE")
    with target.server.target() as connection:
        set_read_only(target, connection)
        recorded = target.recorded_on(connection)
        comparison = RevisionComparison.of(target, connection)
    places = nearest_places(target, comparison)
    return RevisionsFound(
        location=target.location,
        recorded=recorded,
        nearest=tuple(one.heads for one in places),
        differences=places[-1].differences,
        others=comparison.others,
        compared=len(target.graph.nodes),
        branches=not _is_one_line(target),
    )


def _is_one_line(target: Target) -> bool:
    """Tell whether the revisions pass through no other states than those that were compared."""
    nodes, following = target.graph.nodes, target.graph.next_revisions
    return all(len(node.parents) < 2 for node in nodes.values()) and all(
        len(several) < 2 for several in following.values()
    )


def _compare(
    target: Target, connection: Connection, goal: tuple[str, ...], names: str, *, anyway: bool
) -> tuple[tuple[Difference, ...], tuple[str, ...], str | None]:
    """Return the differences from the schema at *goal*, and why there was no comparison, if none.

    And the tables that neither models nor migrations make.
    """
    try:
        with scratch_database_at(target, goal) as (scratch, _):
            built = read_built_schema(scratch)
    except ServerError as error:
        if not anyway:
            raise NotCompared(target.location, goal, error.message, error.hint, names) from error
        return (), (), error.message
    comparison = RevisionComparison.of(target, connection)
    return comparison.differences(built), comparison.others, None


def _record(
    target: Target, connection: Connection, recorded: tuple[str, ...], goal: tuple[str, ...]
) -> None:
    # Alembic moves one revision to one; of several, it would take each to lead to all.
    purge = bool(target.graph.unknown(recorded)) or (bool(recorded) and len(recorded + goal) > 2)
    with target.record_run(connection) as records:
        stamp_by_alembic(target.project, target, goal or ("base",), recorder=records, purge=purge)
        if purge and records is not None:
            for gone in sorted({*recorded} - {*goal}):
                records.add(Record(gone, "unstamp", goal))
    now = target.recorded_in_all(connection)
    if any(target.graph.applied(one) != target.graph.applied(goal) for one in now):
        at = "; ".join(", ".join(one) or "base" for one in now)
        raise StatementFailed(
            target.location,
            "stamp",
            f"Alembic reported success, the database is at {at}",
            "none",
            f"see what {target.project.display(target.project.env_py)} does with transactions",
        )
