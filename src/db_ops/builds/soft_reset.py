"""Empty the target of what its role owns, for a role that cannot replace the database.

Nothing is built first to see that it works: that would take a second database.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from db_ops.errors import ObjectsLocked, OthersWouldGo, VersionTableKept
from db_ops.migrations.env.run_env import load_metadata
from db_ops.postgres.connection.session import prepare_to_write
from db_ops.postgres.locks.advisory_lock import advisory_lock, lock_key, lock_options
from db_ops.postgres.owned_objects import OthersDepend, drop_owned_objects, owned_by_another
from db_ops.results import ObjectsDropped
from db_ops.target.guard import check_mark, mark_lock
from db_ops.target.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_PAUSE = 0.1  # seconds


@contextmanager
def emptied_target(
    target: Target, confirm: str | None
) -> Iterator[tuple[Connection, ObjectsDropped]]:
    """Drop what the role owns in the target, and keep its locks for a `with` block.

    Raises what `check_mark` raises, `VersionTableKept`, `OthersWouldGo`, `ObjectsLocked`.
    """
    server = target.server
    load_metadata(target.project, target.scripts)
    with server.target() as connection:
        prepare_to_write(server, connection)
        creation = lock_key("database", server.url.database)
        with (
            advisory_lock(connection, creation, **lock_options(target.server)),
            mark_lock(server, connection),
            target.migration_lock(connection),
        ):
            check_mark(server, connection, confirm)
            _check_version_tables(target, connection)
            dropped = _drop(target, connection)
            server.on_event(dropped)
            yield connection, dropped


def _check_version_tables(target: Target, connection: Connection) -> None:
    project = target.project
    for names in ((project.version_table_schema, project.version_table), *project.tables):
        owned = owned_by_another(connection, *names)
        if owned is not None:
            raise VersionTableKept(target.location, *owned)


def _drop(target: Target, connection: Connection) -> ObjectsDropped:
    """Drop what is to go; where somebody holds a lock, give up, and try again after a while."""
    attempts = target.settings.lock_retries + 1
    left = attempts
    with target.watch(connection) as watch:

        def wait(transactions: int) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                blockers = f" by {watch.last}" if watch.last else ""
                raise ObjectsLocked(target.location, blockers, _outcome(transactions), attempts)
            time.sleep(_PAUSE * random.uniform(0.5, 1.0))

        try:
            return drop_owned_objects(target.server, connection, wait)
        except OthersDepend as error:
            outcome = _outcome(error.transactions)
            raise OthersWouldGo(target.location, error.objects, outcome) from None


def _outcome(transactions: int) -> str:
    return "a part is dropped, and the rest is not" if transactions else "nothing is dropped"
