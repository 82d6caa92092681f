"""Replace the database by a new one at the head."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from db_ops.builds.rebuild import build_target
from db_ops.builds.rebuild_in_place import recreate_under_own_name
from db_ops.builds.soft_reset import emptied_target
from db_ops.errors import InsufficientPrivilege
from db_ops.migrations.revisions.unfinished import refuse_unfinished
from db_ops.postgres.databases import may_create_databases
from db_ops.postgres.undo import PresentTarget, present_target
from db_ops.results import Initialised, OnEvent, Recreated, Undo, ignore
from db_ops.settings import Settings
from db_ops.target.create import locked_maintenance_session, mark_if_unmarked, migrate
from db_ops.target.guard import check_intent, guarded_drop
from db_ops.target.seeds import seeded, seeds_of_new_database
from db_ops.target.target import Target, open_target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


def recreate(
    settings: Settings,
    *,
    confirm: str | None = None,
    from_migrations: bool = False,
    no_seed: bool = False,
    on_event: OnEvent = ignore,
) -> Recreated:
    """Delete the database, whoever is connected to it, then do what `init` does.

    The new database is whole before it takes the old one's place, so that a failure leaves the old
    one as it was; in development and test the old one is kept for `undo`. Where it can only be
    built under its own name, because a revision names it or a pooler knows no other, the old one is
    kept as a snapshot until that has worked, and brought back if not. The guard asks for `confirm`,
    the exact name, unless settings and database agree that it is disposable (`Refused`). With
    `soft_reset` in the settings, the database stays, and what the role owns in it is dropped,
    before anything new is there. Raises `DatabaseReplaced`, and what `init` and `delete_db` raise;
    a soft reset what `emptied_target` raises.
    """
    target = open_target(settings, "recreate", on_event)
    target.graph.goals()
    refuse_unfinished(target.settings.root, target.graph.pending(()))
    check_intent(target.server, confirm)
    seeds = seeds_of_new_database(target.settings, no_seed)
    if target.settings.soft_reset:
        return _reset(target, confirm, seeds)
    started = time.monotonic()
    with locked_maintenance_session(target.server) as connection:
        # What the guard then looks at is replaced, and no other one that has its name by then.
        present = present_target(target.server, connection)
        with guarded_drop(target.server, connection, confirm):
            if not may_create_databases(connection):
                lacking = InsufficientPrivilege.to_create(target.location, connection.info.user)
                raise lacking.or_reset() if present is not None else lacking
            done = build_target(
                target, connection, from_migrations, replaces=True, present=present, seeds=seeds
            )
            if done is None:
                done = _rebuild_in_place(target, connection, present, started, seeds)
    return Recreated(
        **vars(done), dropped=present is not None, undo=present.undo if present else None
    )


def _reset(target: Target, confirm: str | None, seeds: tuple[str, ...]) -> Recreated:
    with emptied_target(target, confirm) as (connection, dropped):
        done = seeded(target, connection, migrate(target, connection), seeds)
    undo = None
    if target.settings.keeps_undo:
        undo = Undo(reason="a soft reset empties the database, and does not replace it")
    return Recreated(**vars(done), dropped=True, soft_reset=dropped, undo=undo)


def _rebuild_in_place(
    target: Target,
    connection: Connection,
    present: PresentTarget | None,
    started: float,
    seeds: tuple[str, ...],
) -> Initialised:
    with recreate_under_own_name(target, connection, present), target.server.target() as new:
        marked = mark_if_unmarked(target.server, new, created=True)
        done = migrate(target, new, started, created=True, marked=marked)
        return seeded(target, new, done, seeds)
