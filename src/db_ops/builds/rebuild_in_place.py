"""Recreate a database under its own name, where it cannot be built beside the present one.

Nothing is dropped before it has worked: until then the present database is a snapshot, which no
other command drops, so that even a killed process leaves something that `restore` brings back.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from db_ops.errors import DatabaseReplaced, DbOpsError, MigrationFailed, SeedFailed
from db_ops.migrations.env.run_env import load_metadata
from db_ops.postgres.creation import create_database
from db_ops.postgres.databases import database_oid
from db_ops.postgres.own_databases import SNAPSHOT, own_name
from db_ops.postgres.replacement import RenamedTarget
from db_ops.postgres.undo import PresentTarget
from db_ops.results import BuildAbandoned, DatabaseCreated, DatabaseDropped, DatabaseSetAside
from db_ops.target.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


@contextmanager
def recreate_under_own_name(
    target: Target, connection: Connection, present: PresentTarget | None
) -> Iterator[None]:
    """Create the target anew for a `with` block; if that fails, the *present* one is there again.

    Without one that is *present*, what the block has made stays. Raises
    `DatabaseReplaced`, `RebuildFailed`, and what `drop_failure` returns.
    """
    server = target.server
    load_metadata(target.project, target.scripts)
    aside = None if present is None else _set_aside(target, connection, present)
    ours = None
    try:
        if not create_database(server, connection):
            raise DatabaseReplaced(server.location)
        ours = database_oid(connection, server.url.database)
        server.on_event(DatabaseCreated(server.location))
        yield
    except BaseException as error:
        if aside is not None and aside.restore_name(ours):
            server.on_event(BuildAbandoned(server.location))
            if isinstance(error, MigrationFailed | SeedFailed):
                raise error.of_rebuild() from error
        raise
    if aside is not None and present is not None:
        aside.give_up(present)
        server.on_event(DatabaseDropped(server.location))


def _set_aside(target: Target, connection: Connection, present: PresentTarget) -> RenamedTarget:
    server = target.server
    recorded: tuple[str, ...] = ()
    # One that lets nobody in can be rebuilt all the same.
    with suppress(DbOpsError):
        recorded = target.recorded()
    title = time.strftime("before recreate %Y-%m-%d %H:%M:%S")
    server.on_event(DatabaseSetAside(server.location, title))
    facts = {
        "service": server.url.database,
        "name": title,
        "heads": recorded,
        "built": time.time(),
    }
    return RenamedTarget.make(server, connection, present, own_name(SNAPSHOT), facts)
