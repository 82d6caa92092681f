"""Bring back the database as it was before a command that replaced, dropped or reverted it."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from db_ops.errors import DbOpsError, NothingToUndo, UndoRefused
from db_ops.frozen_data import replace
from db_ops.migrations.project import Project
from db_ops.migrations.revisions.reader import read_graph
from db_ops.postgres.connection.server import Server
from db_ops.postgres.databases import database_exists
from db_ops.postgres.environment_mark import read_mark
from db_ops.postgres.locks.advisory_lock import advisory_lock, lock_key
from db_ops.postgres.own_databases import OwnDatabase, drop_unused, kept_for_undo, own_databases
from db_ops.postgres.replacement import replace_target
from db_ops.postgres.undo import kept_until, present_target
from db_ops.results import KeptDatabase, OnEvent, UndoList, Undone, ignore
from db_ops.settings import DISPOSABLE, Settings
from db_ops.target.create import locked_maintenance_session
from db_ops.target.guard import check_intent, guarded_drop
from db_ops.target.open_project import open_project
from db_ops.target.open_server import server_of
from db_ops.target.position import Position
from db_ops.target.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


def undo(settings: Settings, *, confirm: str | None = None, on_event: OnEvent = ignore) -> Undone:
    """Give the database's name back to what a command has replaced, dropped or reverted last.

    In development and test alone, where that is kept for a day, or until the next one of this
    database. The present database, whoever is connected to it, is kept in its place, so that `undo`
    once more brings that back. The guard asks for `confirm` as for `recreate` (`Refused`). Raises
    `NothingToUndo`, `UndoRefused`.
    """
    settings, project = open_project(settings)
    server = server_of(settings, "undo", on_event)
    _check_environment(server)
    check_intent(server, confirm)
    with locked_maintenance_session(server) as connection:
        present = present_target(server, connection, anyway=True)
        with guarded_drop(server, connection, confirm):
            started = time.monotonic()
            _check_mark(server, connection)
            newest, *others = _kept(server, connection)
            lock = lock_key(newest.name)
            with advisory_lock(connection, lock, location=server.location, timeout=1):
                comment = newest.facts.get("comment")
                replace_target(server, connection, newest.name, present, comment)
            seconds = time.monotonic() - started
            unused = [other.name for other in others]
            if present is not None and present.facts is None:
                unused.append(present.name)
            for name in unused:
                drop_unused(connection, name)
    target = _target(server, project)
    brought_back = _as_result(target, newest, server.url.database)
    position = Position(target.graph, brought_back.heads or ()) if target else None
    return Undone(
        location=server.location,
        brought_back=brought_back,
        existed=present is not None,
        seconds=seconds,
        pending=position.pending if position else (),
        unknown=position.unknown if position else (),
        undo=present.undo if present else None,
    )


def undo_list(settings: Settings, *, on_event: OnEvent = ignore) -> UndoList:
    """List what `undo` would bring back, the newest first; more than one only for a moment."""
    settings, project = open_project(settings)
    server = server_of(settings, "undo", on_event)
    with server.maintenance() as connection:
        kept = kept_for_undo(own_databases(connection, sizes=True), server.url.database)
    target = _target(server, project)
    shown = tuple(_as_result(target, one, one.name) for one in kept)
    return UndoList(server.location, shown)


def _check_environment(server: Server) -> None:
    settings = server.settings
    if not settings.is_disposable:
        reason = f"the environment is {settings.environment_for_people}"
        raise UndoRefused(server.location, reason)
    if settings.in_ci:
        raise UndoRefused(server.location, "CI is set")


def _check_mark(server: Server, connection: Connection) -> None:
    mark = read_mark(connection, server.url.database)
    if mark not in (None, *DISPOSABLE):
        raise UndoRefused(server.location, f"the database is marked {mark}")


def _kept(server: Server, connection: Connection) -> tuple[OwnDatabase, ...]:
    found = kept_for_undo(own_databases(connection, sizes=True), server.url.database)
    if not found:
        exists = database_exists(connection, server.url.database)
        existing = "the database is there" if exists else "the database does not exist"
        raise NothingToUndo(server.location, existing)
    return found


def _as_result(target: Target | None, kept: OwnDatabase, database: str) -> KeptDatabase:
    """Return what *kept* is to people; it is called *database* now."""
    built = float(kept.facts.get("built", 0))
    return KeptDatabase(
        command=str(kept.facts.get("command")),
        kept=datetime.fromtimestamp(built, UTC).isoformat(timespec="seconds"),
        until=kept_until(built),
        heads=_heads(target, database) if target else None,
        bytes=kept.size or 0,
    )


def _target(server: Server, project: Project) -> Target | None:
    # What is wrong with the revision files may be why something has to be undone.
    with suppress(DbOpsError):
        return Target(project, read_graph(project, server.settings.cache_folder), server)
    return None


def _heads(target: Target, database: str) -> tuple[str, ...] | None:
    server = target.server.without_waiting()
    with suppress(DbOpsError):
        return target.at(replace(server, url=server.url.built_as(database))).recorded()
    return None
