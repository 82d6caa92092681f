"""Call the function of the project that makes the schema which its first revision rests on.

It is called in a database that is empty, as a script of the project's would call it: engines that
it makes, and the environment that `alembic stamp` runs, use our connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from db_ops.errors import BootstrapFailed, DbOpsError
from db_ops.migrations.env.engine import connection_over
from db_ops.migrations.env.error_location import SourceLocation, describe_failure
from db_ops.migrations.env.project_function import (
    call_awaiting,
    needed_parameters,
    project_function,
)
from db_ops.migrations.env.runtime import Session, current_session
from db_ops.migrations.env.stamp import stamp_in
from db_ops.migrations.env.step_recorder import StepRecorder, StepRecording
from db_ops.migrations.project import Project
from db_ops.migrations.scripts import source_error_fields

if TYPE_CHECKING:
    from db_ops.migrations.env.runner import Database


def run_bootstrap(project: Project, database: Database, recorder: StepRecorder | None) -> None:
    """Call `project.bootstrap` in the empty *database*, and stamp the revision that it returns.

    A parameter of its own is given the SQLAlchemy connection. What it returns, one revision or
    several as Alembic names them, is what its schema is at; None leaves that to the function, and
    what it has not stamped is migrated from the beginning. Raises `BootstrapFailed`.
    """
    from db_ops.migrations.env.runner import choose_connection
    from db_ops.migrations.foreign_env.adoption import env_py_adoption
    from db_ops.migrations.foreign_env.sandbox import env_py_sandbox, outside_event_loop

    with closing(database.open()) as driver, connection_over(driver) as connection:
        recording = StepRecording(recorder) if recorder else None
        session = Session(connection, recording=recording, bootstraps=True, is_known=True)
        choose_connection(project, database, session)
        token = current_session.set(session)
        try:
            with env_py_adoption(session), env_py_sandbox(project):
                returned: list[Any] = []
                outside_event_loop(lambda: returned.append(_call(project, connection)))
                # What was done behind SQLAlchemy's back is done too.
                connection.commit()
                driver.commit()
                if returned[0] is not None:
                    _stamp(project, session, returned[0])
        except (DbOpsError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise _failure(project, error) from error
        finally:
            current_session.reset(token)
        if recording is not None:
            recording.begin()


def _call(project: Project, connection: Any) -> Any:
    assert project.bootstrap is not None
    function = project_function(project.bootstrap)
    return call_awaiting(function, *((connection,) if needed_parameters(function) else ()))


def _stamp(project: Project, session: Session, returned: Any) -> None:
    names = [returned] if isinstance(returned, str) else returned
    if not isinstance(names, Iterable) or not all(isinstance(one, str) for one in names):
        raise TypeError(f"it returned {returned!r}, which is no revision")
    stamp_in(session, project, list(names))


def _failure(project: Project, error: BaseException) -> BootstrapFailed:
    configured = SourceLocation(project.pyproject)
    fields = source_error_fields(project, error, configured)
    if isinstance(error, ImportError | AttributeError | TypeError) and not fields["line"]:
        fields["reason"] = f"{project.bootstrap}: {describe_failure(error)}"
    return BootstrapFailed(**fields)
