"""Create, recreate and delete the database as a whole."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from db_ops.errors import InsufficientPrivilege
from db_ops.operations.guard import check_intent, guarded, mark_lock
from db_ops.operations.migrating import apply_pending
from db_ops.operations.servers import open_server
from db_ops.operations.target import Target, open_target
from db_ops.postgres.catalog import is_empty
from db_ops.postgres.databases import (
    create_database,
    database_exists,
    drop_database,
    may_create_databases,
)
from db_ops.postgres.lock import advisory_lock, lock_key
from db_ops.postgres.mark import read_mark, write_mark
from db_ops.postgres.server import Server
from db_ops.postgres.session import prepare_to_write
from db_ops.results import (
    DatabaseCreated,
    DatabaseDropped,
    Deleted,
    Initialised,
    NotMarked,
    OnEvent,
    Origin,
    Recreated,
    ignore,
)
from db_ops.settings import Settings

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from db_ops.operations.building import Built


def init(
    settings: Settings, *, from_migrations: bool = False, on_event: OnEvent = ignore
) -> Initialised:
    """Create the database if it is missing and apply every pending migration.

    Idempotent, and safe in any number of processes at once. A database that this creates, or finds
    empty, is marked with the environment. At head it takes no lock and writes nothing. In
    development and test, a database that this creates is a copy of a template if one was built from
    the same migrations; *from_migrations* runs them in any case.

    Raises `MisuseError` before contacting a server, `ServerError`, `MigrationFailed`,
    `RevisionFileBroken`, `EnvironmentBroken`.
    """
    target = open_target(settings, "init", on_event)
    target.graph.goals()
    with target.server.target_if_exists() as connection:
        if connection is not None:
            return _migrate(target, connection)
    if from_migrations:
        # Files that do not import must not leave an empty database behind.
        _ = target.scripts
    started = time.monotonic()
    with maintained(target.server) as maintenance:
        built = None
        if not database_exists(maintenance, target.server.url.database):
            built = _build(target, maintenance, from_migrations, replaces=False)
        if built is not None:
            return _built(target, built)
        _ = target.scripts
        created, marked = _create_if_missing(target.server, maintenance)
    with target.server.target() as connection:
        return _migrate(target, connection, started, created=created, marked=marked)


def recreate(
    settings: Settings,
    *,
    confirm: str | None = None,
    from_migrations: bool = False,
    on_event: OnEvent = ignore,
) -> Recreated:
    """Delete the database, whoever is connected to it, then do what `init` does.

    In development and test the new database is whole before it takes the old one's place, so that a
    failure leaves the old one as it was. Elsewhere, and with *from_migrations*, everything that a
    rebuild needs is checked before anything is dropped: one head, revision files and models that
    import, the right to create databases. The guard asks for `confirm`, the exact name, unless
    settings and database agree that it is disposable (`Refused`).
    """
    target = open_target(settings, "recreate", on_event)
    target.graph.goals()
    check_intent(target.server, confirm)
    started = time.monotonic()
    with (
        maintained(target.server) as connection,
        guarded(target.server, connection, confirm),
    ):
        if not may_create_databases(connection):
            raise InsufficientPrivilege.to_create(target.server.location, connection.info.user)
        built = _build(target, connection, from_migrations, replaces=True)
        if built is not None:
            return Recreated(**vars(_built(target, built)), dropped=built.replaced is not None)
        from db_ops.migrations.running_env import rehearse

        rehearse(target.project, target.scripts)
        dropped = drop_database(target.server, connection)
        if dropped:
            on_event(DatabaseDropped(target.location))
        created, marked = _create_if_missing(target.server, connection)
    with target.server.target() as connection:
        done = _migrate(target, connection, started, created=created, marked=marked)
    return Recreated(**vars(done), dropped=dropped)


def delete_db(
    settings: Settings, *, confirm: str | None = None, on_event: OnEvent = ignore
) -> Deleted:
    """Drop the database, whoever is connected to it. Idempotent: a missing one is a success.

    The guard asks for `confirm`, the exact name, unless settings and database agree that it is
    disposable (`Refused`). Raises `DatabaseInUse`, `InsufficientPrivilege`.
    """
    server = open_server(settings, "delete-db", on_event)
    check_intent(server, confirm)
    with maintained(server) as connection, guarded(server, connection, confirm):
        existed = drop_database(server, connection)
    return Deleted(server.location, existed)


def _build(
    target: Target, connection: Connection, from_migrations: bool, *, replaces: bool
) -> Built | None:
    """Put a copy of a template, or what will be one, in the target's place, if that can be done."""
    if from_migrations:
        return None
    # Most calls of `init` find nothing to do.
    from db_ops.operations.building import Builder
    from db_ops.postgres.own_databases import sweep

    builder = Builder.of(target, connection, replaces=replaces)
    built = builder.build() if builder else None
    if built and built.replaced and not target.settings.spare:
        sweep(connection)
    return built


def _built(target: Target, built: Built) -> Initialised:
    if target.settings.spare:
        from db_ops.operations.background import prepare_in_background

        prepare_in_background(target)
    return Initialised(
        location=target.location,
        heads=target.graph.heads,
        steps=built.steps,
        created=True,
        mark=target.settings.environment,
        origin=built.origin,
    )


def _create_if_missing(server: Server, connection: Connection) -> tuple[bool, bool]:
    """Create and mark the target; return whether it was created, and whether marked."""
    if database_exists(connection, server.url.database) or not create_database(server, connection):
        return False, False
    server.on_event(DatabaseCreated(server.location))
    with server.target() as new:
        return True, _mark_if_unmarked(server, new, created=True)


def _migrate(
    target: Target,
    connection: Connection,
    started: float = 0.0,
    *,
    created: bool = False,
    marked: bool = False,
) -> Initialised:
    recorded = target.recorded_on(connection)
    if not recorded and not created and is_empty(connection):
        marked = _mark_if_unmarked(target.server, connection)
    steps = apply_pending(target, recorded, connection=connection)
    return Initialised(
        location=target.location,
        heads=target.graph.heads,
        steps=steps,
        created=created,
        mark=target.settings.environment if marked else None,
        origin=Origin("migrations", time.monotonic() - started) if created else None,
    )


def _mark_if_unmarked(server: Server, connection: Connection, *, created: bool = False) -> bool:
    """Mark a new or empty target; of several environments that meet there, the first one gets it.

    *connection* is to the target, because its lock on the mark is.
    """
    if read_mark(connection, server.url.database) is not None:
        return False
    prepare_to_write(server, connection)
    with mark_lock(server, connection):
        marked = read_mark(connection, server.url.database) is not None
        # A new one may hold what the server's administrators have put into template1.
        if marked or not (created or is_empty(connection)):
            return False
        return _mark(server, connection)


def _mark(server: Server, connection: Connection) -> bool:
    marked = write_mark(connection, server.url.database, server.settings.environment)
    if not marked:
        server.on_event(NotMarked(server.location, "only the database's owner may mark it"))
    return marked


@contextmanager
def maintained(server: Server) -> Iterator[Connection]:
    """Connect to the maintenance database, alone in creating or dropping the target there.

    Advisory locks are per database, so the target's own could not serve: it may not exist.
    """
    with server.maintenance() as connection:
        prepare_to_write(server, connection)
        with advisory_lock(
            connection,
            lock_key("database", server.url.database),
            location=server.location,
            timeout=server.settings.migration_lock_timeout,
            on_event=server.on_event,
        ):
            yield connection
