"""The command that only looks where the database stands; `verifying` looks at what it holds."""

from __future__ import annotations

from db_ops.operations.target import Target, open_target
from db_ops.results import OnEvent, Status, ignore
from db_ops.settings import Settings


def status(settings: Settings, *, check: bool = False, on_event: OnEvent = ignore) -> Status:
    """Tell where the database stands and what to run next. Takes no lock, writes nothing.

    With *check*, the result's exit code is 3 unless the database is at head.
    """
    target = open_target(settings, "status", on_event)
    with target.server.target_if_exists() as connection:
        exists = connection is not None
        recorded, mark = target.look(connection) if connection else ((), None)
        version = connection.info.parameter_status("server_version") if connection else None
    pending = target.graph.pending(recorded)
    unknown = target.graph.unknown(recorded)
    return Status(
        location=target.location,
        environment=settings.environment,
        mark=mark,
        exists=exists,
        server_version=version or "",
        current=recorded,
        heads=target.graph.heads,
        pending=pending,
        unknown=unknown,
        check=check,
        next_command=_next_command(target, exists=exists, pending=bool(pending), unknown=unknown),
    )


def _next_command(
    target: Target, *, exists: bool, pending: bool, unknown: tuple[str, ...]
) -> str | None:
    if len(target.graph.heads) > 1:
        return "alembic merge -m 'merge heads' heads"
    if not exists:
        return "inv db.init"
    if unknown:
        return "git switch BRANCH"
    if not target.graph.heads:
        return "inv db.create-migration -m MESSAGE"
    return "inv db.upgrade" if pending else None
