"""Load the revision files with Alembic's `ScriptDirectory`, which imports them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db_ops.errors import EnvironmentBroken, RevisionFileBroken
from db_ops.migrations.env.error_location import (
    SourceLocation,
    describe_failure,
    innermost_location,
    source_locations,
)
from db_ops.migrations.project import Project
from db_ops.migrations.revisions.index import UNSETTLED_NS, revision_files

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory


def load_scripts(project: Project, config: Config | None = None) -> ScriptDirectory:
    """Import every revision file. Raises `RevisionFileBroken`, naming the file and the line."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(config or project.alembic_config())
    try:
        with write_bytecode(project):
            scripts.get_heads()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise broken_revision_file(project, error) from error
    return scripts


def broken_revision_file(project: Project, error: BaseException) -> RevisionFileBroken:
    """Return the typed error for what a revision file, or what it imports, has raised."""
    fallback = SourceLocation(project.version_locations[0])
    return RevisionFileBroken(
        **source_error_fields(project, error, fallback, project.version_locations)
    )


def broken_environment(project: Project, error: BaseException) -> EnvironmentBroken:
    """Return the typed error for what env.py, or a module that it imports, has raised."""
    return EnvironmentBroken(
        **source_error_fields(project, error, SourceLocation(project.env_py), (project.env_py,)),
        **_unsearched_module(project, error),
    )


def _unsearched_module(project: Project, error: BaseException) -> dict[str, Any]:
    """Return where a module that was not found is, and what lets Python look there."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    ini = project.alembic_ini
    if not name or "." in name or ini.suffix != ".ini":
        return {}
    for folder in (project.root, project.root / "src"):
        for path in (folder / f"{name}.py", folder / name):
            if path.exists():
                here = Path("%(here)s") / os.path.relpath(folder, ini.parent)
                put = f"put prepend_sys_path = {here} below [{project.section}]"
                said = f"add {here} to prepend_sys_path" if project.import_paths else put
                remedy = f"{said} in {project.display(ini)}"
                return {"unsearched": project.display(path), "remedy": remedy}
    return {}


def source_error_fields(
    project: Project, error: BaseException, fallback: SourceLocation, within: tuple[Path, ...] = ()
) -> dict[str, Any]:
    """Return the fields of a `SourceError`: the innermost line of the project's own, and the rest.

    Of the other lines of the traceback, only the last one in *within* is named: the import of the
    file that failed.
    """
    found = source_locations(error)
    place = found[-1] if found else fallback
    by = innermost_location(error, within) if within else None
    is_other = by is not None and by.path != place.path
    return {
        "path": project.display(place.path),
        "reason": describe_failure(error),
        "line": place.line,
        "code": place.code,
        "imported_by": f"{project.display(by.path)}:{by.line}" if by and is_other else "",
    }


def import_alembic() -> None:
    """Import what a comparison needs of Alembic and SQLAlchemy, which takes half a second."""
    # Mako, which writes revision files, imports Pygments to colour error pages in HTML: a tenth of
    # it all, and nobody here sees such a page. It does without where that cannot be imported.
    colours = "mako.ext.pygmentplugin"
    without = colours not in sys.modules
    if without:
        sys.modules[colours] = None  # type: ignore[assignment]  # how Python spells "not there"
    try:
        import alembic.autogenerate
        import alembic.command  # noqa: F401
        import sqlalchemy.dialects.postgresql.psycopg2  # noqa: F401
    finally:
        if without:
            del sys.modules[colours]


@contextmanager
def write_bytecode(project: Project) -> Iterator[None]:
    """Let Python keep what it compiles in `__pycache__`, as under the plain `alembic` command.

    The user's `-B` or `PYTHONDONTWRITEBYTECODE` counts. Nothing is kept while a file is new: Python
    tells a stale copy by size and whole second.
    """
    newest = max((modified for _, modified in revision_files(project).values()), default=0)
    unsettled = newest > time.time_ns() - UNSETTLED_NS
    with _bytecode_is_written(not unsettled and not sys.flags.dont_write_bytecode):
        yield


def without_bytecode() -> AbstractContextManager[None]:
    """Keep nothing that Python compiles: for a revision file that is being written."""
    return _bytecode_is_written(False)


@contextmanager
def _bytecode_is_written(written: bool) -> Iterator[None]:
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = not written
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
