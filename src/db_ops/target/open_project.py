"""Read the project that settings name, with the database that its env.py connects to."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from db_ops.errors import TwoDatabases, UrlNotFound
from db_ops.errors.quote_ident import quote_ident
from db_ops.frozen_data import replace
from db_ops.migrations.env.env_source import running_with
from db_ops.migrations.project import Project, project_of, with_settings
from db_ops.settings import DatabaseUrl, Settings

if TYPE_CHECKING:
    from db_ops.migrations.foreign_env.inspection import EnvInspection
    from db_ops.target.target import Target

# What a run over many databases of a project has read of it already.
shared: ContextVar[Target | None] = ContextVar("shared", default=None)


def open_project(settings: Settings) -> tuple[Settings, Project]:
    """Read the project; where its env.py is not of `db_ops`, or computes where its version
    table is, learn from it what it does.

    Returns the settings with the database that is meant. Contacts no server. Raises what
    `read_project` and `inspect_env_py` raise, and `TwoDatabases` if env.py connects to another
    database than a `DATABASE_URL` that the project has not asked for.
    """
    base = shared.get()
    if base is not None and base.project.is_same_for_all:
        settings = _in_schema(settings)
        return settings, with_settings(base.project, settings)
    settings, project = _open_project(settings)
    if settings.database_per_branch:
        from db_ops.settings.branch_database import on_branch

        settings = on_branch(settings)
    return settings, project


def _open_project(settings: Settings) -> tuple[Settings, Project]:
    project = project_of(settings)
    settings = read_url_from(settings, project)
    project = with_answers(project, settings)
    running = running_with.get()
    if project.is_ours and running is not None:
        schema, table = running
        return settings, replace(project, version_table=table, version_table_schema=schema)
    if project.is_same_for_all:
        there = _in_schema(settings)
        return there, project if there is settings else with_settings(project, there)
    is_known = settings.url is not None or settings.embedded or project.is_ours
    # A disagreement is told each time.
    inspection = _learn(project, settings, is_known=is_known, check=not project.is_ours)
    if settings.schema is not None:
        from db_ops.target.member_schema import check_meant

        check_meant(settings, project, inspection)
    if project.is_ours:
        return settings, inspection.applied_to(project)
    return apply_inspection(settings, project, inspection), inspection.applied_to(project)


def _in_schema(settings: Settings) -> Settings:
    """Return settings that choose the schema that is meant, for an env.py that has no say in it."""
    if settings.schema is None or settings.version_table_schema is not None:
        return settings
    assert settings.url is not None
    url = settings.url.with_option("search_path", quote_ident(settings.schema))
    return replace(settings, url=url, version_table_schema=settings.schema)


def open_revisions(settings: Settings) -> Project:
    """Read the project as far as its revision files go, for which no database need be known."""
    project = project_of(settings)
    if project.is_ours:
        return project
    project = with_answers(project, settings)
    inspection = _learn(project, settings, is_known=True)
    return inspection.applied_to(project)


def with_answers(project: Project, settings: Settings) -> Project:
    """Return *project* with a way to answer an env.py that asks the database something."""
    if project.is_ours:
        return project
    from db_ops.target.env_answers import EnvAnswers

    return replace(project, answers=EnvAnswers(settings))


def read_url_from(settings: Settings, project: Project) -> Settings:
    """Return *settings* with the URL from where the project says that it is, if it says so.

    Raises `UrlNotFound`, and what `DatabaseUrl.parse` raises.
    """
    if settings.url is not None and not settings.lacks_application_url:
        return settings
    if settings.url_from is not None:
        from db_ops.migrations.foreign_env.url_from import url_from

        named = settings.url_from
        return _with_url(settings, url_from(project, named), f"{named}, by [tool.db_ops] url_from")
    if settings.url is None and settings.url_env is not None and not project.is_ours:
        raise UrlNotFound(settings.url_env, "it is not set")
    return settings


def _with_url(settings: Settings, url: DatabaseUrl, source: str) -> Settings:
    """Return *settings* with the URL of the application, which may be that for migrations too."""
    if settings.lacks_application_url:
        sources = {**settings.sources, "application_url": source}
        return replace(settings, application_url=url, sources=sources)
    return replace(settings, url=url, sources={**settings.sources, "url": source})


def _learn(
    project: Project, settings: Settings, *, is_known: bool, check: bool = False
) -> EnvInspection:
    # An env.py of ours need not pay for these.
    from db_ops.migrations.build_inputs import BuildInputs
    from db_ops.migrations.foreign_env.inspection import inspect_env_py
    from db_ops.migrations.foreign_env.inspection_cache import InspectionCache

    cache = InspectionCache(project, settings.cache_folder, is_known)
    kept = cache.read()
    if kept is not None:
        return kept
    with BuildInputs(project, settings.cache_folder).recording() as used:
        inspection = inspect_env_py(project, is_known=is_known)
    if check:
        # What contradicts the settings is not kept.
        apply_inspection(settings, project, inspection)
    if not inspection.depends or inspection.answered_by == _location(settings, inspection):
        # An empty database answers only while there is no other one.
        cache.write(inspection, used)
    return inspection


def _location(settings: Settings, inspection: EnvInspection) -> str | None:
    url = settings.url or inspection.url
    return url.location if url is not None else None


def apply_inspection(settings: Settings, project: Project, inspection: EnvInspection) -> Settings:
    """Return *settings* with the database that env.py connects to. Raises `TwoDatabases`."""
    url = settings.url
    lacks_any = url is None and not settings.embedded
    if lacks_any or (settings.lacks_application_url and inspection.url is not None):
        assert inspection.url is not None
        source = project.display(project.env_py)
        settings = _with_url(settings, replace(inspection.url, source=source), source)
    elif (
        url is not None
        and inspection.url is not None
        and not _is_asked_for(settings)
        and not _are_one(settings, url, inspection.url)
    ):
        path = project.display(project.env_py)
        raise TwoDatabases(path, inspection.url.location, url.location)
    if settings.url is not None and inspection.search_path is not None:
        url = settings.url.with_option("search_path", inspection.search_path)
        settings = replace(settings, url=url)
    return settings


def _are_one(settings: Settings, url: DatabaseUrl, other: DatabaseUrl) -> bool:
    """Tell whether both are one database; env.py may ask for that of the branch."""
    if url.is_same_database(other) or not settings.database_per_branch:
        return url.is_same_database(other)
    from db_ops.settings.branch_database import url_on_branch

    return url_on_branch(settings, url).is_same_database(url_on_branch(settings, other))


def _is_asked_for(settings: Settings) -> bool:
    """Tell whether the project, or the caller, has named this URL, and not only a shell has."""
    from_default = settings.sources.get("url", "").startswith("DATABASE_URL")
    return settings.url_env is not None or not from_default
