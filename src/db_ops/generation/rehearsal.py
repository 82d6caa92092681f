"""A scratch database at the revisions of the target."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from db_ops.builds.built_schema import read_built_schema
from db_ops.builds.phases import MIGRATIONS, revisions_as_phase
from db_ops.builds.scratch import ScratchDatabases
from db_ops.errors import HistoryNotFromEmpty, MigrationFailed, NoScratchDatabase
from db_ops.frozen_data import replace
from db_ops.generation.schema_copy import copied_database
from db_ops.results import (
    Connected,
    Event,
    LeftOnServer,
    PhaseStarted,
    RevisionStarted,
    ServerStarting,
    WaitingForLock,
    WaitingForServer,
)
from db_ops.target.target import Target

_TOLD = (
    Connected,
    LeftOnServer,
    PhaseStarted,
    RevisionStarted,
    ServerStarting,
    WaitingForServer,
    WaitingForLock,
)


@contextmanager
def scratch_database_at(
    target: Target, recorded: tuple[str, ...], *, or_copy: bool = False
) -> Iterator[tuple[Target, tuple[str, ...]]]:
    """Make a database at the revisions *recorded*, for a `with` block; the target is not touched.

    A copy of the template if they are the heads and there is one, else the revisions run. Where
    these alone do not make it, and with *or_copy*, it has the schema of the target, and what is
    yielded beside it says so. What a revision raises, before or in the block, leaves as
    `RebuildFailed`. Raises `NoScratchDatabase`.
    """

    phase = MIGRATIONS

    def on_event(event: Event) -> None:
        # What happens in the scratch database does not happen to the target.
        if isinstance(event, _TOLD):
            revisions_as_phase(target.server.on_event, phase)(event)

    quiet = target.at(replace(target.server, on_event=on_event))
    at_head = recorded == target.graph.heads
    said: tuple[str, ...] = ()
    try:
        with ScratchDatabases(quiet) as scratch, ExitStack() as stack:
            try:
                migrated = scratch.migrated_database(None if at_head else recorded)
                there, _ = stack.enter_context(migrated)
            except (HistoryNotFromEmpty, NoScratchDatabase) as error:
                made_elsewhere = isinstance(error, HistoryNotFromEmpty) or target.project.bootstrap
                if not (or_copy and made_elsewhere):
                    raise
                schema = read_built_schema(target)
                there = stack.enter_context(copied_database(scratch, schema, recorded))
                said = (f"measured in a copy of the schema of {target.location}",)
            phase = "measuring the revisions"
            target.server.on_event(PhaseStarted(phase))
            yield there, said
    except MigrationFailed as error:
        raise replace(error.of_rebuild(), location=target.location) from error
