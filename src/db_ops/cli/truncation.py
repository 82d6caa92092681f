"""Truncate what a command prints: lists to their first items, a result to the terminal's height."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from db_ops.cli.format import Line
from db_ops.cli.terminal import is_interactive, options, size

_AT_THE_END = 4


def fit_to_screen(lines: list[Line]) -> list[Line]:
    """Omit lines from the middle, so that the first one stays on the terminal."""
    room = max(size(sys.stdout)[1] - 2, _AT_THE_END + 4)
    if options.get().verbose or not is_interactive(sys.stdout) or len(lines) <= room:
        return lines
    left_out = f"... {len(lines) - room + 1} more lines; all of them: --verbose"
    return [*lines[: room - _AT_THE_END - 1], (left_out, ""), *lines[-_AT_THE_END:]]


def first_lines(texts: Iterable[str], limit: int, label: str = "", style: str = "") -> list[Line]:
    """Return the first *limit* of *texts* as lines that begin with *label*, and how many more."""
    lines = [f"{label}{text}" for text in texts]
    rest = len(lines) - limit
    if options.get().verbose or rest < 2:
        return [(line, style) for line in lines]
    return [*((line, style) for line in lines[:limit]), (f"{label}{rest} more: --verbose", style)]
