"""Render `dump` and `load` as text."""

from __future__ import annotations

from collections.abc import Iterator

from db_ops.cli.format import Line, format_megabytes, position_text, revision_names, undo_lines
from db_ops.cli.terminal import seconds
from db_ops.errors.invocation import as_typed
from db_ops.results import Dumped, Loaded


def dumped_lines(result: Dumped) -> Iterator[Line]:
    size, took = format_megabytes(result.bytes), seconds(result.seconds)
    at = revision_names(result.heads)
    yield f"{result.location}: written to {result.file} at {at}, {size}, in {took}", "green"


def loaded_lines(result: Loaded) -> Iterator[Line]:
    where = position_text(result.heads, result.ahead)
    what = f"{result.tables} table{'' if result.tables == 1 else 's'}"
    took = seconds(result.seconds)
    yield f"{result.location}: loaded from {result.file} in {took}, {what}, {where}", "green"
    for revision in result.unknown if not result.ahead else ():
        yield f"unknown: {revision}, which this checkout does not have", "yellow"
    if not result.heads and result.tables:
        find = as_typed("db-ops stamp --find")
        yield f"no revision is recorded in it; to find the one that it is at: {find}", "yellow"
    elif result.pending and not result.unknown:
        upgrade = as_typed("db-ops upgrade")
        yield f"pending: {len(result.pending)}; to apply them: {upgrade}", "yellow"
    yield from undo_lines(result.undo)
