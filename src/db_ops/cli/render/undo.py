"""Render `undo` and `undo --list` as text."""

from __future__ import annotations

from collections.abc import Iterator

from db_ops.cli.format import (
    Line,
    format_age,
    format_megabytes,
    format_moment,
    revision_names,
    undo_lines,
)
from db_ops.cli.render.snapshot import position_lines
from db_ops.cli.terminal import seconds
from db_ops.results import KeptDatabase, UndoList, Undone


def undone_lines(result: Undone) -> Iterator[Line]:
    one = result.brought_back
    at = f", now at {revision_names(one.heads)}" if one.heads is not None else ""
    yield (
        f"{result.location}: as it was before {one.command}, {format_age(one.kept)},"
        f" in {seconds(result.seconds)}{at}",
        "green",
    )
    yield from position_lines(result)
    yield from undo_lines(result.undo)


def undo_list_lines(result: UndoList) -> Iterator[Line]:
    if not result.kept:
        yield f"{result.location}: nothing is kept", ""
    for one in result.kept:
        yield _line(one), ""


def _line(one: KeptDatabase) -> str:
    heads = "" if one.heads is None else f"  {revision_names(one.heads)}"
    until = f"until {format_moment(one.until)}"
    age, size = format_age(one.kept), format_megabytes(one.bytes)
    return f"before {one.command}  {age}  {size}  {until}{heads}"
