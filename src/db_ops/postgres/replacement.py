"""Replace one database by another: end its sessions, then rename both in one transaction."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import connection as Connection

from db_ops.errors import DatabaseReplaced, DbOpsError
from db_ops.postgres.connection.server import Server
from db_ops.postgres.connection.session import set_up_session
from db_ops.postgres.databases import (
    database_in_use,
    database_oid,
    drop_database,
    drop_error,
)
from db_ops.postgres.environment_mark import comment_of, new_comment
from db_ops.postgres.own_databases import (
    allow_connections,
    drop,
    rename,
    set_comment,
    transaction,
    write_facts,
)
from db_ops.postgres.undo import PresentTarget, drop_outdated, present_target
from db_ops.results import Undo

# The server itself ends autovacuum where it is in the way. Of another role's sessions it does not
# show what they are, but whose: autovacuum is nobody's.
_END_SESSIONS = """
    SELECT count(pg_terminate_backend(pid))
    FROM pg_stat_activity s JOIN pg_roles r ON r.oid = s.usesysid
    WHERE datname = %s AND (pg_has_role(usesysid, 'USAGE')
        OR pg_has_role('pg_signal_backend', 'USAGE') AND NOT rolsuper)
"""
# The name is taken, or what had it is gone.
_CHANGED = (
    errorcodes.DUPLICATE_DATABASE,
    errorcodes.UNIQUE_VIOLATION,
    errorcodes.INVALID_CATALOG_NAME,
)
_HELD = errorcodes.OBJECT_IN_USE, errorcodes.INSUFFICIENT_PRIVILEGE
_PATIENCE, _PAUSE = 5.0, 0.002
_SECOND_LOOK = 0.05


def replace_target(
    server: Server,
    connection: Connection,
    newcomer: str,
    present: PresentTarget | None,
    comment: str | None = None,
) -> None:
    """Give the target's name to the database *newcomer*, all or nothing.

    And its mark, unless it brings a *comment* of its own. *present* is the target that may be
    replaced, None if there is none. Who is connected to it is disconnected. *newcomer* is closed or
    has no sessions. Raises `DatabaseReplaced` if the target is another one by now, and what
    `drop_error` returns.
    """
    with closed_target(server, connection):
        _exchange(server, connection, newcomer, present, comment)


def remove_target(server: Server, connection: Connection) -> tuple[bool, Undo | None]:
    """Drop the target, whoever is connected to it, or keep it for `undo` under another name.

    Returns whether it existed, and what is kept. Raises what `drop_error` returns.
    """
    present = present_target(server, connection)
    existed, undo = True, present.undo if present else None
    if present is None or present.facts is None:
        existed = drop_database(server, connection)
    else:
        try:
            with closed_target(server, connection), transaction(connection) as cursor:
                present.rename(cursor, server.url.database)
        except DatabaseReplaced:
            # Somebody does so by hand at this moment.
            existed, undo = drop_database(server, connection), None
    if server.settings.is_disposable:
        drop_outdated(server, connection)
    return existed, undo


def rename_to_target(server: Server, connection: Connection, newcomer: str) -> bool:
    """Give the target's name and mark to the database *newcomer*; False if the name is taken."""
    try:
        _exchange(server, connection, newcomer, None)
    except psycopg2.Error as error:
        if error.pgcode not in _CHANGED:
            raise
        return False
    return True


