"""Render `stamp` and `stamp --find` as text."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from db_ops.cli.format import Line, revision_names
from db_ops.cli.render.verify import difference_lines
from db_ops.errors.base import enumerate_names
from db_ops.errors.invocation import as_typed
from db_ops.results import RevisionsFound, Stamped


def stamped_lines(result: Stamped) -> Iterator[Line]:
    at, count = revision_names(result.revisions), _count(len(result.differences))
    if not result.done:
        said = f"not stamped, {count} from what the migrations make up to {at}"
        yield f"{result.location}: {said}", "yellow"
    elif set(result.before) == set(result.heads):
        yield f"{result.location}: already at {at}{_compared(result)}", "green"
    else:
        was = revision_names(result.before)
        yield f"{result.location}: stamped at {at}, was at {was}{_compared(result)}", "green"
    yield from difference_lines(result.location, result.differences)
    yield from _others(result.others)
    if not result.done:
        yield f"next: {as_typed('db-ops stamp --find')}", ""
        yield f"to record it all the same: {_command(result.revisions)} --anyway", ""


def revisions_found_lines(result: RevisionsFound) -> Iterator[Line]:
    *_, newest = result.nearest
    if result.differences:
        count = _count(len(result.differences))
        said = f"at none of the {result.compared} revisions, nearest is {revision_names(newest)}"
        yield f"{result.location}: {said}, with {count}", "yellow"
        yield from difference_lines(result.location, result.differences)
    else:
        yield f"{result.location}: the tables are at {revision_names(newest)}", "green"
    yield from _others(result.others)
    if len(result.nearest) > 1:
        alike = " or ".join(revision_names(one) for one in result.nearest[:-1])
        yield f"note: the schema is the same at {alike}; stamp the newest whose rows are there", ""
    if result.branches:
        yield "note: on branches, states in which another one is further on were not compared", ""
    recorded = revision_names(result.recorded)
    if set(result.recorded) in map(set, result.nearest):
        yield f"recorded: {recorded}", ""
    elif newest or result.recorded:
        to, anyway = "to change that", ""
        if result.differences:
            to, anyway = "to record that one in spite of what differs", " --anyway"
        yield f"recorded: {recorded}; {to}: {_command(newest)}{anyway}", ""
    else:
        yield f"recorded: {recorded}", ""


def _compared(result: Stamped) -> str:
    if result.unchecked:
        return f"; not compared: {result.unchecked}"
    if result.differences:
        return f" in spite of {_count(len(result.differences))}"
    return ", which is what the tables are"


def _others(others: tuple[str, ...]) -> Iterator[Line]:
    if others:
        yield f"note: neither models nor migrations make {enumerate_names(others)}: left out", ""


def _count(number: int) -> str:
    return f"{number} difference{'' if number == 1 else 's'}"


def _command(revisions: tuple[str, ...]) -> str:
    names = " ".join(f"-r {shlex.quote(one)}" for one in revisions or ("base",))
    return as_typed(f"db-ops stamp {names}")
