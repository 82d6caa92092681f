"""Open the project of a fleet: as one of its members, where env.py asks for one."""

from __future__ import annotations

import re

from db_ops.errors import EnvironmentBroken, EnvNotTold, SeveralDatabases, UnknownDatabase
from db_ops.errors.base import place_name
from db_ops.migrations.env.tenant_names import how_to_tell
from db_ops.migrations.project import Project, project_of
from db_ops.migrations.revisions.reader import read_graph
from db_ops.postgres.connection.server import Server
from db_ops.results import OnEvent
from db_ops.settings import Settings
from db_ops.target.fleet_members import Member, fleet_of
from db_ops.target.open_project import open_project, read_url_from
from db_ops.target.open_server import server_of
from db_ops.target.target import Target

_URL = "set DATABASE_URL to a database of the server that the fleet is on, then run this again"
# What is wrong with the code, whatever it is told.
_CODE = re.compile(r"(?:ModuleNotFound|Import|Syntax|Indentation|Tab|Name)Error\b")
_VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b")


def is_told(settings: Settings) -> bool:
    """Tell whether env.py is told, for each member, which one is meant."""
    fleet = fleet_of(settings)
    return bool(fleet.x or fleet.environment)


def open_server_of(settings: Settings, command: str, on_event: OnEvent) -> tuple[Server, Project]:
    """Return the server of the service's own database, and the project, as no member.

    env.py is asked only where nothing else names the database. Raises what `open_project` raises,
    `EnvNotTold` where it has to be told of one.
    """
    project = project_of(settings)
    if project.is_ours:
        settings, project = open_project(settings)
        return server_of(settings, command, on_event), project
    settings = read_url_from(settings, project)
    if settings.url is None and not settings.embedded:
        try:
            settings = open_project(settings)[0]
        except (EnvironmentBroken, SeveralDatabases, UnknownDatabase) as error:
            raise _not_told(settings, project, error, _URL) from error
    return server_of(settings, command, on_event), project


def opened_as(server: Server, project: Project, member: Member | None) -> Target:
    """Return the service's own target, with the project as env.py has it for *member*.

    Raises what `open_target` raises, and `EnvNotTold`.
    """
    settings = server.settings
    if not project.is_same_for_all and member is not None:
        settings = member.settings(settings, server.url)
    try:
        project = open_project(settings)[1]
    except (EnvironmentBroken, SeveralDatabases, UnknownDatabase) as error:
        if project.is_ours or is_told(server.settings):
            raise
        raise _not_told(settings, project, error) from error
    return Target(project, read_graph(project, settings.cache_folder), server)


def _not_told(
    settings: Settings,
    project: Project,
    error: EnvironmentBroken | SeveralDatabases | UnknownDatabase,
    remedy: str | None = None,
) -> EnvNotTold | EnvironmentBroken | SeveralDatabases | UnknownDatabase:
    """Return the error for an env.py that failed for want of a member, else *error*."""
    line = error.line if isinstance(error, EnvironmentBroken) else None
    reason = "it connects to several databases"
    if not isinstance(error, SeveralDatabases):
        reason = error.reason
        if _CODE.match(reason) or not (is_told(settings) or _asks(project, error.reason)):
            return error
    source = project.env_py.read_text(errors="replace")
    remedy = remedy or f"tell env.py which one it is run for: {how_to_tell(source, reason)}"
    return EnvNotTold(place_name(error.path, line), reason, remedy)


def _asks(project: Project, reason: str) -> bool:
    """Tell whether env.py seems to have failed for want of a variable or an argument."""
    source = project.env_py.read_text(errors="replace")
    asks = any(one in source for one in ("get_x_argument", "config.attributes"))
    return asks or bool(_VARIABLE.search(reason))
