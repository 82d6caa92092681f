"""Alembic's own view of the revision files, which it gets by importing them."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from db_ops.errors import RevisionFileBroken
from db_ops.errors.masking import mask_credentials
from db_ops.migrations.project import Project

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

_UNSETTLED = 2.0  # seconds


def load_scripts(project: Project, config: Config | None = None) -> ScriptDirectory:
    """Import every revision file. Raises `RevisionFileBroken`, naming the file and the line."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(config or project.alembic_config())
    try:
        with keeping_bytecode(project.revision_folders):
            scripts.get_heads()
    except Exception as error:
        path = _culprit(error, project.revision_folders) or project.version_locations[0]
        raise RevisionFileBroken(project.display(path), describe_failure(error, path)) from error
    return scripts


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


def describe_failure(error: BaseException, path: Path | None = None) -> str:
    """Say in one line what failed, with the line of *path* where it did."""
    first = str(error).strip().splitlines()[:1]
    # What failed may be somebody's reading of a URL.
    text = mask_credentials(first[0]) if first else ""
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if path is not None and Path(frame.filename) == path
    ]
    if isinstance(error, SyntaxError):
        said, lines = str(error.msg), [error.lineno]
    return f"line {lines[-1]}: {said}" if lines and lines[-1] else said


@contextmanager
def keeping_bytecode(folders: tuple[Path, ...]) -> Iterator[None]:
    """Let Python keep what it compiles in `__pycache__`, as under the plain `alembic` command.

    The user's `-B` or `PYTHONDONTWRITEBYTECODE` counts. Nothing is kept while a file is new: Python
    tells a stale copy by size and whole second.
    """
    before = sys.dont_write_bytecode
    newest = max(
        (file.stat().st_mtime for path in folders for file in path.glob("*.py")), default=0
    )
    unsettled = newest > time.time() - _UNSETTLED
    sys.dont_write_bytecode = unsettled or bool(sys.flags.dont_write_bytecode)
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _culprit(error: Exception, folders: tuple[Path, ...]) -> Path | None:
    named = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        named.append(Path(error.filename))
    inside = [path for path in named if path.parent in folders]
    return inside[-1] if inside else None
