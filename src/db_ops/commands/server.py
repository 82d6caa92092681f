"""Start and stop the embedded server; print the URL of the database."""

from __future__ import annotations

from db_ops.errors import UsageError
from db_ops.postgres.embedded import EmbeddedServer
from db_ops.results import ConnectionUrl, OnEvent, ServerStarted, ServerStopped, ignore
from db_ops.settings import DatabaseUrl, Settings
from db_ops.settings.branch_database import on_branch
from db_ops.target.open_project import open_project
from db_ops.target.open_server import embedded_url, server_of


def start(settings: Settings, *, on_event: OnEvent = ignore) -> ServerStarted:
    """Start the project's embedded server, creating it first if there is none. Idempotent.

    It outlives the command. Raises `UsageError` if the project's URL names another server,
    `EmbeddedServerUnavailable`, `EmbeddedServerFailed`, `EmbeddedServerBusy`.
    """
    _embedded(settings, "start")
    settings = open_project(settings)[0]
    url = settings.url
    if url is not None:
        raise _not_ours(url, "start", f"start it yourself: {url.source} names it")
    embedded = EmbeddedServer(settings.embedded_home, cache=settings.cluster_cache)
    started = embedded.ensure(on_event)
    location = embedded_url(settings, embedded).location
    return ServerStarted(location, str(embedded.directory), started)


def stop(settings: Settings, *, on_event: OnEvent = ignore) -> ServerStopped:
    """Stop the project's embedded server, ending every session; the data stays. Idempotent."""
    embedded = _embedded(settings, "stop")
    stopped = embedded.stop()
    return ServerStopped("embedded", str(embedded.directory), stopped)


def url(
    settings: Settings, *, with_password: bool = False, on_event: OnEvent = ignore
) -> ConnectionUrl:
    """Return the URL for psql and the application; without its password unless asked for.

    Starts the embedded server if it is the one, so that the URL works. No other is contacted.
    """
    server = server_of(open_project(settings)[0].of_application(), "url", on_event)
    return ConnectionUrl(server.location, server.url.render(with_password=with_password))


def _embedded(settings: Settings, command: str) -> EmbeddedServer:
    url = settings.url
    if url is not None:
        raise _not_ours(url, command, f"unset {url.source} to use the embedded server")
    if settings.database_per_branch:
        settings = on_branch(settings)
    return EmbeddedServer(settings.embedded_home)


def _not_ours(url: DatabaseUrl, command: str, hint: str) -> UsageError:
    what = f"{url.server}: is not the embedded server, so not ours to {command}"
    return UsageError(what, hint)
