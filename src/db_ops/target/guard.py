"""The guard: destructive commands need the consent of the settings and of the database.

The database's own mark is what stops a laptop with the wrong variables, or a tunnel to production
that looks like localhost.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, NoReturn

from db_ops.errors import Refused
from db_ops.postgres.catalog import is_empty
from db_ops.postgres.connection.server import Server
from db_ops.postgres.connection.session import set_up_session
from db_ops.postgres.databases import database_exists
from db_ops.postgres.environment_mark import read_mark
from db_ops.postgres.locks.advisory_lock import advisory_lock, lock_key, lock_options

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


def check_intent(server: Server, confirm: str | None, arguments: str = "") -> None:
    """Refuse what the settings alone forbid, before the server is contacted.

    *confirm* with any other name than the database's is refused even where nothing had to be
    confirmed. *arguments* are repeated in the hint. Raises `Refused`.
    """
    database = server.url.database
    if confirm is not None and confirm != database:
        _refuse(server, f"--confirm names {confirm!r}, the database is {database!r}", arguments)
    application = server.settings.application_url
    if confirm is None and application is not None and application.database != database:
        other = f"{application.source} names the database {application.database!r}"
        _refuse(server, f"{other}, {server.url.source} names {database!r}", arguments)
    if confirm is None and not server.settings.is_disposable:
        _refuse(server, f"the environment is {server.settings.environment_for_people}", arguments)


def check_mark(
    server: Server, connection: Connection, confirm: str | None, arguments: str = ""
) -> None:
    """Refuse what the database's own mark forbids, unless *confirm* has passed `check_intent`.

    *connection* is to any database of the server. Raises `Refused`.
    """
    if confirm is not None:
        return
    database, environment = server.url.database, server.settings.environment
    mark = read_mark(connection, database)
    if mark is None and database_exists(connection, database) and not _is_empty(server):
        reason = "the database holds data and is not marked as development or test"
        _refuse(server, reason, arguments)
    if mark is not None and mark != environment:
        reason = f"the database is marked {mark}, the environment is {environment}"
        _refuse(server, reason, arguments)


@contextmanager
def guarded_drop(
    server: Server, connection: Connection, confirm: str | None, arguments: str = ""
) -> Iterator[None]:
    """Do what `check_mark` does, for a `with` block in which the database may be dropped.

    An unmarked database that is empty is free. Between that look and the DROP, `init` for another
    environment could mark it and fill it; the lock on the mark keeps it out until the DROP, WITH
    (FORCE), ends our session that holds it.
    """
    with ExitStack() as stack:
        database = server.url.database
        unmarked = confirm is None and read_mark(connection, database) is None
        if unmarked and database_exists(connection, database):
            inside = stack.enter_context(server.target())
            set_up_session(server, inside)
            stack.enter_context(mark_lock(server, inside))
        check_mark(server, connection, confirm, arguments)
        yield


def mark_lock(server: Server, connection: Connection) -> AbstractContextManager[None]:
    """Hold the lock on the target's mark, on a *connection* to it, for a `with` block."""
    return advisory_lock(
        connection,
        lock_key("mark", server.url.database),
        **lock_options(server),
    )


def _refuse(server: Server, reason: str, arguments: str) -> NoReturn:
    raise Refused(server.location, server.url.database, server.command, reason, arguments)


def _is_empty(server: Server) -> bool:
    with server.target() as connection:
        return is_empty(connection)