@dataclass(frozen=True)
class RenamedTarget:
    """The old target, closed to connections and renamed to *name*, with its comment."""

    server: Server
    connection: Connection
    name: str
    comment: str

    @classmethod
    def make(
        cls,
        server: Server,
        connection: Connection,
        present: PresentTarget,
        name: str,
        facts: Mapping[str, Any],
    ) -> RenamedTarget:
        """Rename the target, which is *present*. Raises what `closed_target` raises."""
        target = server.url.database
        aside = cls(server, connection, name, comment_of(connection, target))
        with closed_target(server, connection), transaction(connection) as cursor:
            rename(cursor, target, name)
            check_oid(server, connection, name, present.oid)
            allow_connections(cursor, name, False)
            write_facts(cursor, name, facts)
        return aside

    def restore_name(self, other: int | None) -> bool:
        """Make it the target again, instead of the one with the oid *other*, which is dropped.

        False if it stays where it is: somebody's third database has the name, or the server fails.
        """
        server, connection, target = self.server, self.connection, self.server.url.database
        try:
            if other is not None and database_oid(connection, target) == other:
                drop_database(server, connection)
            wait_until_unused(connection, self.name)
            with transaction(connection) as cursor:
                set_comment(cursor, self.name, self.comment or None)
                allow_connections(cursor, self.name, True)
                rename(cursor, self.name, target)
        except (psycopg2.Error, DbOpsError):
            return False
        return True

    def give_up(self, present: PresentTarget) -> None:
        """Drop it, or keep it as *present* says, after its successor is complete."""
        if present.facts is None:
            drop(self.connection, self.name)
            return
        with transaction(self.connection) as cursor:
            present.rename(cursor, self.name)
            allow_connections(cursor, present.name, True)


@contextmanager
def closed_target(server: Server, connection: Connection) -> Iterator[None]:
    """End all sessions of the target and keep new ones out, for a `with` block that renames it.

    Raises `DatabaseReplaced`, and what `drop_error` returns.
    """
    held = database_in_use(server, connection)
    if held is not None:
        raise held
    try:
        with disconnect_sessions(server, connection):
            yield
    except psycopg2.Error as error:
        if error.pgcode in _CHANGED:
            raise DatabaseReplaced(server.location) from None
        if error.pgcode in _HELD:
            raise drop_error(server, connection, error) from None
        raise


def check_oid(server: Server, connection: Connection, name: str, oid: int) -> None:
    """Raise `DatabaseReplaced` unless *name*, which the target was renamed to, has this *oid*."""
    if database_oid(connection, name) != oid:
        raise DatabaseReplaced(server.location)


def _exchange(
    server: Server,
    connection: Connection,
    newcomer: str,
    present: PresentTarget | None,
    comment: str | None = None,
) -> None:
    """Rename *newcomer* to the target, a *present* target as that says."""
    target = server.url.database
    wait_until_unused(connection, newcomer)
    with transaction(connection) as cursor:
        if present is not None:
            present.rename(cursor, target)
            check_oid(server, connection, present.name, present.oid)
        set_comment(cursor, newcomer, comment or new_comment(server.settings))
        allow_connections(cursor, newcomer, True)
        rename(cursor, newcomer, target)


@contextmanager
def disconnect_sessions(server: Server, connection: Connection) -> Iterator[None]:
    """End all sessions of the target, and later ones during a `with` block.

    ALTER DATABASE keeps new sessions waiting, but waits itself for those that were quicker.
    """
    stop = threading.Event()
    database, maintenance = server.url.database, connection.info.dbname
    once = server.without_waiting()

    def watch() -> None:
        if stop.wait(_SECOND_LOOK):
            return
        with suppress(Exception), closing(once.connect(maintenance)) as watching:
            set_up_session(server, watching)
            while not stop.is_set():
                _end_sessions(watching, database)
                stop.wait(_SECOND_LOOK)

    wait_until_unused(connection, database)
    thread = threading.Thread(target=watch, name="db_ops-sessions", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def wait_until_unused(connection: Connection, database: str) -> None:
    """End the sessions of a database and wait for the last: even a closed one takes a moment.

    The server would look only ten times a second. A pooler keeps its sessions open for others, so
    those of a database that is ours have to be ended too.
    """
    deadline = time.monotonic() + _PATIENCE
    while _end_sessions(connection, database) and time.monotonic() < deadline:
        time.sleep(_PAUSE)


def _end_sessions(connection: Connection, database: str) -> int:
    """End the sessions of a database; return how many there still were."""
    with connection.cursor() as cursor:
        cursor.execute(_END_SESSIONS, (database,))
        row = cursor.fetchone()
    return int(row[0]) if row else 0
