"""Create, recreate and delete the database as a whole."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from db_ops.errors import InsufficientPrivilege
from db_ops.operations.ahead import check_known
from db_ops.operations.guard import check_intent, guarded, mark_lock
from db_ops.operations.migrating import apply_pending, reached
from db_ops.operations.servers import open_server
from db_ops.operations.target import Target, open_target
from db_ops.postgres.catalog import is_empty
from db_ops.postgres.creation import create_database
from db_ops.postgres.databases import (
    database_exists,
    database_oid,
    drop_database,
    may_create_databases,
)
from db_ops.postgres.lock import advisory_lock, lock_key
from db_ops.postgres.mark import read_mark, write_mark
from db_ops.postgres.server import Server
from db_ops.postgres.session import maintenance_session, prepare_to_write
from db_ops.results import (
    DatabaseCreated,
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

    The new database is whole before it takes the old one's place, so that a failure leaves the old
    one as it was. Where it can only be built under its own name, because a revision names it or a
    pooler knows no other, the old one is kept as a snapshot until that has worked, and brought back
    if not. The guard asks for `confirm`, the exact name, unless settings and database agree that it
    is disposable (`Refused`). Raises `DatabaseReplaced`, and what `init` and `delete_db` raise.
    """
    target = open_target(settings, "recreate", on_event)
    target.graph.goals()
    check_intent(target.server, confirm)
    started = time.monotonic()
    with maintained(target.server) as connection:
        # What the guard then looks at is replaced, and no other one that has its name by then.
        present = database_oid(connection, target.server.url.database)
        with guarded(target.server, connection, confirm):
            if not may_create_databases(connection):
                raise InsufficientPrivilege.to_create(target.location, connection.info.user)
            built = _build(target, connection, from_migrations, replaces=True, present=present)
            if built is not None:
                return Recreated(**vars(_built(target, built)), dropped=present is not None)
            from db_ops.operations.rebuild import rebuilt_in_place

            with rebuilt_in_place(target, connection, present), target.server.target() as new:
                marked = _mark_if_unmarked(target.server, new, created=True)
                done = _migrate(target, new, started, created=True, marked=marked)
    return Recreated(**vars(done), dropped=present is not None)


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
    target: Target,
    connection: Connection,
    from_migrations: bool,
    *,
    replaces: bool,
    present: int | None = None,
) -> Built | None:
    """Put a copy of a template, or what will be one, in the target's place, if that can be done.

    A target that is replaced is built beside it in any case, if that can be done.
    """
    if from_migrations and not replaces:
        return None
    # Most calls of `init` find nothing to do.
    from db_ops.operations.building import Builder, build_beside
    from db_ops.postgres.own_databases import sweep

    builder = None
    if not from_migrations:
        builder = Builder.of(target, connection, replaces=replaces, present=present)
    if builder is not None:
        built = builder.build()
    else:
        built = build_beside(target, connection, present) if replaces else None
    if built and builder and target.settings.spare:
        from db_ops.operations.background import prepare_in_background

        prepare_in_background(target)
    elif built and built.replaced:
        sweep(connection)
    return built


def _built(target: Target, built: Built) -> Initialised:
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
    known = check_known(target, recorded, connection)
    steps = () if known.ahead else apply_pending(target, recorded, connection=connection)
    heads, ahead = reached(target, recorded, None, connection)
    return Initialised(
        location=target.location,
        heads=heads if ahead else target.graph.heads,
        steps=steps,
        ahead=ahead,
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
    """Connect to a maintenance database, alone in creating or dropping the target.

    The target's own lock could not serve: it may not exist.
    """
    with (
        maintenance_session(server) as connection,
        advisory_lock(
            connection,
            lock_key("database", server.url.database),
            location=server.location,
            timeout=server.settings.migration_lock_timeout,
            on_event=server.on_event,
        ),
    ):
        yield connection
