"""Render `branches` as text."""

from __future__ import annotations

from collections.abc import Iterator

from db_ops.cli.format import Line, format_age, format_megabytes
from db_ops.cli.terminal import short_path
from db_ops.errors.invocation import as_typed
from db_ops.results import BranchDatabase, Branches


def branches_lines(result: Branches) -> Iterator[Line]:
    for name in result.dropped:
        yield f"{result.location}/{name}: dropped, its branch is gone", "green"
    if not result.databases:
        yield f"{result.location}: no databases yet; to make one: {as_typed('db-ops init')}", ""
    here = result.databases[0].repository if result.databases else ""
    current = next((one.repository for one in result.databases if one.is_current), here)
    rows = [_cells(one, current) for one in result.databases]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for one, row in zip(result.databases, rows, strict=True):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip(), "yellow" if one.is_gone else ""
    if any(one.is_gone for one in result.databases):
        yield f"to drop those whose branch is gone: {as_typed('db-ops branches --prune')}", "yellow"


def _cells(one: BranchDatabase, repository: str) -> tuple[str, ...]:
    branch = one.branch if not one.branch.startswith(":") else "(detached HEAD)"
    where = short_path(one.working_tree) if one.working_tree else ""
    if one.is_gone:
        where = "gone"
    elif one.repository != repository:
        where = f"of {short_path(one.repository)}"
    return (
        "*" if one.is_current else " ",
        branch,
        one.database,
        format_megabytes(one.bytes),
        format_age(one.made) if one.made else "",
        where,
    )
