"""The way in for the plain `alembic` command, which the project's env.py takes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from db_ops.errors import DatabaseAhead, UnknownRevisions
from db_ops.migrations.environment import Opened
from db_ops.operations.ahead import check_known
from db_ops.operations.target import Target, open_target
from db_ops.results import Event, NotRecorded, WaitingForLock, WaitingForServer
from db_ops.settings import load

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


@contextmanager
def connect_for_alembic(writes: bool) -> Iterator[Opened]:
    """Open the database of the project around the current directory, for a `with` block.

    The connection is read-only unless *writes*; then the migration lock is held as well, on
    another connection, and what is done is recorded. Raises `DatabaseMissing` and what every other
    command raises.
    """
    target = open_target(load(), "alembic", _log)
    if not writes:
        with target.server.target():
            connection = target.open(read_only=True)
        with closing(connection):
            yield Opened(connection)
        return
    with (
        target.migration_lock() as locked,
        _looked_at(target, locked),
        target.recording(locked) as records,
        closing(target.open()) as connection,
    ):
        yield Opened(connection, records)


@contextmanager
def _looked_at(target: Target, locked: Connection) -> Iterator[None]:
    """Say by what the database is ahead: Alembic only says that it cannot locate a revision."""
    try:
        check_known(target, target.recorded_on(locked), locked, "Alembic needs their files")
    except (DatabaseAhead, UnknownRevisions) as error:
        # Not refused: `stamp --purge` is meant for such a database.
        logging.getLogger("db_ops").warning("%s; %s", error.message, error.hint)
    yield


def _log(event: Event) -> None:
    # Alembic's own command has no other way to tell its user that it waits, and for whom.
    if isinstance(event, WaitingForLock):
        text = "%s: waiting for %s; to end it: %s"
        logging.getLogger("db_ops").warning(text, event.location, event.holder, event.remedy)
    elif isinstance(event, NotRecorded):
        text = "%s: not recorded, %s; %s"
        logging.getLogger("db_ops").warning(text, event.location, event.reason, event.remedy)
    elif isinstance(event, WaitingForServer):
        logging.getLogger("db_ops").warning("%s: waiting, %s", event.location, event.reason)
