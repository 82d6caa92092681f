"""Drop the database."""

from __future__ import annotations

from db_ops.postgres.replacement import remove_target
from db_ops.results import Deleted, OnEvent, ignore
from db_ops.settings import Settings
from db_ops.target.create import locked_maintenance_session
from db_ops.target.guard import check_intent, guarded_drop
from db_ops.target.open_server import open_server


def delete_db(
    settings: Settings, *, confirm: str | None = None, on_event: OnEvent = ignore
) -> Deleted:
    """Drop the database, whoever is connected to it. Idempotent: a missing one is a success.

    In development and test it is kept for `undo`.

    The guard asks for `confirm`, the exact name, unless settings and database agree that it is
    disposable (`Refused`). Raises `DatabaseInUse`, `InsufficientPrivilege`.
    """
    server = open_server(settings, "delete-db", on_event)
    check_intent(server, confirm)
    with (
        locked_maintenance_session(server) as connection,
        guarded_drop(server, connection, confirm),
    ):
        existed, undo = remove_target(server, connection)
    return Deleted(server.location, existed, undo=undo)
