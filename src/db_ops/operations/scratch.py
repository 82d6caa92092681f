"""A scratch database where the target stands, built from the migrations alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from db_ops.errors import MigrationFailed, RebuildFailed
from db_ops.operations.building import Builder
from db_ops.operations.migrating import apply_pending
from db_ops.operations.target import Target
from db_ops.postgres.own_databases import scratch_database, sweep
from db_ops.postgres.session import prepare_to_write
from db_ops.results import Connected, Event, WaitingForLock, WaitingForServer

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


@contextmanager
def scratch_at(target: Target, recorded: tuple[str, ...]) -> Iterator[Target]:
    """Make a database at the revisions *recorded*, for a `with` block; the target is not touched.

    A copy of the template where there is one, else the revisions run. What a revision raises in the
    block or before it leaves as `RebuildFailed`. Raises `InsufficientPrivilege` without the right
    to create databases, `ReadOnlyServer`, and what `upgrade` raises.
    """
    server = target.server

    def on_event(event: Event) -> None:
        # What happens in the scratch database does not happen to the target.
        if isinstance(event, Connected | WaitingForServer | WaitingForLock):
            server.on_event(event)

    with server.maintenance() as connection:
        prepare_to_write(server, connection)
        sweep(connection)
        template = _template(target, connection, recorded)
        try:
            with scratch_database(server, connection, template=template) as name:
                url = server.url.built_as(name)
                scratch = replace(target, server=replace(server, url=url, on_event=on_event))
                for revision in recorded:
                    apply_pending(scratch, scratch.recorded(), revision)
                yield scratch
        except MigrationFailed as error:
            raise RebuildFailed(**vars(error)) from error


def _template(target: Target, connection: Connection, recorded: tuple[str, ...]) -> str | None:
    if set(recorded) != set(target.graph.heads):
        return None
    builder = Builder.of(target, connection)
    return builder.template() if builder else None
