"""Run env.py with an `EnvironmentContext` of Alembic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from db_ops.errors import DbOpsError
from db_ops.migrations.autogenerate.incomplete_models import import_models
from db_ops.migrations.autogenerate.scope import AutogenerateScope
from db_ops.migrations.env.runtime import Plan, Session
from db_ops.migrations.project import Project
from db_ops.migrations.scripts import broken_environment

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory


def display_version(heads: Any, context: Any) -> list[Any]:
    """Plan no step, under the name of the function of `alembic current`, by which env.py goes."""
    return []


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
    run_env(project, scripts, session, display_version, as_sql=True)
    return session.metadata, session.scope


def run_env(
    project: Project,
    scripts: ScriptDirectory,
    session: Session,
    work: Plan,
    *,
    as_sql: bool = False,
) -> None:
    """Run env.py; *work* plans the steps. Raises `EnvironmentBroken`, and what revisions raise."""
    config = project.alembic_config(*session.typed, db_ops=session)
    if as_sql:
        config.output_buffer = config.stdout
    options = {
        "as_sql": as_sql,
        "starting_rev": None,
        "destination_rev": session.destination,
        "tag": None,
    }
    try:
        if not project.is_ours:
            from db_ops.migrations.foreign_env.inspection import run_foreign_env_py

            run_foreign_env_py(project, config, session, scripts, work, **options)
            if session.recording is not None:
                session.recording.begin()
            return
        import_models(project)
        with environment_context(config, scripts, session, work, **options):
            scripts.run_env()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if session.reached or isinstance(error, DbOpsError):
            raise
        raise broken_environment(project, error) from error


def environment_context(
    config: Config, scripts: ScriptDirectory, session: Session, plan: Plan, **options: Any
) -> EnvironmentContext:
    """Return the environment of a command of Alembic, which reports the steps of *session*."""
    from alembic.runtime.environment import EnvironmentContext

    environment = EnvironmentContext(config, scripts, fn=plan, **options)
    configure = environment.configure

    def configure_and_report(*arguments: Any, **options: Any) -> None:
        configure(*arguments, **options)
        migration = environment.get_context()
        if session.reported is not None:
            # Whatever env.py has made of Alembic's function, which it may also have called.
            migration._migrations_fn = session.reported(cast("Plan", migration._migrations_fn))

    setattr(environment, "configure", configure_and_report)  # noqa: B010  # a method
    return environment
