"""Write one revision from the difference between models and database, or no file."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from db_ops.errors import GeneratedFileBroken
from db_ops.migrations.describe import describe
from db_ops.migrations.environment import Session, connection_over
from db_ops.migrations.project import Project
from db_ops.migrations.runner import Database, blame
from db_ops.migrations.scripts import describe_failure, load_scripts
from db_ops.results import Revision

if TYPE_CHECKING:
    from alembic.operations import MigrationScript


def write_revision(
    project: Project, database: Database, message: str, head: str = "head"
) -> tuple[Revision | None, tuple[str, ...]]:
    """Write a revision file for what the models have and the database has not.

    The database must be at head. Returns the revision and its operations in words; None, and no
    file, if nothing changed. Raises `GeneratedFileBroken` after removing a file that does not
    import, `EmptyMetadata`, `EnvironmentBroken`.
    """
    from alembic import command

    from db_ops.migrations.learning import their_way

    def keep_changes(context: object, revision: object, directives: list[MigrationScript]) -> None:
        if all(changes.is_empty() for script in directives for changes in script.upgrade_ops_list):
            directives.clear()

    load_scripts(project)
    before = _files(project)
    with closing(database.open(read_only=True)) as driver, connection_over(driver) as connection:
        session = Session(connection, looks=True)
        config = project.alembic_config(db_ops=session)
        try:
            with their_way(project, session, config):
                written = command.revision(
                    config,
                    message=_as_docstring(message),
                    autogenerate=True,
                    head=head,
                    process_revision_directives=keep_changes,
                )
        except Exception as error:
            # Alembic imports what it wrote, but leaves it there when that fails.
            broken = _files(project) - before
            if broken:
                raise _removed(project, broken, error) from error
            raise blame(project, database, session, error) from error
    if not session.diffs or written is None or isinstance(written, list):
        return None, ()
    revision = Revision(written.revision, message, project.display(written.path))
    return revision, tuple(dict.fromkeys(map(describe, session.diffs)))


def _removed(project: Project, broken: set[Path], error: Exception) -> GeneratedFileBroken:
    for path in broken:
        path.unlink()
    newest = max(broken)
    return GeneratedFileBroken(project.display(newest), describe_failure(error, newest))


def _files(project: Project) -> set[Path]:
    return {path for folder in project.version_locations for path in folder.glob("*.py")}


def _as_docstring(message: str) -> str:
    """Escape *message* for the docstring of a revision file."""
    return message.replace("\\", "\\\\").replace('"', '\\"')
