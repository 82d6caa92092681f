"""The environment that an env.py expects: folder, import paths, logging, Flask application."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir, contextmanager, redirect_stdout
from importlib import import_module
from typing import TYPE_CHECKING, Any

from db_ops.errors import EnvironmentBroken
from db_ops.migrations.autogenerate.incomplete_models import import_models
from db_ops.migrations.env.error_location import SourceLocation
from db_ops.migrations.scripts import source_error_fields
from db_ops.settings.environment import variables

if TYPE_CHECKING:
    from db_ops.migrations.project import Project

# By root and name.
_applications: dict[tuple[str, str | None], Any] = {}
_NEEDS_FLASK = b"current_app"
_NEEDS_WORKER = b"from_thread"
_WORKER_THREAD = "AnyIO worker thread"


@contextmanager
def env_py_sandbox(project: Project) -> Iterator[None]:
    """Set up, for a `with` block, what the plain command has: folder, import paths, Flask's app.

    Standard output is kept for results, and logging as it is: `fileConfig`, which most env.py call,
    would switch the application's loggers off and Alembic's on.
    """
    with ExitStack() as stack:
        stack.enter_context(chdir(project.root))
        stack.enter_context(redirect_stdout(sys.stderr))
        stack.enter_context(_logging_kept())
        project.make_importable()
        if _NEEDS_FLASK in project.env_py.read_bytes():
            stack.enter_context(_flask_application(project))
        import_models(project)
        yield


def call_where_env_py_runs(project: Project, function: Callable[[], None]) -> None:
    """Call *function*, which runs env.py, where that has to run.

    In this thread, unless an event loop runs in it: env.py may start one. An env.py that hands its
    work to the event loop of AnyIO gets what it has in an application that calls Alembic from
    there: one of AnyIO's worker threads.
    """
    if project.is_ours:
        function()
        return
    needs_worker = _NEEDS_WORKER in project.env_py.read_bytes()
    if not needs_worker:
        try:
            outside_event_loop(function)
            return
        except RuntimeError as error:
            # Said by AnyIO before anything of the function's has run.
            if _WORKER_THREAD not in str(error):
                raise

    def in_worker() -> None:
        # Who gets here has it, and needs it.
        anyio, to_thread = map(import_module, ("anyio", "anyio.to_thread"))
        anyio.run(to_thread.run_sync, function)

    outside_event_loop(in_worker)


def outside_event_loop(function: Callable[[], None]) -> None:
    """Call *function* where it may start an event loop: another thread, if one runs in this one."""
    import asyncio
    import threading

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        function()
        return
    failed: list[BaseException] = []

    def call() -> None:
        try:
            function()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


@contextmanager
def _logging_kept() -> Iterator[None]:
    import logging.config

    original = logging.config.fileConfig

    def keep(*arguments: object, **options: object) -> None:
        pass

    logging.config.fileConfig = keep
    try:
        yield
    finally:
        logging.config.fileConfig = original


@contextmanager
def _flask_application(project: Project) -> Iterator[None]:
    """Enter the context of the application that the `flask` command would find.

    It is made once: what modules hold, as a blueprint, is for one application of a process.
    """
    try:
        from flask.cli import ScriptInfo, load_dotenv
    except ImportError as error:
        raise EnvironmentBroken(project.display(project.env_py), f"needs Flask: {error}") from None
    load_dotenv()
    # Since Flask 2.2, its command and not `ScriptInfo` reads the variable.
    named = project.flask_app or variables().get("FLASK_APP")
    known = str(project.root), named
    try:
        if known not in _applications:
            sys.path.insert(0, str(project.root))
            _applications[known] = ScriptInfo(named).load_app()
        application = _applications[known]
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        fields = source_error_fields(project, error, SourceLocation(project.env_py))
        reason = f"no Flask application was found: {fields.pop('reason')}"
        raise EnvironmentBroken(reason=reason, **fields) from error
    with application.app_context():
        yield
