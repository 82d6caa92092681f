"""Create the database if it is missing, and apply every pending migration."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from db_ops.frozen_data import replace
from db_ops.postgres.databases import database_exists
from db_ops.results import Initialised, OnEvent, ignore
from db_ops.settings import Settings
from db_ops.target.create import create_if_missing, locked_maintenance_session, migrate
from db_ops.target.target import Target, open_target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


def init(
    settings: Settings,
    *,
    from_migrations: bool = False,
    no_seed: bool = False,
    on_event: OnEvent = ignore,
) -> Initialised:
    """Create the database if it is missing and apply every pending migration.

    Idempotent, and safe in any number of processes at once. A database that this creates, or finds
    empty, is marked with the environment. At head it takes no lock and writes nothing. In
    development and test, a database that this creates is a copy of a template if one was built from
    the same migrations; *from_migrations* runs them in any case. In development, the project's
    seeds are run in one that this creates, unless *no_seed*.

    Raises `MisuseError` before contacting a server, `ServerError`, `MigrationFailed`, `SeedFailed`,
    `RevisionFileBroken`, `EnvironmentBroken`, `UnfinishedMigration`.
    """
    target = open_target(settings, "init", on_event)
    target.graph.goals()
    with target.server.target_if_exists() as connection:
        if connection is not None:
            return migrate(target, connection, check_tables=_check_tables)
    return _create(target, from_migrations=from_migrations, no_seed=no_seed)


def _create(target: Target, *, from_migrations: bool, no_seed: bool) -> Initialised:
    from db_ops.migrations.revisions.unfinished import refuse_unfinished
    from db_ops.target.seeds import seeded, seeds_of_new_database

    refuse_unfinished(target.settings.root, target.graph.pending(()))
    if from_migrations:
        # Files that do not import must not leave an empty database behind.
        _ = target.scripts
    seeds = seeds_of_new_database(target.settings, no_seed)
    started = time.monotonic()
    with locked_maintenance_session(target.server) as maintenance:
        if not database_exists(maintenance, target.server.url.database):
            # Most calls find the database there.
            origin = None
            if target.settings.branch is not None and not from_migrations:
                from db_ops.target.branch_database import copy_parent

                origin = copy_parent(target, maintenance)
            if origin is not None:
                with target.server.target() as connection:
                    done = migrate(target, connection, check_tables=_check_tables)
                return replace(done, created=True, origin=origin)
            from db_ops.builds.rebuild import build_target

            built = build_target(target, maintenance, from_migrations, replaces=False, seeds=seeds)
            if built is not None:
                return built
        _ = target.scripts
        created, marked = create_if_missing(target.server, maintenance)
    with target.server.target() as connection:
        done = migrate(
            target,
            connection,
            started,
            created=created,
            marked=marked,
            check_tables=_check_tables,
        )
        return seeded(target, connection, done, seeds) if created else done


def _check_tables(target: Target, connection: Connection) -> None:
    from db_ops.verification.untracked_tables import check_tables

    check_tables(target, connection)
