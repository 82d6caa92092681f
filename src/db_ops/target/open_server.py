"""Open the server that settings name, which may be the embedded one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db_ops.errors import MissingDatabaseUrl
from db_ops.postgres.connection.server import Server
from db_ops.results import OnEvent
from db_ops.settings import DatabaseUrl, Settings
from db_ops.settings.url import EMBEDDED_LABEL
from db_ops.target.open_project import open_project

if TYPE_CHECKING:
    from db_ops.postgres.embedded import EmbeddedServer


def open_server(settings: Settings, command: str, on_event: OnEvent) -> Server:
    """Return the server that *settings* name; an embedded one is started.

    A server of somebody else's is not contacted yet.
    """
    return server_of(open_project(settings)[0], command, on_event)


def server_of(settings: Settings, command: str, on_event: OnEvent) -> Server:
    """Do what `open_server` does, for settings that name their database."""
    url = settings.url
    if url is None:
        if not settings.is_disposable:
            raise MissingDatabaseUrl(settings.environment_for_people)
        from db_ops.postgres.embedded import EmbeddedServer

        embedded = EmbeddedServer(settings.embedded_home, cache=settings.cluster_cache)
        embedded.ensure(on_event)
        url = embedded_url(settings, embedded)
    return Server(url, settings, command, on_event)


def embedded_url(settings: Settings, embedded: EmbeddedServer) -> DatabaseUrl:
    """Return the URL of the project's database on its running embedded server."""
    # Empty, or libpq would let PGHOSTADDR win over the socket.
    parameters = {**embedded.connection_parameters(), "hostaddr": "", "dbname": settings.database}
    return DatabaseUrl(parameters, EMBEDDED_LABEL)
