"""Results: as text for people, or as one JSON document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import singledispatch
from typing import TypeVar

from db_ops.cli.records import drift_style, drift_text, history_lines, quick_lines, written
from db_ops.cli.terminal import door, say, seconds, short
from db_ops.results import (
    Cache,
    ConnectionUrl,
    Deleted,
    Downgraded,
    History,
    Initialised,
    Migrated,
    MigrationCreated,
    QuicklyVerified,
    Recreated,
    Result,
    ServerStarted,
    ServerStopped,
    Status,
    Step,
    Verified,
)

R = TypeVar("R", bound=Result)
Line = tuple[str, str]


def show(result: R, as_json: bool) -> R:
    """Print *result* on stdout and return it."""
    if as_json:
        document = {
            "result": type(result).__name__.lower(),
            "exit_code": int(result.exit_code),
            **asdict(result),
        }
        say(json.dumps(document, ensure_ascii=False))
    else:
        for text, style in _lines(result):
            say(text, style)
    return result


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
    yield f"review it, then apply it: {door()}upgrade", ""


@_lines.register
def _(result: Verified) -> Iterator[Line]:
    if not result.differences:
        at = _at(result.heads)
        yield f"{result.location}: models, migrations and database agree at {at}", "green"
    for difference in result.differences:
        yield f"{result.location}: {difference.description}", "yellow"
    for remedy in dict.fromkeys(difference.remedy for difference in result.differences):
        yield f"next: {remedy.replace('inv db.', door())}", ""
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
        size = f"{database.bytes / 1_000_000:.1f} MB"
        dropped = "dropped " if database.name in result.cleared else ""
        yield (
            f"{result.location}: {dropped}{database.name}: {database.kind}{of}{at}, {size}{built}",
            "",
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
        return f"at {_at(result.heads)}, nothing to do"
    return f"{_count(result.steps, 'applied')}, now at {_at(result.heads)}"


def _count(steps: tuple[Step, ...], verb: str) -> str:
    plural = "" if len(steps) == 1 else "s"
    took = seconds(sum(step.seconds for step in steps))
    return f"{len(steps)} revision{plural} {verb} in {took}"


def _at(revisions: tuple[str, ...]) -> str:
    return ", ".join(revisions) or "base"


def _marked(result: Status) -> str:
    return f"marked {result.mark}" if result.mark else "not marked"
