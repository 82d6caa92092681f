"""Results, progress and errors: as text for people, or as one JSON document.

Results go to stdout; progress and errors go to stderr.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from functools import singledispatch
from pathlib import Path
from typing import TypeVar

from db_ops.cli.interruption import Interruption, exit_code
from db_ops.errors import DbOpsError, ExitCode, Interrupted, Terminated
from db_ops.results import (
    Connected,
    ConnectionUrl,
    DatabaseCreated,
    DatabaseDropped,
    Deleted,
    Downgraded,
    Event,
    Initialised,
    InvalidIndexDropped,
    InvalidIndexLeft,
    Migrated,
    MigrationCreated,
    NotMarked,
    Recreated,
    Result,
    RevisionFinished,
    RevisionRetried,
    RevisionStarted,
    ServerStarted,
    ServerStarting,
    ServerStopped,
    Status,
    Step,
    Verified,
    WaitingForLock,
    WaitingForServer,
)

R = TypeVar("R", bound=Result)
Line = tuple[str, str]

# A revision that takes this many seconds is worth a line of its own when it is done.
_LONG = 1.0


def show(result: R, as_json: bool) -> R:
    """Print *result* on stdout and return it."""
    if as_json:
        document = {
            "result": type(result).__name__.lower(),
            "exit_code": int(result.exit_code),
            **asdict(result),
        }
        _say(json.dumps(document, ensure_ascii=False))
    else:
        for text, style in _lines(result):
            _say(text, style)
    return result


def show_error(error: DbOpsError) -> None:
    """Print *error* on stderr: one line what happened, one line what to do."""
    _say(f"error: {_one_line(error.message)}", "bold red", to_stderr=True)
    hint = _one_line(error.hint).replace("inv db.", _door())
    _say(f"hint: {hint}", to_stderr=True)


class Progress:
    """Prints events on stderr as they come, each only once in a row.

    While entered, a signal ends the running statement; what that raises leaves as `Interrupted`.
    """

    def __init__(self) -> None:
        self._interruption = Interruption()
        self._last: str | None = None
        self._done = "nothing was applied or reverted"

    def __enter__(self) -> Progress:
        self._interruption.__enter__()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._interruption.__exit__()
        received = self._interruption.behind(error)
        if received is not None:
            stopped = Terminated if exit_code(received) == ExitCode.TERMINATED else Interrupted
            raise stopped(received.name, self._done) from error

    def __call__(self, event: Event) -> None:
        if isinstance(event, Connected):
            self._interruption.cancels.append(event.cancel)
        elif isinstance(event, RevisionFinished):
            verb = "applied" if event.direction == "upgrade" else "reverted"
            last = event.step.revision.id
            self._done = f"{event.position} of {event.total} revisions {verb}, the last {last}"
        text = _announced(event)
        if text and text != self._last:
            _say(text, to_stderr=True)
            self._last = text


def _announced(event: Event) -> str:
    match event:
        case RevisionStarted(revision, direction, position, total):
            verb = "apply" if direction == "upgrade" else "revert"
            return f"  {verb} {position}/{total}  {revision.id}  {revision.summary}"
        case RevisionFinished(step) if step.seconds >= _LONG:
            return f"      done in {_seconds(step.seconds)}"
        case ServerStarting(directory, creating):
            what = "creating and starting" if creating else "starting"
            return f"{what} the embedded server in {_short(directory)}"
        case WaitingForServer(location, reason):
            return f"{location}: waiting, {reason}"
        case WaitingForLock(location, holder, remedy, _):
            return f"{location}: waiting for {holder}; to end it: {remedy}"
        case InvalidIndexDropped(location, index):
            return f"{location}: dropped {index}, left INVALID by a failed build, to build it again"
        case InvalidIndexLeft(location, index):
            return (
                f"{location}: {index} is INVALID and serves no query; "
                f"to build it again: REINDEX INDEX CONCURRENTLY {index}"
            )
        case RevisionRetried(revision, reason, attempt, attempts):
            return (
                f"      {revision} meets a lock ({reason}), attempt {attempt} of {attempts} follows"
            )
        case DatabaseCreated(location):
            return f"{location}: created"
        case DatabaseDropped(location):
            return f"{location}: dropped"
        case NotMarked(location, reason):
            return f"{location}: not marked with its environment, {reason}"
        case _:
            return ""


@singledispatch
def _lines(result: Result) -> Iterator[Line]:
    raise NotImplementedError(type(result))


@_lines.register
def _(result: Recreated) -> Iterator[Line]:
    before = "dropped, created" if result.dropped else "created (there was none)"
    yield f"{result.location}: {before}, {_applied(result)}", "green"


@_lines.register
def _(result: Initialised) -> Iterator[Line]:
    created = "created, " if result.created else ""
    yield f"{result.location}: {created}{_applied(result)}", "green"
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


@_lines.register
def _(result: MigrationCreated) -> Iterator[Line]:
    if result.revision is None:
        yield "models and database agree: no file written", "green"
        return
    yield result.revision.path, "green"
    for operation in result.operations:
        yield f"  {operation}", ""
    yield f"review it, then apply it: {_door()}upgrade", ""


@_lines.register
def _(result: Verified) -> Iterator[Line]:
    if not result.differences:
        at = _at(result.heads)
        yield f"{result.location}: models, migrations and database agree at {at}", "green"
    for difference in result.differences:
        yield f"{result.location}: {difference.description}", "yellow"
    for remedy in dict.fromkeys(difference.remedy for difference in result.differences):
        yield f"next: {remedy.replace('inv db.', _door())}", ""
    for unchecked in result.unchecked:
        yield f"note: {unchecked}", ""


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
        yield f"pending      {pending.id}  {pending.summary}", "yellow"
    if result.next_command:
        yield f"next         {result.next_command.replace('inv db.', _door())}", "bold"
    else:
        yield "up to date", "green"


@_lines.register
def _(result: ServerStarted) -> Iterator[Line]:
    done = "started" if result.started else "already runs"
    yield f"embedded server {done} in {_short(result.directory)}", "green"


@_lines.register
def _(result: ServerStopped) -> Iterator[Line]:
    done = "stopped" if result.stopped else "was not running"
    yield f"embedded server {done} in {_short(result.directory)}", "green"


@_lines.register
def _(result: ConnectionUrl) -> Iterator[Line]:
    yield result.url, ""


def _applied(result: Migrated) -> str:
    if not result.steps:
        return f"at {_at(result.heads)}, nothing to do"
    return f"{_count(result.steps, 'applied')}, now at {_at(result.heads)}"


def _count(steps: tuple[Step, ...], verb: str) -> str:
    plural = "" if len(steps) == 1 else "s"
    seconds = _seconds(sum(step.seconds for step in steps))
    return f"{len(steps)} revision{plural} {verb} in {seconds}"


def _at(revisions: tuple[str, ...]) -> str:
    return ", ".join(revisions) or "base"


def _marked(result: Status) -> str:
    return f"marked {result.mark}" if result.mark else "not marked"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s"


def _short(directory: str) -> str:
    path, here = Path(directory), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else directory


def _door() -> str:
    """Return how this process was called, up to the name of a command."""
    program = Path(sys.argv[0]).name
    if program == "__main__.py":
        return "python -m db_ops "
    if program.endswith(".py") and program != "tasks.py":
        return f"python {sys.argv[0]} "
    return "db-ops " if program == "db-ops" else "inv db."


def _one_line(text: str) -> str:
    # Names and server messages may hold line breaks and control characters.
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _say(text: str, style: str = "", *, to_stderr: bool = False) -> None:
    stream = sys.stderr if to_stderr else sys.stdout
    if style and stream.isatty():
        # Only colour needs rich, and only a terminal colour.
        from rich.console import Console
        from rich.text import Text

        Console(file=stream, highlight=False).print(Text(text, style), soft_wrap=True)
    else:
        print(text, file=stream, flush=True)
