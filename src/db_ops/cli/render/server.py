"""Render the commands of the embedded server, `url` and `cache` as text."""

from __future__ import annotations

from collections.abc import Iterator

from db_ops.cli.format import Line, format_megabytes, revision_names
from db_ops.cli.terminal import short_path
from db_ops.results import Cache, ConnectionUrl, ServerStarted, ServerStopped, ShellEnded


def server_started_lines(result: ServerStarted) -> Iterator[Line]:
    done = "started" if result.started else "already runs"
    yield f"embedded server {done} in {short_path(result.directory)}", "green"


def server_stopped_lines(result: ServerStopped) -> Iterator[Line]:
    done = "stopped" if result.stopped else "was not running"
    yield f"embedded server {done} in {short_path(result.directory)}", "green"


def connection_url_lines(result: ConnectionUrl) -> Iterator[Line]:
    yield result.url, ""


def shell_ended_lines(result: ShellEnded) -> Iterator[Line]:
    """Yield nothing: the client has said everything."""
    yield from ()


def cache_lines(result: Cache) -> Iterator[Line]:
    if not result.databases:
        yield f"{result.location}: nothing is kept", "green"
    for database in result.databases:
        of = f" of {database.service}" if database.service else ""
        heads = f" at {revision_names(database.heads)}" if database.heads else ""
        verb = "kept" if database.kind == "undo" else "built"
        built = f", {verb} {database.built}" if database.built else ""
        about = f"{database.kind}{of}{heads}, {format_megabytes(database.bytes)}{built}"
        dropped = "dropped " if database.name in result.cleared else ""
        yield f"{result.location}: {dropped}{database.name}: {about}", ""
