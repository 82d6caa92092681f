"""Record revisions without running them, through the project's own env.py."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from db_ops.migrations.env.runtime import Session, connection_over
from db_ops.migrations.project import Project

if TYPE_CHECKING:
    from db_ops.migrations.env.runner import Database


def stamp(project: Project, database: Database, revisions: Sequence[str]) -> None:
    """Do in *database* what `alembic stamp` does. Raises what env.py raises."""
    from db_ops.migrations.foreign_env.inspection import env_py_context
    from db_ops.migrations.foreign_env.sandbox import call_where_env_py_runs

    with closing(database.open()) as driver, connection_over(driver) as connection:
        session = Session(connection, is_known=True)
        config = project.alembic_config(db_ops=session)
        with env_py_context(project, session, config):
            call_where_env_py_runs(project, lambda: stamp_in(session, project, revisions))


def stamp_in(session: Session, project: Project, revisions: Sequence[str]) -> None:
    """Do what `alembic stamp` does, in a *session* whose environment is entered already."""
    from alembic import command

    command.stamp(project.alembic_config(db_ops=session), list(revisions))
