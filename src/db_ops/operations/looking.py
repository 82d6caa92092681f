"""Commands that only look: status and verify."""

from __future__ import annotations

from db_ops.operations.target import Target, open_target
from db_ops.results import OnEvent, Status, Verified, ignore
from db_ops.settings import Settings
from db_ops.verification import Findings, verify_target


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
        environment=target.settings.environment,
        mark=mark,
        exists=exists,
        server_version=version or "",
        current=recorded,
        heads=target.graph.heads,
        pending=pending,
        unknown=unknown,
        check=check,
        next_command=_next_command(target, exists=exists, pending=bool(pending), unknown=unknown),
        heads_are_meant=target.graph.heads_are_meant(),
    )


def verify(settings: Settings, *, on_event: OnEvent = ignore) -> Verified:
    """Compare models, migrations and database, and name every difference.

    Takes no lock; the session is read-only, so that it provably writes nothing. The result's exit
    code is 3 if anything differs. Raises `EnvironmentBroken`, `EmptyMetadata`,
    `RevisionFileBroken`.
    """
    target = open_target(settings, "verify", on_event)
    with target.server.target_if_exists() as connection:
        recorded = target.recorded_on(connection) if connection else ()
    findings: Findings = verify_target(
        target.project, target.graph, target, recorded if connection else None
    )
    return Verified(
        location=target.location,
        heads=target.graph.heads,
        current=recorded,
        differences=findings.differences,
        unchecked=findings.unchecked,
    )


def _next_command(
    target: Target, *, exists: bool, pending: bool, unknown: tuple[str, ...]
) -> str | None:
    if not target.graph.heads_are_meant():
        return "alembic merge -m 'merge heads' heads"
    if not exists:
        return "inv db.init"
    if unknown:
        return "git switch BRANCH"
    if not target.graph.heads:
        return "inv db.create-migration -m MESSAGE"
    return "inv db.upgrade" if pending else None
