"""The way in for the plain `alembic` command, which the project's env.py takes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager

from db_ops.migrations.environment import Opened
from db_ops.operations.target import open_target
from db_ops.results import ConnectionNotice, Event, NotRecorded, WaitingForLock, WaitingForServer
from db_ops.settings import load


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
        target.recording(locked) as records,
        closing(target.open()) as connection,
    ):
        yield Opened(connection, records)


def _log(event: Event) -> None:
    # Alembic's own command has no other way to tell its user that it waits, and for whom.
    if isinstance(event, WaitingForLock):
        text = "%s: waiting for %s; to end it: %s"
        logging.getLogger("db_ops").warning(text, event.location, event.holder, event.remedy)
    elif isinstance(event, NotRecorded):
        text = "%s: not recorded, %s; %s"
        logging.getLogger("db_ops").warning(text, event.location, event.reason, event.remedy)
    elif isinstance(event, ConnectionNotice):
        logging.getLogger("db_ops").warning("%s: %s", event.location, event.text)
    elif isinstance(event, WaitingForServer):
        logging.getLogger("db_ops").warning("%s: waiting, %s", event.location, event.reason)
