"""Compare the database with what was recorded of it, without scratch databases."""

from __future__ import annotations

from db_ops.errors import InsufficientPrivilege
from db_ops.postgres.catalog import major_version
from db_ops.postgres.connection.role import acting_role
from db_ops.postgres.history.reader import RecordedState, grant_to_read
from db_ops.postgres.history.table import TABLE
from db_ops.results import Drift, OnEvent, QuicklyVerified
from db_ops.settings import Settings
from db_ops.target.ahead import next_command
from db_ops.target.target import open_target
from db_ops.verification.drift import RECORD, judge_drift
from db_ops.verification.untracked_tables import holds_untracked_tables


def verify_quickly(settings: Settings, on_event: OnEvent) -> QuicklyVerified:
    """Compare the catalogs with what they were when the head was applied, by their fingerprints.

    One question to the server: no model, no scratch database, no Alembic, nothing written. The
    result's exit code is 3 unless they are equal and the database is at head, or ahead of it as the
    records tell; also if that cannot be told. Raises `InsufficientPrivilege` for a role that may
    not read the records.
    """
    target = open_target(settings, "verify", on_event)
    found, drift = RecordedState((), ""), Drift("unknown", "the database does not exist")
    with target.server.target_if_exists() as connection:
        if connection is not None:
            found = target.recorded_state(connection)
            drift = judge_drift(found, major_version(connection))
            if found.denied:
                raise InsufficientPrivilege(
                    target.location,
                    acting_role(connection),
                    f"read {TABLE}",
                    grant_to_read(connection),
                )
        position = target.position(found.revisions, connection)
        untracked = holds_untracked_tables(target, found.revisions, connection)
    exists = connection is not None
    after_drift = {"equal": None, "changed": "db-ops verify", "unknown": RECORD}[drift.state]
    return QuicklyVerified(
        location=target.location,
        exists=exists,
        current=found.revisions,
        heads=target.graph.heads,
        pending=tuple(revision.id for revision in position.pending),
        unknown=position.unknown,
        drift=drift,
        next_command=next_command(target, position, exists=exists, untracked=untracked)
        or after_drift,
        heads_are_meant=target.graph.heads_are_meant(),
        ahead=position.ahead,
        ahead_is_different=settings.ahead_is_different,
    )
