"""Why Alembic could not write a revision file: its template, its name, its date, or its folder."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from db_ops.errors import RevisionNotWritten
from db_ops.migrations.env.error_location import describe_failure
from db_ops.migrations.project import Project

_TEMPLATE = "script.py.mako"
_AGAIN = "then run the same command again"


class PlaceholderMissing(ValueError):
    """The template has no place for a part of the revision, which is the argument."""


def check_template(project: Project) -> None:
    """Refuse a project whose new files could not be written, or would not be read afterwards.

    Raises `RevisionNotWritten`.
    """
    template = project.script_location / _TEMPLATE
    if not template.exists():
        raise RevisionNotWritten(
            project.display(template),
            "there is no such file",
            f"put it back, as `alembic init` writes it, {_AGAIN}",
        )
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(project.alembic_config())
    if "/" in scripts.file_template and not scripts.recursive_version_locations:
        configured = project.display(project.alembic_ini)
        raise RevisionNotWritten(
            configured,
            "file_template puts it into a folder in which no revision is looked for",
            f"set recursive_version_locations = true in {configured}, {_AGAIN}",
        )


def revision_not_written(project: Project, error: BaseException) -> RevisionNotWritten:
    """Return the typed error for what Alembic raised before there was a file."""
    check_template(project)
    configured = project.display(project.alembic_ini)
    reached = {frame.name for frame in traceback.extract_tb(error.__traceback__)}
    template = project.script_location / _TEMPLATE
    if isinstance(error, PlaceholderMissing):
        return RevisionNotWritten(
            project.display(template),
            f"it has no {error}",
            f"put {error} back, as `alembic init` writes it, {_AGAIN}",
        )
    if isinstance(error, OSError):
        path = Path(str(error.filename)) if error.filename else project.version_locations[0]
        return RevisionNotWritten(
            project.display(path),
            error.strerror or describe_failure(error),
            f"let this user write to {project.display(path.parent)}, {_AGAIN}",
        )
    if "_generate_create_date" in reached:
        return RevisionNotWritten(
            configured,
            f"timezone: {_said(error)}",
            f"name one as Python's zoneinfo does (UTC, Europe/Berlin) in {configured}, {_AGAIN}",
        )
    if "_rev_path" in reached:
        return RevisionNotWritten(
            configured,
            f"file_template: {describe_failure(error)}",
            f"correct it in {configured}: it takes %(rev)s, %(slug)s, %(year)d, %(month).2d, "
            f"%(day).2d, %(hour).2d, %(minute).2d, %(second).2d and %(epoch)s; {_AGAIN}",
        )
    if "template_to_file" in reached:
        return _of_template(project, template, error)
    return RevisionNotWritten(configured, _said(error), f"correct {configured}, {_AGAIN}")


def folder_not_read(project: Project, path: Path) -> RevisionNotWritten:
    """Return the typed error for a revision that Alembic would write and never find again."""
    return RevisionNotWritten(
        project.display(path),
        "by file_template it lies in a folder in which Alembic looks for no revisions",
        f"set recursive_version_locations = true in {project.display(project.alembic_ini)}, or take"
        f" the folders out of file_template, {_AGAIN}",
    )


def _of_template(project: Project, template: Path, error: BaseException) -> RevisionNotWritten:
    # Alembic hides what Mako said behind the name of a file that it has written it to.
    said: Any = error.__context__ or error
    line = getattr(said, "lineno", None)
    place = f"{project.display(template)}:{line}" if line else project.display(template)
    reason = describe_failure(said)
    return RevisionNotWritten(place, reason, f"correct {project.display(template)}, {_AGAIN}")


def _said(error: BaseException) -> str:
    return describe_failure(error).removeprefix("CommandError: ")
