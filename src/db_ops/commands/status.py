"""Report the revision of the database, what is pending and the next command."""

from __future__ import annotations

from db_ops.migrations.revisions.git_authors import authors, creation_date
from db_ops.postgres.catalog import major_version
from db_ops.postgres.environment_mark import parse_mark
from db_ops.postgres.history.reader import RecordedState
from db_ops.results import Drift, OnEvent, Pending, Revision, Status, ignore
from db_ops.settings import Settings
from db_ops.target.ahead import next_command
from db_ops.target.target import Target, open_target
from db_ops.verification.drift import judge_drift
from db_ops.verification.untracked_tables import holds_untracked_tables

# The server needs about 50 microseconds for each relation.
_MAX_RELATIONS = 5000


def status(settings: Settings, *, check: bool = False, on_event: OnEvent = ignore) -> Status:
    """Tell where the database stands and what to run next. Takes no lock, writes nothing.

    One question to the server also tells whether the catalogs are as the last record left them,
    unless the database is so large that this would take long. With *check*, the result's exit code
    is 3 unless the database is at head, or ahead of it as the records tell; drift has no say in it.
    """
    target = open_target(settings, "status", on_event)
    found, drift = RecordedState((), ""), Drift("unknown", "the database does not exist")
    version = None
    with target.server.target_if_exists() as connection:
        if connection is not None:
            if settings.fingerprints:
                found = target.recorded_state(connection, largest=_MAX_RELATIONS)
                drift = judge_drift(found, major_version(connection))
            else:
                found = RecordedState(target.recorded_on(connection), "")
                drift = Drift("unknown", "the catalogs were not looked at")
            version = connection.info.parameter_status("server_version")
        position = target.position(found.revisions, connection)
        untracked = holds_untracked_tables(target, found.revisions, connection)
    exists = connection is not None
    after_drift = "db-ops verify" if drift.state == "changed" else None
    return Status(
        location=target.location,
        environment=target.settings.environment,
        mark=parse_mark(found.comment),
        exists=exists,
        server_version=version or "",
        current=found.revisions,
        heads=target.graph.heads,
        pending=_pending(target, position.pending),
        unknown=position.unknown,
        drift=drift,
        check=check,
        heads_are_meant=target.graph.heads_are_meant(),
        next_command=next_command(target, position, exists=exists, untracked=untracked)
        or after_drift,
        ahead=position.ahead,
        ahead_is_different=settings.ahead_is_different,
        squashed=position.squashed,
    )


def _pending(target: Target, revisions: tuple[Revision, ...]) -> tuple[Pending, ...]:
    root = target.settings.root
    if not revisions:
        return ()
    written = {revision.id: creation_date(root / revision.path) for revision in revisions}
    oldest = min(filter(None, written.values()), default=None)
    by = authors(root, [revision.path for revision in revisions], oldest)
    return tuple(
        Pending(**vars(revision), created=written[revision.id], author=by.get(revision.path))
        for revision in revisions
    )
