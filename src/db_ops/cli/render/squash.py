"""Render `squash` as text."""

from __future__ import annotations

from collections.abc import Iterator

from db_ops.cli.format import Line
from db_ops.cli.terminal import one_line, seconds
from db_ops.cli.truncation import first_lines
from db_ops.errors.invocation import as_typed
from db_ops.results import Squashed

_SHOWN = 10


def squashed_lines(result: Squashed) -> Iterator[Line]:
    count, last = len(result.replaced), result.replaced[-1].id
    if result.revision is not None:
        took = f"{seconds(result.after)} instead of {seconds(result.before)}"
        said = f"{result.revision.path}: {count} revisions squashed, {took} on an empty database"
        yield said, "green"
    elif result.differences:
        yield f"not squashed, the new revision does not do what the {count} old ones do", "yellow"
    else:
        yield f"not squashed: the {count} revisions up to {last} leave more than tables", "yellow"
    differences = [one_line(one.description) for one in result.differences]
    yield from first_lines(differences, _SHOWN, "  ", "yellow")
    kept = {True: "kept: ", False: "dropped: ", None: "left by them: "}[result.kept]
    yield from first_lines(map(one_line, result.rows), _SHOWN, kept)
    yield from first_lines(map(one_line, result.outside), _SHOWN, "not in it: ", "yellow")
    steps = [f"{one.path}:{one.line}: {one_line(one.code)}" for one in result.data_steps]
    yield from first_lines(steps, _SHOWN, "data step: ")
    if result.unfinished:
        yield f"note: {one_line(result.unfinished)}", "yellow"
    if result.irreversible:
        yield f"note: it has no downgrade: {one_line(result.irreversible)}", "yellow"
    if result.done:
        yield f"databases at {last} or past it go on as before; review it, then commit it", ""
    elif not result.differences:
        again = f"db-ops squash --until {last}"
        yield f"to write them into the new one: {as_typed(f'{again} --keep-data')}", ""
        yield f"to leave them out of it: {as_typed(f'{again} --drop-data')}", ""
