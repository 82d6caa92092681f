"""The body of a project's env.py, for our commands and for plain `alembic`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from db_ops.errors import DatabaseAhead, UnknownRevisions
from db_ops.errors.invocation import Invocation, invocation
from db_ops.migrations.autogenerate.incomplete_models import import_models
from db_ops.migrations.env.alembic_options import plain_options
from db_ops.migrations.env.runtime import (
    Opened,
    configure_and_run,
    runs_for_alembic,
    told_by_alembic,
)
from db_ops.migrations.project import project_of
from db_ops.results import ConnectionNotice, Event, NotRecorded, WaitingForLock, WaitingForServer
from db_ops.settings import Settings, load
from db_ops.target.ahead import check_known
from db_ops.target.target import Target, open_target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from sqlalchemy import MetaData

_LOGGER = logging.getLogger("db_ops")


def run_migrations(target_metadata: MetaData, **options: Any) -> None:
    """Run what Alembic was asked for, in env.py: migrations, a comparison, or SQL on paper.

    Each revision runs in a transaction of its own. Under the plain `alembic` command the database
    is that of the settings, and the migration lock is held for a command that writes. *options* are
    added to `context.configure` and win over ours. Raises what every other command raises.
    """
    if runs_for_alembic():
        with told_by_alembic():
            import_models(project_of(_settings()))
    configure_and_run(target_metadata, connect=connect_for_alembic, **options)


def _settings() -> Settings:
    given = plain_options()
    invocation.set(Invocation(options=given.typed(), alembic=given.typed_for_alembic()))
    return load(alembic_ini=given.config, section=given.section, x=given.x)


@contextmanager
def connect_for_alembic(writes: bool) -> Iterator[Opened]:
    """Open the database of the project around the current directory, for a `with` block.

    The connection is read-only unless *writes*; then the migration lock is held as well, on
    another connection, and what is done is recorded. Raises `DatabaseMissing` and what every other
    command raises.
    """
    settings = _settings()
    for note in settings.notes:
        _LOGGER.warning("%s", note)
    target = open_target(settings, "alembic", _Log())
    if not writes:
        with target.server.target():
            connection = target.open(read_only=True)
        with closing(connection):
            yield Opened(connection)
        return
    with (
        target.migration_lock() as locked,
        _warn_if_ahead(target, locked),
        target.record_run(locked) as records,
        closing(target.open()) as connection,
    ):
        yield Opened(connection, records, target.open_beside)


@contextmanager
def _warn_if_ahead(target: Target, locked: Connection) -> Iterator[None]:
    """Warn of revisions without a file: Alembic only says that it cannot locate them."""
    try:
        check_known(target, target.recorded_on(locked), locked, "Alembic needs their files")
    except (DatabaseAhead, UnknownRevisions) as error:
        # Not refused: `stamp --purge` is meant for such a database.
        _LOGGER.warning("%s; %s", error.message, error.hint)
    yield


class _Log:
    """Tells what the command waits for, which Alembic's own has no other way to say: once."""

    def __init__(self) -> None:
        self._last: tuple[str, ...] = ()

    def __call__(self, event: Event) -> None:
        told = _told(event)
        if told is None or told == self._last:
            return
        self._last = told
        _LOGGER.warning("%s: %s", *told)


def _told(event: Event) -> tuple[str, str] | None:
    match event:
        case WaitingForLock(location, holder, remedy):
            return location, f"waiting for {holder}; to end it: {remedy}"
        case WaitingForServer(location, reason):
            return location, f"waiting, {reason}"
        case ConnectionNotice(location, text):
            return location, text
        case NotRecorded(location, reason, remedy):
            return location, f"not recorded, {reason}; {remedy}"
        case _:
            return None
