"""The guard: a destructive command runs freely only if settings and database agree that it may.

The database's own mark is what stops a laptop with the wrong variables, or a tunnel to production
that looks like localhost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from db_ops.errors import Refused
from db_ops.postgres.catalog import is_empty
from db_ops.postgres.mark import read_mark
from db_ops.postgres.server import Server, database_exists

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


def check_guard(
    server: Server, connection: Connection, confirm: str | None, arguments: str = ""
) -> None:
    """Return if the database may be destroyed. Raises `Refused` if not.

    *confirm* with the exact name of the database lets everything pass; any other name is refused
    even where nothing had to be confirmed. *connection* is to any database of the server;
    *arguments* are repeated in the hint.
    """
    reason = _objection(server, connection, confirm)
    if reason is not None:
        raise Refused(server.location, server.url.database, server.command, reason, arguments)


def _objection(server: Server, connection: Connection, confirm: str | None) -> str | None:
    database, environment = server.url.database, server.settings.environment
    if confirm is not None:
        wrong = confirm != database
        return f"--confirm names {confirm!r}, the database is {database!r}" if wrong else None
    if not server.settings.is_disposable:
        return f"the environment is {environment}"
    mark = read_mark(connection, database)
    if mark is not None:
        agrees = mark == environment
        return (
            None if agrees else f"the database is marked {mark}, the environment is {environment}"
        )
    if not database_exists(connection, database) or _is_empty(server):
        return None
    return "the database holds data and is not marked as development or test"


def _is_empty(server: Server) -> bool:
    with server.target() as connection:
        return is_empty(connection)
