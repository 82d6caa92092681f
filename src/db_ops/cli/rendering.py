"""Results as text for people."""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from db_ops.cli.screen import on_one_screen
from db_ops.cli.terminal import one_line, options, say, seconds
from db_ops.cli.words import Line, here
from db_ops.cli.words import at as _at
from db_ops.results import (
    Deleted,
    Downgraded,
    Initialised,
    Migrated,
    Recreated,
    Result,
    Step,
)

if TYPE_CHECKING:
    from db_ops.results import Script

R = TypeVar("R", bound=Result)

# What a caller who asks for quiet need not be told: that it was done is in the exit code.
_DEEDS = (Migrated, Downgraded, Deleted)
_RARE_DEEDS = ("Restored", "ServerStarted", "ServerStopped", "SnapshotTaken")
# What few commands show, and where its lines are made: imported only for them.
_ELSEWHERE = {
    "Cache": ("serving_lines", "cache"),
    "ConnectionUrl": ("serving_lines", "connection_url"),
    "Diagnosis": ("project_lines", "diagnosis"),
    "Diagram": ("project_lines", "diagram"),
    "History": ("records", "history_lines"),
    "MigrationCreated": ("project_lines", "migration_created"),
    "MigrationRebased": ("project_lines", "migration_rebased"),
    "Planned": ("plans", "plan_lines"),
    "QuicklyVerified": ("records", "quick_lines"),
    "Restored": ("snapshot_lines", "restored"),
    "Scaffolded": ("project_lines", "scaffolded"),
    "Script": ("plans", "script_lines"),
    "ServerStarted": ("serving_lines", "server_started"),
    "ServerStopped": ("serving_lines", "server_stopped"),
    "SnapshotTaken": ("snapshot_lines", "snapshot_taken"),
    "Snapshots": ("snapshot_lines", "snapshots"),
    "Status": ("records", "status_lines"),
    "Verified": ("verified", "verified_lines"),
}


def show(result: R, as_json: bool) -> R:
    """Print *result* on stdout and return it; as JSON, `Command` does, once all else is done."""
    if as_json:
        return result
    if type(result).__name__ == "Script":
        _show_script(result)  # type: ignore[arg-type]  # the name says it; the type is not imported
    elif not (options.get().quiet and _is_deed(result)):
        for text, style in on_one_screen(list(_all_lines(result))):
            say(one_line(text), style)
    return result


def _is_deed(result: Result) -> bool:
    return isinstance(result, _DEEDS) or type(result).__name__ in _RARE_DEEDS


def _show_script(script: Script) -> None:
    """Print SQL as it is: no line of it may be cut or escaped."""
    say(script.sql.rstrip("\n"))
    for note in script.notes:
        say(f"note: {one_line(note)}", "yellow", to_stderr=True)


def plain_lines(result: Result) -> list[str]:
    """Return what `show` prints, whole and without colours."""
    return [one_line(text) for text, _ in _lines(result)]


def _all_lines(result: Result) -> Iterator[Line]:
    yield from _lines(result)
    if options.get().verbose:
        for step in getattr(result, "steps", ()):
            yield f"  {seconds(step.seconds):>9}  {step.revision.id}  {step.revision.summary}", ""
        if type(result).__name__ == "Verified":
            yield from import_module("db_ops.cli.verified").verified_details(result)


@singledispatch
def _lines(result: Result) -> Iterator[Line]:
    module, function = _ELSEWHERE[type(result).__name__]
    lines: Iterator[Line] = getattr(import_module(f"db_ops.cli.{module}"), function)(result)
    return lines


@_lines.register
def _(result: Recreated) -> Iterator[Line]:
    before = "dropped, created" if result.dropped else "created (there was none)"
    yield f"{result.location}: {before}{_origin(result)}", "green"


@_lines.register
def _(result: Initialised) -> Iterator[Line]:
    created = f"created{_origin(result)}" if result.created else _applied(result)
    yield f"{result.location}: {created}", "green"
    if result.mark:
        yield f"{result.location}: marked as {result.mark}", ""


@_lines.register
def _(result: Migrated) -> Iterator[Line]:
    yield f"{result.location}: {_applied(result)}", "green"


@_lines.register
def _(result: Deleted) -> Iterator[Line]:
    done = "dropped" if result.existed else "does not exist, nothing to drop"
    yield f"{result.location}: {done}", "green"


@_lines.register
def _(result: Downgraded) -> Iterator[Line]:
    yield (
        f"{result.location}: {_count(result.steps, 'reverted')}, now at {_at(result.heads)}",
        "green",
    )


def _origin(result: Initialised) -> str:
    if result.origin is None or result.origin.source == "migrations":
        kept = ", kept as a template" if result.origin and result.origin.template else ""
        return f", {_applied(result)}{kept}"
    return (
        f" from a {result.origin.source} in {seconds(result.origin.seconds)},"
        f" now at {_at(result.heads)}"
    )


def _applied(result: Migrated) -> str:
    if not result.steps:
        return f"{here(result.heads, result.ahead)}, nothing to do"
    return f"{_count(result.steps, 'applied')}, now at {_at(result.heads)}"


def _count(steps: tuple[Step, ...], verb: str) -> str:
    plural = "" if len(steps) == 1 else "s"
    took = seconds(sum(step.seconds for step in steps))
    return f"{len(steps)} revision{plural} {verb} in {took}"
