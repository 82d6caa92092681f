"""Results as text for people."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import singledispatch
from typing import TypeVar

from db_ops.cli.adoption_lines import diagnosis, scaffolded
from db_ops.cli.plans import plan_lines
from db_ops.cli.records import drift_style, drift_text, history_lines, quick_lines, written
from db_ops.cli.snapshot_lines import restored, snapshot_taken, snapshots
from db_ops.cli.terminal import door, is_interactive, one_line, options, say, seconds, short, size
from db_ops.cli.verified import verified_details, verified_lines
from db_ops.cli.words import Line, megabytes
from db_ops.cli.words import at as _at
from db_ops.results import (
    Cache,
    ConnectionUrl,
    Deleted,
    Diagram,
    Downgraded,
    History,
    Initialised,
    Migrated,
    MigrationCreated,
    MigrationRebased,
    Planned,
    QuicklyVerified,
    Recreated,
    Restored,
    Result,
    Script,
    ServerStarted,
    ServerStopped,
    SnapshotTaken,
    Status,
    Step,
    Verified,
)

R = TypeVar("R", bound=Result)

# What a caller who asks for quiet need not be told: that it was done is in the exit code.
_DEEDS = (Migrated, Downgraded, Deleted, ServerStarted, ServerStopped, SnapshotTaken, Restored)
_AT_THE_END = 4


def show(result: R, as_json: bool) -> R:
    """Print *result* on stdout and return it; as JSON, `Command` does, once all else is done."""
    if isinstance(result, Script) and not as_json:
        _show_script(result)
    elif not as_json and not (options.get().quiet and isinstance(result, _DEEDS)):
        for text, style in _on_one_screen(list(_all_lines(result))):
            say(one_line(text), style)
    return result


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
        if isinstance(result, Verified):
            yield from verified_details(result)


def _on_one_screen(lines: list[Line]) -> list[Line]:
    """Leave out of the middle what would push the beginning off the terminal."""
    room = max(size(sys.stdout)[1] - 2, _AT_THE_END + 4)
    if options.get().verbose or not is_interactive(sys.stdout) or len(lines) <= room:
        return lines
    left_out = f"... {len(lines) - room + 1} more lines; all of them: --verbose"
    return [*lines[: room - _AT_THE_END - 1], (left_out, ""), *lines[-_AT_THE_END:]]


@singledispatch
def _lines(result: Result) -> Iterator[Line]:
    raise NotImplementedError(type(result))


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
def _(result: Planned) -> Iterator[Line]:
    yield from plan_lines(result)


@_lines.register
def _(result: Script) -> Iterator[Line]:
    for line in result.sql.splitlines():
        yield line, ""


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


@_lines.register
def _(result: MigrationCreated) -> Iterator[Line]:
    for unchecked in result.unchecked:
        yield f"note: {unchecked}", "yellow"
    if result.revision is None:
        yield "models and migrations agree: no file written", "green"
        return
    yield result.revision.path, "yellow" if result.exit_code else "green"
    for operation in result.operations:
        yield f"  {one_line(operation)}", ""
    for loss in result.losses:
        yield f"loses data: {one_line(loss)}", "bold red"
    for unsafe in result.unsafe:
        yield f"unsafe: {one_line(unsafe.what)}; instead: {one_line(unsafe.instead)}", "yellow"
    for todo in result.todos:
        yield f"TODO: {one_line(todo)}", "bold red"
    for unproven in result.unproven:
        yield f"not proven: {one_line(unproven)}", "bold red"
    for kept in result.kept:
        yield f"downgrade: {one_line(kept)}", ""
    if result.exit_code:
        yield f"complete {result.revision.path}, then run {door()}verify", ""
    else:
        yield f"review it, then apply it: {door()}upgrade", ""


@_lines.register
def _(result: MigrationRebased) -> Iterator[Line]:
    yield f"{result.revision.path}: follows {result.onto} now", "green"


@_lines.register
def _(result: Verified) -> Iterator[Line]:
    yield from verified_lines(result)


@_lines.register
def _(result: Status) -> Iterator[Line]:
    yield f"database     {result.location}", "bold"
    if result.exists:
        yield f"server       PostgreSQL {result.server_version}", ""
        yield f"environment  {result.environment}, database {_marked(result)}", ""
        yield f"current      {_at(result.current)}", ""
    else:
        yield f"environment  {result.environment}", ""
        yield "current      the database does not exist", "yellow"
    yield f"head         {_at(result.heads)}", ""
    for revision in result.unknown:
        yield f"unknown      {revision}, which this checkout does not have", "yellow"
    for pending in result.pending:
        yield f"pending      {pending.id}  {pending.summary}{written(pending)}", "yellow"
    if result.exists:
        yield f"drift        {drift_text(result.drift)}", drift_style(result.drift)
    if result.next_command:
        yield f"next         {result.next_command.replace('inv db.', door())}", "bold"
    else:
        yield "up to date", "green"


@_lines.register
def _(result: History) -> Iterator[Line]:
    yield from history_lines(result)


@_lines.register
def _(result: QuicklyVerified) -> Iterator[Line]:
    yield from quick_lines(result)


@_lines.register
def _(result: ServerStarted) -> Iterator[Line]:
    done = "started" if result.started else "already runs"
    yield f"embedded server {done} in {short(result.directory)}", "green"


@_lines.register
def _(result: ServerStopped) -> Iterator[Line]:
    done = "stopped" if result.stopped else "was not running"
    yield f"embedded server {done} in {short(result.directory)}", "green"


@_lines.register
def _(result: ConnectionUrl) -> Iterator[Line]:
    yield result.url, ""


@_lines.register
def _(result: Cache) -> Iterator[Line]:
    if not result.databases:
        yield f"{result.location}: nothing is kept", "green"
    for database in result.databases:
        of = f" of {database.service}" if database.service else ""
        at = f" at {_at(database.heads)}" if database.heads else ""
        built = f", built {database.built}" if database.built else ""
        size = megabytes(database.bytes)
        dropped = "dropped " if database.name in result.cleared else ""
        yield (
            f"{result.location}: {dropped}{database.name}: {database.kind}{of}{at}, {size}{built}",
            "",
        )


@_lines.register
def _(result: Diagram) -> Iterator[Line]:
    if result.path is None:
        yield from ((line, "") for line in result.text.splitlines())
    elif result.check and result.changed:
        option = " --revisions" if result.revisions else ""
        yield f"{result.path}: not up to date", "yellow"
        yield f"next: {door()}diagram{option} --output {result.path}", ""
    else:
        done = "written" if result.changed else "up to date"
        yield f"{result.path}: {done}", "green"


_lines.register(diagnosis)
_lines.register(scaffolded)
_lines.register(snapshot_taken)
_lines.register(restored)
_lines.register(snapshots)


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
        return f"at {_at(result.heads)}, nothing to do"
    return f"{_count(result.steps, 'applied')}, now at {_at(result.heads)}"


def _count(steps: tuple[Step, ...], verb: str) -> str:
    plural = "" if len(steps) == 1 else "s"
    took = seconds(sum(step.seconds for step in steps))
    return f"{len(steps)} revision{plural} {verb} in {took}"


def _marked(result: Status) -> str:
    return f"marked {result.mark}" if result.mark else "not marked"
