"""A scratch database at the revisions of the target."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from db_ops.builds.scratch import ScratchDatabases
from db_ops.errors import MigrationFailed
from db_ops.results import (
    Connected,
    Event,
    LeftOnServer,
    ServerStarting,
    WaitingForLock,
    WaitingForServer,
)
from db_ops.target.target import Target

_TOLD = (Connected, LeftOnServer, ServerStarting, WaitingForServer, WaitingForLock)


@contextmanager
def scratch_database_at(target: Target, recorded: tuple[str, ...]) -> Iterator[Target]:
    """Make a database at the revisions *recorded*, for a `with` block; the target is not touched.

    A copy of the template if they are the heads and there is one, else the revisions run. What a
    revision raises, before or in the block, leaves as `RebuildFailed`. Raises `NoScratchDatabase`.
    """

    def on_event(event: Event) -> None:
        # What happens in the scratch database does not happen to the target.
        if isinstance(event, _TOLD):
            target.server.on_event(event)

    quiet = replace(target, server=replace(target.server, on_event=on_event))
    at_head = recorded == target.graph.heads
    try:
        with (
            ScratchDatabases(quiet) as scratch,
            scratch.migrated_database(None if at_head else recorded) as (there, _),
        ):
            yield there
    except MigrationFailed as error:
        raise replace(error.of_rebuild(), location=target.location) from error
