"""Write rows to work with into the database."""

from __future__ import annotations

from db_ops.errors import NotAtHead
from db_ops.results import OnEvent, Seeded, ignore
from db_ops.settings import Settings
from db_ops.target.ahead import check_known
from db_ops.target.guard import check_intent, check_mark
from db_ops.target.seeds import check_seeds_named, run_seeds
from db_ops.target.target import open_target


def seed(settings: Settings, *, confirm: str | None = None, on_event: OnEvent = ignore) -> Seeded:
    """Run the seeds that the project names, in one transaction, under the migration lock.

    They run in a database at head. The guard asks for `confirm`, the exact name, unless settings
    and database agree that it is disposable (`Refused`). Raises `UsageError` where no seed is
    named, `DatabaseMissing`, `NotAtHead`, `DatabaseAhead`, `SeedFailed`.
    """
    target = open_target(settings, "seed", on_event)
    check_seeds_named(target.settings)
    check_intent(target.server, confirm)
    with target.migration_lock() as locked:
        check_mark(target.server, locked, confirm)
        recorded = target.recorded_on(locked)
        position = check_known(
            target, recorded, locked, "the seeds are for tables as they are here"
        )
        if position.pending:
            raise NotAtHead(target.location, tuple(one.id for one in position.pending))
        return run_seeds(target, target.settings.seed)
