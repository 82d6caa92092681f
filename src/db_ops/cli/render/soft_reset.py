"""Render what a soft reset of `recreate` has dropped, and what has stayed."""

from __future__ import annotations

from collections.abc import Iterator

from db_ops.cli.format import Line
from db_ops.cli.terminal import one_line
from db_ops.cli.truncation import first_lines
from db_ops.results import ObjectCount, ObjectsDropped

_SHOWN = 5


def soft_reset_text(dropped: ObjectsDropped) -> str:
    """Say how many objects of which kind are gone."""
    counted = ", ".join(map(_counted, dropped.counts)) or "nothing"
    several = f" in {dropped.transactions} transactions" if dropped.transactions > 1 else ""
    return f"soft reset: {counted} dropped{several}"


def kept_lines(dropped: ObjectsDropped) -> Iterator[Line]:
    """Yield what has stayed."""
    if dropped.extensions:
        plural = "" if len(dropped.extensions) == 1 else "s"
        yield f"kept: extension{plural} {', '.join(dropped.extensions)}", ""
    yield from first_lines([f"schema {one}" for one in dropped.schemas], _SHOWN, "kept: ")
    yield from first_lines(map(one_line, dropped.others), _SHOWN, "kept: ")


def _counted(one: ObjectCount) -> str:
    return f"{one.count} {one.kind if one.count == 1 else f'{one.kind}s'}"
