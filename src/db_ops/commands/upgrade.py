"""Apply pending migrations."""

from __future__ import annotations

from db_ops.migrations.revisions.names import upgrade_goal
from db_ops.migrations.revisions.unfinished import refuse_unfinished
from db_ops.results import Migrated, OnEvent, Step, ignore
from db_ops.settings import Settings
from db_ops.target.ahead import check_known
from db_ops.target.apply import apply_pending, reached_revisions
from db_ops.target.branch_database import target_or_copy
from db_ops.target.target import open_target
from db_ops.verification.untracked_tables import check_tables


def upgrade(
    settings: Settings,
    *,
    revision: str | None = None,
    unfinished: bool = False,
    on_event: OnEvent = ignore,
) -> Migrated:
    """Apply pending migrations up to *revision* (all of them), or so many: `+2`. Idempotent.

    Each revision commits on its own, under the migration lock; at head, no lock is taken and
    nothing is written. A revision in which `create-migration` left a TODO is refused, with those
    before it (`UnfinishedMigration`), unless *unfinished* ones are to be applied as they are.
    In development, the project's schema file is written then, if it names one.
    Raises `DatabaseMissing`, `MigrationFailed`, and what `init` raises.
    """
    target = open_target(settings, "upgrade", on_event)
    with target_or_copy(target) as connection:
        recorded = target.recorded_on(connection)
        position = check_known(target, recorded, connection)
        goal = upgrade_goal(target.graph, revision, position.known, "db-ops upgrade -r")
        steps: tuple[Step, ...] = ()
        if not position.ahead:
            if not unfinished:
                pending = target.graph.pending(recorded, goal)
                refuse_unfinished(target.settings.root, pending, "db-ops upgrade --unfinished")
            steps = apply_pending(target, recorded, goal, connection, check_tables)
        heads, ahead = reached_revisions(target, recorded, goal, connection)
    schema_file = None
    if steps and target.settings.schema_file is not None:
        from db_ops.builds.schema_file import update_schema_file

        schema_file = update_schema_file(target)
    return Migrated(target.location, heads, steps, ahead=ahead, schema_file=schema_file)
