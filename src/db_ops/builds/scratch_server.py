"""The server that scratch databases are created on.

In development and test it is the target's own. What is protected, by the settings or by the mark of
the database itself, shares its server with nothing that is built only to be looked at: then it is
that of `DB_OPS_SCRATCH_URL`, else an embedded one of the same major version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from db_ops.errors import (
    EmbeddedServerFailed,
    EmbeddedServerUnavailable,
    NoScratchDatabase,
    ScratchServerDiffers,
)
from db_ops.frozen_data import replace
from db_ops.postgres.catalog import major_version
from db_ops.postgres.connection.server import Server
from db_ops.postgres.databases import identities_of
from db_ops.postgres.environment_mark import all_marks, read_mark
from db_ops.settings import DISPOSABLE, DatabaseUrl
from db_ops.target.open_server import embedded_url
from db_ops.target.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

ANOTHER_SERVER = "set DB_OPS_SCRATCH_URL to another server of the same major version"


@dataclass(frozen=True)
class TargetFacts:
    """What decides which server may hold scratch databases: the target's version and mark."""

    major: int
    mark: str | None
    identities: frozenset[str]


def protection_reason(target: Target, mark: str | None) -> str | None:
    """Return why no scratch database may be created on *target*'s server, None if it may."""
    environment = target.settings.environment
    if environment not in DISPOSABLE:
        return f"the environment is {environment}, so revisions and models do not run on its server"
    if mark is not None and mark not in DISPOSABLE:
        return f"the database is marked {mark}, so revisions and models do not run on its server"
    return None


def read_target_facts(target: Target) -> TargetFacts:
    """Read the facts of *target*, from the database itself if it exists."""
    server = target.server
    with server.target_if_exists() as connection:
        if connection is not None:
            return _facts(connection, server.url.database)
    with server.maintenance() as connection:
        return _facts(connection, server.url.database)


def named_server(target: Target, url: DatabaseUrl) -> Server:
    """Return the server of `DB_OPS_SCRATCH_URL`."""
    service = target.server.url.database
    maintenance = url.database if url.database != service else None
    return _server_at(target, url.with_database(service), maintenance)


def embedded_server(target: Target, major: int, reason: str) -> Server:
    """Return the project's embedded server of version *major*, started if need be.

    Raises `NoScratchDatabase`, saying *reason*, where there is none.
    """
    from db_ops.postgres.embedded import EmbeddedServer

    settings = target.settings
    embedded = EmbeddedServer(settings.embedded_home, major=major, cache=settings.cluster_cache)
    try:
        embedded.ensure(target.server.on_event)
        url = embedded_url(settings, embedded).with_database(target.server.url.database)
    except EmbeddedServerUnavailable:
        reason = f"{reason}, and no PostgreSQL {major} is installed here to run them on"
    except EmbeddedServerFailed as error:
        reason = f"{reason}, and {error.message}"
    else:
        return _server_at(target, url, None)
    remedy = f"set DB_OPS_SCRATCH_URL to a server of PostgreSQL {major} that holds nothing of value"
    raise NoScratchDatabase(target.location, reason, remedy)


def check_allowed_server(target: Target, facts: TargetFacts, connection: Connection) -> None:
    """Refuse a server of another major version, and one that holds a protected database.

    Raises `ScratchServerDiffers`, `NoScratchDatabase`.
    """
    major = major_version(connection)
    if major != facts.major:
        raise ScratchServerDiffers(target.location, facts.major, major)
    reason = protection_reason(target, facts.mark)
    if reason is None:
        return
    name = "DB_OPS_SCRATCH_URL" if target.settings.scratch_url else "the embedded server"
    if not facts.identities.isdisjoint(identities_of(connection)):
        raise NoScratchDatabase(
            target.location, f"{reason}, and {name} is that server or a copy of it", ANOTHER_SERVER
        )
    held = [one for one in all_marks(connection) if one[1] not in DISPOSABLE]
    if held:
        raise NoScratchDatabase(
            target.location,
            f"{name} holds the database {held[0][0]!r}, marked {held[0][1]}",
            ANOTHER_SERVER,
        )


def _server_at(target: Target, url: DatabaseUrl, maintenance: str | None) -> Server:
    server = target.server
    settings = replace(
        server.settings,
        url=url,
        maintenance_database=maintenance,
        application_url=None,
        # That server's roles are others.
        role=None,
        # What is kept there is the target's: development's templates, or none.
        declared_environment=server.settings.environment,
    )
    return Server(url, settings, server.command, server.on_event)


def _facts(connection: Connection, database: str) -> TargetFacts:
    return TargetFacts(
        major_version(connection),
        read_mark(connection, database),
        identities_of(connection),
    )
