"""Format revisions, sizes and times for output."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from db_ops.cli.terminal import one_line
from db_ops.errors.base import enumerate_names

if TYPE_CHECKING:
    from db_ops.results import FleetMember, FleetProgress, SchemaFile, Undo

Line = tuple[str, str]


def revision_names(revisions: tuple[str, ...]) -> str:
    return ", ".join(revisions) or "base"


def position_text(revisions: tuple[str, ...], ahead: tuple[str, ...]) -> str:
    """Return the revisions of a database, and those by which it is *ahead*, as text."""
    return f"at {revision_names(revisions)}" + (f", ahead {ahead_text(ahead)}" if ahead else "")


def ahead_text(ahead: tuple[str, ...]) -> str:
    """Return by how many revisions a database is ahead, and by which, as text."""
    count = f"{len(ahead)} revision{'' if len(ahead) == 1 else 's'}"
    return f"of this checkout by {count} ({enumerate_names(ahead)})"


def schema_file_lines(file: SchemaFile | None) -> Iterator[Line]:
    """Yield what there is to say of the schema file: that it was written, or why not."""
    if file is not None and file.written:
        yield f"{file.path} written", "green"
    elif file is not None and file.problem:
        yield f"note: {file.path} not written: {one_line(file.problem)}", "yellow"


def undo_lines(undo: Undo | None) -> Iterator[Line]:
    """Yield what there is to say of what was replaced: that it is kept, or why not."""
    if undo is not None and undo.until is not None:
        from db_ops.errors.invocation import as_typed

        moment = format_moment(undo.until)
        yield f"undo: {as_typed('db-ops undo')} (what was there is kept until {moment})", ""
    elif undo is not None:
        yield f"undo: nothing is kept: {undo.reason}", ""


def format_moment(moment: str) -> str:
    """Return a time of the near future or past as the clock on the wall shows it."""
    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}"


def format_megabytes(number: int) -> str:
    return f"{number / 1_000_000:.1f} MB"


def format_age(moment: str) -> str:
    passed = max((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds(), 0)
    for name, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if passed >= length:
            count = int(passed // length)
            return f"{count} {name}{'' if count == 1 else 's'} ago"
    return "just now"


def member_text(one: FleetMember) -> str:
    """Return what came of one database, in a line."""
    if one.outcome == "failed":
        return f"{one.name}: failed: {one.message}"
    at = f" at {', '.join(one.revisions) or 'base'}" if one.state != "missing" else ""
    detail = f", {one.detail}" if one.detail else ""
    applied = f", {one.steps} revision{'' if one.steps == 1 else 's'}" if one.steps else ""
    return f"{one.name}: {one.state}{at}{applied}{detail}"


def progress_text(progress: FleetProgress) -> str:
    """Return how far a run over a fleet is, at what rate, what is left, and which took longest."""
    failed = f", {progress.failed} failed" if progress.failed else ""
    return (
        f"{progress.done} of {progress.total}{failed}, {progress.rate:.0f}/s,"
        f" {progress.left:.0f} s left, slowest {progress.slowest}"
        f" ({progress.slowest_seconds:.1f} s)"
    )
