"""Create, mark and migrate the database of a target; the lock on creating and dropping it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from db_ops.postgres.catalog import is_empty
from db_ops.postgres.connection.server import Server
from db_ops.postgres.connection.session import maintenance_session, prepare_to_write
from db_ops.postgres.databases import database_exists
from db_ops.postgres.locks.advisory_lock import advisory_lock, lock_key, lock_options
from db_ops.results import BranchNotKept, DatabaseCreated, Initialised, NotMarked, Origin, Step
from db_ops.target.ahead import check_known
from db_ops.target.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from db_ops.target.apply import CheckTables


def create_if_missing(server: Server, connection: Connection) -> tuple[bool, bool]:
    """Create and mark the target; return whether it was created, and whether marked."""
    from db_ops.postgres.creation import create_database

    if database_exists(connection, server.url.database) or not create_database(server, connection):
        return False, False
    server.on_event(DatabaseCreated(server.location))
    with server.target() as new:
        return True, mark_if_unmarked(server, new, created=True)


def migrate(
    target: Target,
    connection: Connection,
    started: float = 0.0,
    *,
    created: bool = False,
    marked: bool = False,
    check_tables: CheckTables | None = None,
) -> Initialised:
    """Apply what is pending in the target that *connection* is to, and tell what `init` does.

    *check_tables* is that of `apply_pending`.
    """
    recorded = target.recorded_on(connection)
    if not recorded and not created and is_empty(connection):
        marked = mark_if_unmarked(target.server, connection)
    known = check_known(target, recorded, connection)
    pending = target.graph.pending(recorded)
    heads: tuple[str, ...] = recorded
    ahead: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    if pending:
        # Most calls find nothing to do, and need none of these.
        from db_ops.migrations.revisions.unfinished import refuse_unfinished
        from db_ops.target.apply import apply_pending, reached_revisions

        if not known.ahead and not created:
            refuse_unfinished(target.settings.root, pending, "db-ops upgrade --unfinished")
        if not known.ahead:
            steps = apply_pending(
                target, recorded, connection=connection, check_tables=check_tables
            )
        heads, ahead = reached_revisions(target, recorded, None, connection)
    return Initialised(
        location=target.location,
        heads=heads if ahead else target.graph.heads,
        steps=steps,
        ahead=ahead,
        created=created,
        mark=target.settings.environment if marked else None,
        origin=Origin("migrations", time.monotonic() - started) if created else None,
    )


def mark_if_unmarked(server: Server, connection: Connection, *, created: bool = False) -> bool:
    """Mark a new or empty target; of several environments that meet there, the first one gets it.

    *connection* is to the target, because its lock on the mark is.
    """
    from db_ops.postgres.environment_mark import read_mark
    from db_ops.target.guard import mark_lock

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
    from db_ops.postgres.environment_mark import write_mark

    marked = write_mark(connection, server.url.database, server.settings)
    if not marked:
        server.on_event(NotMarked(server.location, "only the database's owner may mark it"))
    return marked


@contextmanager
def locked_maintenance_session(server: Server) -> Iterator[Connection]:
    """Connect to a maintenance database, with the lock on creating and dropping the target.

    The target's own lock could not serve: it may not exist.
    """
    with (
        maintenance_session(server) as connection,
        advisory_lock(
            connection,
            lock_key("database", server.url.database),
            **lock_options(server),
        ),
    ):
        if server.settings.branch is not None:
            keep_name(server)
        yield connection


def keep_name(server: Server) -> None:
    """Have git keep the name of a branch's database with the branch, through a rename. Idempotent.

    Where git cannot write, the name is found again for as long as the branch has its own.
    """
    from db_ops.settings.git_checkout import DATABASE_KEY, git

    databases, name = server.settings.branch, server.url.database
    if databases is None or databases.checkout.branch is None or name == databases.base:
        return
    branch = databases.checkout.branch
    # The session may be for the database of another branch, which is pruned.
    if (branch, name) in databases.checkout.configured or name != databases.current:
        return
    variable = f"branch.{branch}.{DATABASE_KEY}"
    if git(databases.checkout, "config", "--local", "--add", variable, name) is None:
        server.on_event(BranchNotKept(server.location, branch))
