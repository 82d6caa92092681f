"""Run env.py with an `EnvironmentContext` of Alembic."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from db_ops.errors import DbOpsError
from db_ops.migrations.autogenerate.incomplete_models import import_models
from db_ops.migrations.autogenerate.scope import AutogenerateScope
from db_ops.migrations.env.runtime import Session
from db_ops.migrations.project import Project
from db_ops.migrations.scripts import broken_environment

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationStep
    from alembic.script import ScriptDirectory


def load_metadata(project: Project, scripts: ScriptDirectory) -> Any:
    """Run env.py without a database, to see that a build can begin; return its metadata.

    Raises `EnvironmentBroken`.
    """
    return load_models(project, scripts)[0]


def load_models(project: Project, scripts: ScriptDirectory) -> tuple[Any, AutogenerateScope]:
    """Return the metadata as `load_metadata` does, and how env.py narrows a comparison."""
    if not project.is_ours:
        from db_ops.migrations.foreign_env.inspection import inspect_env_py

        inspection = inspect_env_py(project, is_known=True)
        return inspection.metadata, inspection.scope
    session = Session()
    run_env(project, scripts, session, lambda heads, context: [], as_sql=True)
    return session.metadata, session.scope


def run_env(
    project: Project,
    scripts: ScriptDirectory,
    session: Session,
    work: Callable[[Any, Any], Iterable[MigrationStep]],
    **options: Any,
) -> None:
    """Run env.py; *work* plans the steps. Raises `EnvironmentBroken`, and what revisions raise."""
    from alembic.runtime.environment import EnvironmentContext

    config = project.alembic_config(*session.typed, db_ops=session)
    try:
        if not project.is_ours:
            from db_ops.migrations.foreign_env.inspection import run_foreign_env_py

            run_foreign_env_py(project, config, session, scripts, work, **options)
            if session.recording is not None:
                session.recording.begin()
            return
        import_models(project)
        options["destination_rev"] = session.destination
        with EnvironmentContext(config, scripts, fn=work, **options):
            scripts.run_env()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if session.reached or isinstance(error, DbOpsError):
            raise
        raise broken_environment(project, error) from error
