"""Render what changes the database by revisions: init, recreate, upgrade, downgrade, delete-db."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from db_ops.cli.format import position_text, revision_names, schema_file_lines, undo_lines
from db_ops.cli.terminal import seconds

if TYPE_CHECKING:
    from db_ops.cli.format import Line
    from db_ops.results import Deleted, Downgraded, Initialised, Migrated, Recreated, Step


def recreated_lines(result: Recreated) -> Iterator[Line]:
    if result.soft_reset is not None:
        from db_ops.cli.render.soft_reset import kept_lines, soft_reset_text

        done = f"{soft_reset_text(result.soft_reset)}, {_applied(result)}"
        yield f"{result.location}: {done}", "green"
        yield from kept_lines(result.soft_reset)
    else:
        before = "dropped, created" if result.dropped else "created (there was none)"
        yield f"{result.location}: {before}{_origin(result)}", "green"
    yield from _seeded(result)
    yield from undo_lines(result.undo)


def initialised_lines(result: Initialised) -> Iterator[Line]:
    created = f"created{_origin(result)}" if result.created else _applied(result)
    yield f"{result.location}: {created}", "green"
    yield from _seeded(result)
    if result.mark:
        yield f"{result.location}: marked as {result.mark}", ""


def migrated_lines(result: Migrated) -> Iterator[Line]:
    yield f"{result.location}: {_applied(result)}", "green"
    yield from schema_file_lines(result.schema_file)


def deleted_lines(result: Deleted) -> Iterator[Line]:
    done = "dropped" if result.existed else "does not exist, nothing to drop"
    yield f"{result.location}: {done}", "green"
    yield from undo_lines(result.undo)


def downgraded_lines(result: Downgraded) -> Iterator[Line]:
    reverted = _count(result.steps, "reverted")
    yield f"{result.location}: {reverted}, now at {revision_names(result.heads)}", "green"
    yield from undo_lines(result.undo)


def _seeded(result: Initialised) -> Iterator[Line]:
    if result.seeded is not None:
        from db_ops.cli.render.seed import written_text

        yield f"{result.location}: seeded, {written_text(result.seeded)}", ""


def _origin(result: Initialised) -> str:
    if result.origin is None or result.origin.source == "migrations":
        kept = ", kept as a template" if result.origin and result.origin.template else ""
        return f", {_applied(result)}{kept}"
    if result.origin.source == "branch":
        copied = f" as a copy of {result.origin.template} in {seconds(result.origin.seconds)}"
        return f"{copied}, {_applied(result)}"
    return (
        f" from a {result.origin.source} in {seconds(result.origin.seconds)},"
        f" now at {revision_names(result.heads)}"
    )


def _applied(result: Migrated) -> str:
    if not result.steps:
        return f"{position_text(result.heads, result.ahead)}, nothing to do"
    return f"{_count(result.steps, 'applied')}, now at {revision_names(result.heads)}"


def _count(steps: tuple[Step, ...], verb: str) -> str:
    plural = "" if len(steps) == 1 else "s"
    took = seconds(sum(step.seconds for step in steps))
    return f"{len(steps)} revision{plural} {verb} in {took}"
