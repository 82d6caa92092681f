"""Measure an upgrade or downgrade in a scratch database, without changing the target."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from db_ops.builds.measured_run import measure_downgrade, measure_upgrade
from db_ops.errors import UsageError
from db_ops.frozen_data import replace
from db_ops.generation.rehearsal import scratch_database_at
from db_ops.generation.running_release import check_release
from db_ops.migrations.revisions.names import upgrade_goal
from db_ops.postgres.catalog import estimated_rows
from db_ops.postgres.impact import notes, write_script, writes_version_table
from db_ops.postgres.impact.squawk import require_squawk
from db_ops.results import Measurement, OnEvent, Planned, Script, ignore
from db_ops.settings import Settings
from db_ops.target.ahead import check_known
from db_ops.target.step_plans import downgrade_plan
from db_ops.target.target import Target, open_target
from db_ops.verification.untracked_tables import check_tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg2.extensions import connection as Connection

    from db_ops.target.position import Position


def plan_upgrade(
    settings: Settings,
    *,
    revision: str | None = None,
    check: bool = False,
    against: str | None = None,
    on_event: OnEvent = ignore,
) -> Planned:
    """Tell what `upgrade` would run, statement by statement, with what was measured of each.

    The revisions run in a scratch database that stands where the target does. The target is only
    read, without any lock but a reader's on the version table. With *check*, what is unsafe makes
    the exit code 3. *against* names a release, a tag or commit of git: whether its models survive
    the revisions is found out too. Raises `NoScratchDatabase`, `RebuildFailed`, `DatabaseMissing`,
    `UnknownRevisions`, and what `check_release` raises.
    """
    target = _open(settings, "upgrade", on_event)
    with target.server.target() as connection:
        position, rows = _read_position(target, connection)
    current = position.recorded
    goal, measurement, said = _upgrade(target, position, revision, "db-ops upgrade --plan -r")
    planned = _planned(target, "upgrade", current, goal, measurement, rows, said)
    release = None
    if against is not None:
        command = f"db-ops upgrade --plan --against {shlex.quote(against)}"
        release = check_release(target, against, command, goal, current)
    return replace(planned, ahead=position.ahead, check=check, release=release)


def upgrade_sql(
    settings: Settings, *, revision: str | None = None, on_event: OnEvent = ignore
) -> Script:
    """Return what `upgrade` would send, as SQL for psql, taken from a run in a scratch database.

    It holds the transactions and the version table's changes, and stops if the database that it is
    given to does not stand where the target does now. Otherwise like `plan_upgrade`.
    """
    target = _open(settings, "upgrade", on_event)
    with target.server.target() as connection:
        position, _ = _read_position(target, connection)
    current = position.recorded
    goal, measurement, said = _upgrade(target, position, revision, "db-ops upgrade --sql -r")
    sql = write_script(
        measurement,
        current,
        table=target.project.version_table,
        schema=target.project.version_table_schema,
        setup="; ".join(target.session_settings),
    )
    said += notes(measurement)
    if position.ahead:
        said += (f"nothing to do: ahead of this checkout by {', '.join(position.ahead)}",)
    return Script(target.location, current, goal, sql, said)


def plan_downgrade(
    settings: Settings,
    *,
    steps: int | None = 1,
    branch: str | None = None,
    on_event: OnEvent = ignore,
) -> Planned:
    """Tell what `downgrade` would run; like `plan_upgrade` otherwise, and without its guard."""
    if steps is not None and steps < 1:
        raise UsageError(f"steps: {steps} is not 1 or more", "see one: db-ops downgrade --plan")
    target = _open(settings, "downgrade", on_event)
    with target.server.target() as connection:
        position, rows = _read_position(target, connection)
        current = position.recorded
        plan = downgrade_plan(target, connection, steps, branch, "db-ops downgrade --plan")
    plan.check(target.scripts)
    left = target.graph.applied(current).difference(*(table.steps for table in plan.tables))
    goal = target.graph.tips(left)
    with scratch_database_at(target, current, or_copy=True) as (scratch, said):
        measurement = measure_downgrade(scratch, plan)
    return _planned(target, "downgrade", current, goal, measurement, rows, said)


def _open(settings: Settings, command: str, on_event: OnEvent) -> Target:
    target = open_target(settings, command, on_event)
    if settings.squawk:
        require_squawk()
    return target


def _read_position(target: Target, connection: Connection) -> tuple[Position, Mapping[str, int]]:
    """Return where the target stands, and how many rows its tables have."""
    recorded = target.recorded_on(connection)
    position = check_known(target, recorded, connection)
    if not recorded:
        check_tables(target, connection)
    return position, estimated_rows(connection)


def _upgrade(
    target: Target, position: Position, revision: str | None, command: str
) -> tuple[tuple[str, ...], Measurement, tuple[str, ...]]:
    current = position.recorded
    goal = upgrade_goal(target.graph, revision, position.known, command)
    if position.ahead or not target.graph.pending(current, goal):
        return current, Measurement((), ()), ()
    with scratch_database_at(target, current, or_copy=True) as (scratch, said):
        measurement = measure_upgrade(scratch, current, goal)
        return scratch.recorded(), measurement, said


def _planned(
    target: Target,
    direction: str,
    current: tuple[str, ...],
    goal: tuple[str, ...],
    measurement: Measurement,
    rows: Mapping[str, int],
    said: tuple[str, ...],
) -> Planned:
    table = target.project.version_table
    revisions = tuple(
        replace(
            one,
            statements=tuple(s for s in one.statements if not writes_version_table(s.sql, table)),
        )
        for one in measurement.revisions
    )
    named = {
        effect.table
        for one in revisions
        for statement in one.statements
        for effect in statement.effects
    }
    known = {name: rows[name] for name in sorted(named & rows.keys())}
    said += notes(measurement)
    return Planned(target.location, direction, current, goal, revisions, known, said)
