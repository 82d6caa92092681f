"""Render what seeds wrote as text."""

from __future__ import annotations

from collections.abc import Iterator

from db_ops.cli.format import Line
from db_ops.cli.terminal import options, seconds
from db_ops.results import Seeded, SeededTable


def seeded_lines(result: Seeded) -> Iterator[Line]:
    if not result.tables:
        yield f"{result.location}: the seeds have nothing to write", "green"
        return
    took = seconds(result.seconds)
    yield f"{result.location}: seeded in {took}, {written_text(result.tables)}", "green"
    if options.get().verbose:
        for table in result.tables:
            yield f"  {table.table}: {written_text((table,))}", ""


def written_text(tables: tuple[SeededTable, ...]) -> str:
    """Say how many rows were written, and in how many tables."""
    sums = {
        "inserted": sum(table.inserted for table in tables),
        "updated": sum(table.updated for table in tables),
        "deleted": sum(table.deleted for table in tables),
    }
    said = [f"{count:,} {verb}" for verb, count in sums.items() if count]
    if not said:
        return "no row written"
    rows = "row" if sum(sums.values()) == 1 else "rows"
    said[0] = said[0].replace(" ", f" {rows} ", 1)
    where = f" in {len(tables)} tables" if len(tables) > 1 else ""
    return f"{', '.join(said)}{where}"
