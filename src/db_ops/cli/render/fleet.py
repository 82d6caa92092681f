"""Render `fleet` as text."""

from __future__ import annotations

from collections.abc import Iterator

from db_ops.cli.format import Line, member_text
from db_ops.cli.terminal import seconds
from db_ops.errors.invocation import as_typed
from db_ops.results import FleetReport


def fleet_lines(report: FleetReport) -> Iterator[Line]:
    """Yield a line for each database with which something is wrong, and then one for all."""
    for one in (*report.different, *report.failed):
        yield member_text(one), "bold red" if one.outcome == "failed" else "yellow"
        if one.hint:
            yield f"  hint: {as_typed(one.hint)}", ""
        if one.outcome == "failed":
            yield f"  alone: {as_typed(one.repeat or '')}", ""
    counts = ", ".join(f"{count} {state}" for state, count in sorted(report.states.items()))
    shard = f", shard {report.shard}" if report.shard else ""
    style = "bold red" if report.failed else "yellow" if report.different else "green"
    said = counts or "no databases"
    yield (
        f"fleet {report.command}: {said}, of {report.total}{shard} in {seconds(report.seconds)}",
        style,
    )
    if report.not_run:
        because = f": {report.stopped}" if report.stopped else ""
        yield f"{report.not_run} not run{because}", "bold red"
    if len(report.revisions) > 1:
        at = ", ".join(f"{n} at {name}" for name, n in sorted(report.revisions.items()) if n)
        yield f"revisions: {at}", ""
    if report.slowest:
        yield f"slowest: {report.slowest}, {seconds(report.slowest_seconds)}", ""
