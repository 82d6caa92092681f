"""The results of the embedded server commands, `shell`, `url` and `cache`."""

from __future__ import annotations

from db_ops.frozen_data import FrozenData
from db_ops.results.migrate import Result


class ServerStarted(Result):
    """The embedded server runs; `started` is False when it already did."""

    directory: str
    started: bool


class ServerStopped(Result):
    """The embedded server does not run; `stopped` is False when it did not before."""

    directory: str
    stopped: bool


class ConnectionUrl(Result):
    """The URL for psql and the application, without its password unless that was asked for."""

    url: str


class ShellEnded(Result):
    """The client `program` that was run on the database ended without an error."""

    program: str


class CachedDatabase(FrozenData):
    """A database of ours: of which `kind`, for which service, when it was built (UTC, ISO 8601)."""

    name: str
    kind: str
    service: str | None
    heads: tuple[str, ...]
    bytes: int
    built: str | None


class Cache(Result):
    """What is kept on the server to be quick, and the names of those dropped just now."""

    databases: tuple[CachedDatabase, ...]
    cleared: tuple[str, ...]
