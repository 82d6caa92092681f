"""Save a development database under a name, restore it, list what is saved.

A snapshot is a database of ours that nobody can connect to. Nothing but its own command drops it.
"""

from __future__ import annotations

import shlex
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from db_ops.errors import (
    InsufficientPrivilege,
    SnapshotExists,
    SnapshotMissing,
    UsageError,
)
from db_ops.frozen_data import replace
from db_ops.postgres.catalog import current_role
from db_ops.postgres.connection.role import acting_role
from db_ops.postgres.connection.server import Server
from db_ops.postgres.databases import may_copy_database, may_create_databases
from db_ops.postgres.own_databases import (
    SNAPSHOT,
    OwnDatabase,
    drop,
    drop_unused_databases,
    own_databases,
    own_name,
    scratch_database,
)
from db_ops.postgres.replacement import disconnect_sessions, replace_target
from db_ops.postgres.templates import keep_as_template
from db_ops.postgres.undo import present_target
from db_ops.results import OnEvent, Restored, Snapshot, Snapshots, SnapshotTaken, ignore
from db_ops.settings import Settings
from db_ops.target.create import locked_maintenance_session
from db_ops.target.guard import check_intent, check_mark, guarded_drop
from db_ops.target.open_server import open_server
from db_ops.target.position import Position
from db_ops.target.target import Target, open_target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_LONGEST_NAME = 100


def snapshot(
    settings: Settings, name: str, *, confirm: str | None = None, on_event: OnEvent = ignore
) -> SnapshotTaken:
    """Keep the database as it is, with its data, under *name*.

    Who is connected to it is disconnected, and can connect again when the copy is done; a running
    migration is waited for. That disturbs a service, so the guard asks for `confirm`, the exact
    name of the database, unless settings and database agree that it is disposable (`Refused`).
    Raises `SnapshotExists`, `DatabaseMissing`, `InsufficientPrivilege`, `UsageError` for a name
    that cannot be shown.
    """
    _check_name(name)
    target = open_target(settings, "snapshot", on_event)
    server = target.server
    check_intent(server, confirm, f" {shlex.quote(name)}")
    with locked_maintenance_session(server) as connection:
        check_mark(server, connection, confirm, f" {shlex.quote(name)}")
        if any(one.facts.get("name") == name for one in _snapshots_of(server, connection)):
            raise SnapshotExists(server.location, name)
        with target.migration_lock():
            _check_rights(server, connection)
        started = time.monotonic()
        _copy(target, connection, name)
        taken = _find_snapshot(server, connection, name)
    return SnapshotTaken(server.location, _as_result(taken), time.monotonic() - started)


def restore(
    settings: Settings, name: str, *, confirm: str | None = None, on_event: OnEvent = ignore
) -> Restored:
    """Replace the database by what it was when the snapshot *name* was taken; the snapshot stays.

    The present database keeps its place until the copy is whole, then loses its sessions, its name
    and itself; in development and test it is kept for `undo`. What belongs to the database from
    outside, its grants and ALTER DATABASE ... SET, is not part of a copy. The guard asks for
    `confirm` as for `recreate` (`Refused`). Raises `SnapshotMissing`.
    """
    target = open_target(settings, "restore", on_event)
    server = target.server
    arguments = f" {shlex.quote(name)}"
    check_intent(server, confirm, arguments)
    with locked_maintenance_session(server) as connection:
        present = present_target(server, connection)
        with guarded_drop(server, connection, confirm, arguments):
            found = _find_snapshot(server, connection, name)
            started = time.monotonic()
            with scratch_database(server, connection, template=found.name) as copy:
                replace_target(server, connection, copy, present)
            seconds = time.monotonic() - started
            drop_unused_databases(connection)
    shown = _as_result(found)
    position = Position(target.graph, shown.heads)
    return Restored(
        location=server.location,
        snapshot=shown,
        existed=present is not None,
        seconds=seconds,
        pending=position.pending,
        unknown=position.unknown,
        undo=present.undo if present else None,
    )


def snapshots(
    settings: Settings, *, drop_name: str | None = None, on_event: OnEvent = ignore
) -> Snapshots:
    """List the snapshots of the database, newest first; with *drop_name*, drop that one first.

    Only those that belong to this role. Raises `SnapshotMissing`.
    """
    server = open_server(settings, "snapshots", on_event)
    if drop_name is not None:
        with locked_maintenance_session(server) as connection:
            drop(connection, _find_snapshot(server, connection, drop_name).name)
    with server.maintenance() as connection:
        found = _snapshots_of(server, connection)
    newest = sorted(map(_as_result, found), key=lambda one: one.taken, reverse=True)
    return Snapshots(server.location, tuple(newest), drop_name)


def _copy(target: Target, connection: Connection, name: str) -> None:
    server, service = target.server, target.server.url.database
    with ExitStack() as stack:
        with disconnect_sessions(server, connection):
            copy = stack.enter_context(scratch_database(server, connection, template=service))
        at_copy = target.at(replace(server, url=server.url.built_as(copy)))
        facts = {
            "service": service,
            "name": name,
            "heads": at_copy.recorded(),
            "built": time.time(),
        }
        # Another role may have one of this name, which this role does not see.
        kept = own_name(SNAPSHOT, service, name, current_role(connection))
        keep_as_template(connection, copy, kept, facts)


def _check_name(name: str) -> None:
    if name.startswith("-"):
        # A mistyped option, which would end the sessions of everybody for nothing.
        raise UsageError(
            f"snapshot: {name!r} begins with a dash, as options do, and is no name",
            "name it, for example: db-ops snapshot before-the-change",
        )
    if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise UsageError(
            f"snapshot: {name!r} is no name of 1 to {_LONGEST_NAME} printable characters",
            "name it, for example: db-ops snapshot before-the-change",
        )


def _check_rights(server: Server, connection: Connection) -> None:
    if not may_create_databases(connection):
        raise InsufficientPrivilege.to_create(server.location, connection.info.user)
    if not may_copy_database(connection, server.url.database):
        raise InsufficientPrivilege(
            server.location,
            acting_role(connection),
            "copy a database that it does not own",
            "run this as the owner of the database, or as a superuser",
        )


def _snapshots_of(server: Server, connection: Connection) -> tuple[OwnDatabase, ...]:
    return tuple(
        database
        for database in own_databases(connection, sizes=True)
        if database.kind == SNAPSHOT and database.facts.get("service") == server.url.database
    )


def _find_snapshot(server: Server, connection: Connection, name: str) -> OwnDatabase:
    known = {str(one.facts.get("name")): one for one in _snapshots_of(server, connection)}
    if name not in known:
        raise SnapshotMissing(server.location, name, tuple(known))
    return known[name]


def _as_result(database: OwnDatabase) -> Snapshot:
    facts = database.facts
    taken = datetime.fromtimestamp(facts.get("built", 0), UTC)
    return Snapshot(
        name=str(facts.get("name")),
        heads=tuple(facts.get("heads", ())),
        taken=taken.isoformat(timespec="seconds"),
        bytes=database.size or 0,
    )
