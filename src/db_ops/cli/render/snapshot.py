"""Render `snapshot`, `restore` and `snapshots` as text."""

from __future__ import annotations

from collections.abc import Iterator

from db_ops.cli.format import Line, format_age, format_megabytes, revision_names, undo_lines
from db_ops.cli.terminal import seconds
from db_ops.errors.invocation import as_typed
from db_ops.results import Restored, Snapshots, SnapshotTaken, Undone


def snapshot_taken_lines(result: SnapshotTaken) -> Iterator[Line]:
    one = result.snapshot
    yield (
        f"{result.location}: kept as {one.name} at {revision_names(one.heads)},"
        f" {format_megabytes(one.bytes)}, in {seconds(result.seconds)}",
        "green",
    )


def restored_lines(result: Restored) -> Iterator[Line]:
    one = result.snapshot
    yield (
        f"{result.location}: restored from {one.name}, taken {format_age(one.taken)},"
        f" in {seconds(result.seconds)}, now at {revision_names(one.heads)}",
        "green",
    )
    yield from position_lines(result)
    yield from undo_lines(result.undo)


def position_lines(result: Restored | Undone) -> Iterator[Line]:
    """Yield how what was brought back differs from the checkout."""
    for revision in result.unknown:
        yield f"unknown: {revision}, which this checkout does not have", "yellow"
    if result.pending and not result.unknown:
        yield (
            f"pending: {len(result.pending)}; to apply them: {as_typed('db-ops upgrade')}",
            "yellow",
        )


def snapshots_lines(result: Snapshots) -> Iterator[Line]:
    if result.dropped is not None:
        yield f"{result.location}: dropped the snapshot {result.dropped}", "green"
    if not result.snapshots:
        yield (
            f"{result.location}: no snapshots; to take one: {as_typed('db-ops snapshot NAME')}",
            "",
        )
    width = max((len(one.name) for one in result.snapshots), default=0)
    for one in result.snapshots:
        taken, size = format_age(one.taken), format_megabytes(one.bytes)
        yield f"{one.name:<{width}}  {taken:>14}  {size:>10}  {revision_names(one.heads)}", ""
