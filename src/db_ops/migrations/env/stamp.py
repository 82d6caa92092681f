"""Record revisions without running them, through the project's own env.py."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from db_ops.errors import DbOpsError
from db_ops.migrations.env.engine import connection_over
from db_ops.migrations.env.failures import explain_statement
from db_ops.migrations.env.runner import choose_connection
from db_ops.migrations.env.runtime import Session
from db_ops.migrations.env.step_recorder import StepRecorder, StepRecording
from db_ops.migrations.project import Project
from db_ops.migrations.scripts import broken_environment

if TYPE_CHECKING:
    from db_ops.migrations.env.runner import Database


def stamp(
    project: Project,
    database: Database,
    revisions: Sequence[str],
    *,
    recorder: StepRecorder | None = None,
    purge: bool = False,
) -> None:
    """Do in *database* what `alembic stamp` does; with *purge*, forget first what is recorded.

    Raises `EnvironmentBroken`, `StatementFailed`, `AlembicFailed`, `ConnectionLost`.
    """
    from db_ops.migrations.foreign_env.inspection import env_py_context
    from db_ops.migrations.foreign_env.sandbox import call_where_env_py_runs

    with closing(database.open()) as driver, connection_over(driver) as connection:
        recording = StepRecording(recorder) if recorder else None
        session = Session(connection, recording=recording, is_known=True)
        if not project.is_ours:
            choose_connection(project, database, session)
        config = project.alembic_config(db_ops=session)
        try:
            with env_py_context(project, session, config):
                call_where_env_py_runs(
                    project, lambda: stamp_in(session, project, revisions, purge=purge)
                )
        except (DbOpsError, KeyboardInterrupt):
            raise
        except BaseException as error:
            if not session.reached:
                raise broken_environment(project, error) from error
            raise explain_statement(database, "recording revisions", error) from error
        if recording is not None:
            recording.begin()


def stamp_in(
    session: Session, project: Project, revisions: Sequence[str], *, purge: bool = False
) -> None:
    """Do what `alembic stamp` does, in a *session* whose environment is entered already."""
    from alembic import command

    from db_ops.migrations.foreign_env.inspection import set_placeholder_url

    typed = {"revisions": list(revisions), "sql": False, "tag": None, "purge": purge}
    config = project.alembic_config("stamp", typed, db_ops=session)
    if not project.is_ours:
        set_placeholder_url(config, project, is_known=True)
    command.stamp(config, list(revisions), purge=purge)
