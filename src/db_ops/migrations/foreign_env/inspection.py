"""Inspect an env.py that is not ours: where it connects to and what it configures."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db_ops.errors import (
    DbOpsError,
    EnvironmentBroken,
    MisuseError,
    SeveralDatabases,
    UnknownDatabase,
)
from db_ops.errors.base import place_name
from db_ops.frozen_data import FrozenData, field, replace
from db_ops.migrations.autogenerate.incomplete_models import import_models, metadata_of_models
from db_ops.migrations.autogenerate.scope import AutogenerateScope
from db_ops.migrations.env.configured import Configured, tables_of
from db_ops.migrations.env.engine import connection_over
from db_ops.migrations.env.run_env import display_version, environment_context
from db_ops.migrations.env.runtime import Plan, Session
from db_ops.migrations.foreign_env.adoption import env_py_adoption
from db_ops.migrations.foreign_env.path_settings import path_of_engines, path_of_statements
from db_ops.migrations.foreign_env.sandbox import call_where_env_py_runs, env_py_sandbox
from db_ops.migrations.project import Project
from db_ops.migrations.revisions.index import revision_files
from db_ops.migrations.scripts import broken_environment
from db_ops.settings import DatabaseUrl

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

_ASYNC = re.compile(rb"\basync_engine_from_config\b|\bcreate_async_engine\b|\bAsyncEngine\b")
_QUESTION = re.compile(r"\s*(?:SELECT|WITH|SHOW|VALUES|TABLE|EXPLAIN)\b", re.I)
# A lock, a setting or a sign of life tells env.py nothing.
_NO_QUESTION = re.compile(
    r"\bpg_(?:try_)?advisory_|\bset_config\(|\A\s*SELECT\s+\d+\s*;?\s*\Z", re.I
)
_RUNS_ASYNC = re.compile(rb"\brun_async\b")
# These speak of code, the rest of what is not set.
_BROKEN = (ImportError, NameError, SyntaxError, TypeError, AttributeError)
_NAMES_A_DATABASE = frozenset(("dsn", "dbname", "database"))
# The placeholder that `alembic init` writes.
_PLACEHOLDER = "driver://"


class EnvInspection(FrozenData):
    """The result of running env.py: `url` is where it connects to, None if it does not.

    `tables` are its version tables, as schema and name, as it `configured` them;
    `version_locations` the folders, if env.py itself sets them; `search_path` what it sets for its
    session; `options` the names of what it configures, `statements` what it asks before that. It
    `uses_driver` if it has asked for an asynchronous driver's own connection. It `depends` on what
    the database answers to `questions`, which was `answered_by` one, or could `not_answered` be,
    for a reason.
    """

    url: DatabaseUrl | None
    tables: tuple[tuple[str | None, str], ...]
    version_locations: tuple[Path, ...] = ()
    search_path: str | None = None
    options: tuple[str, ...] = ()
    uses_driver: bool = False
    statements: tuple[str, ...] = field(default=(), repr=False, compare=False)
    metadata: Any = field(default=None, repr=False, compare=False)
    scope: AutogenerateScope = field(default_factory=AutogenerateScope, repr=False, compare=False)
    depends: bool = field(default=False, compare=False)
    answered_by: str = field(default="", compare=False)
    not_answered: str = field(default="", compare=False)
    questions: tuple[str, ...] = field(default=(), repr=False, compare=False)
    configured: tuple[Configured, ...] = field(default=(), repr=False, compare=False)

    def applied_to(self, project: Project) -> Project:
        """Return *project* with the version tables and folders that env.py configures."""
        first, *others = self.tables
        return replace(
            project,
            version_table_schema=first[0],
            version_table=first[1],
            tables=tuple(others),
            version_locations=self.version_locations or project.version_locations,
            uses_driver=self.uses_driver,
        )


def inspect_env_py(project: Project, *, is_known: bool) -> EnvInspection:
    """Run env.py, and return what it configures.

    No server is contacted, unless it asks one something: then it is run a second time, over a
    read-only session of `project.answers`. *is_known* says that the settings name the database.
    Raises `EnvironmentBroken`, `UnknownDatabase` if no database is named, `SeveralDatabases`.
    """
    session = Session(inspects=True, is_known=is_known)
    alone: EnvInspection | DbOpsError
    try:
        alone = _inspect(project, session)
    except DbOpsError as error:
        alone = error
    if _asks(session, alone) and project.answers is not None:
        with project.answers(_destination(project, session)) as (driver, said):
            if driver is not None:
                with connection_over(driver) as connection:
                    asking = Session(connection, read_only=True, inspects=True, is_known=is_known)
                    answered = _inspect(project, asking)
                questions = tuple(asking.questions)
                # What an application asked that is made once was answered by nobody for good.
                depends = bool(questions)
                return replace(answered, depends=depends, answered_by=said, questions=questions)
        if isinstance(alone, EnvironmentBroken):
            reason = f"{alone.reason} (it asks the database, which could not be asked: {said})"
            alone = replace(alone, reason=reason)
        elif isinstance(alone, EnvInspection):
            alone = replace(alone, depends=True, not_answered=said)
    if isinstance(alone, DbOpsError):
        raise alone
    return alone


def _asks(session: Session, alone: EnvInspection | DbOpsError) -> bool:
    """Tell whether env.py has asked the database something, or failed on what it was not told."""
    if any(_QUESTION.match(one) and not _NO_QUESTION.search(one) for one in session.statements):
        return True
    return isinstance(alone, EnvironmentBroken) and session.connected and not session.calls


def _destination(project: Project, session: Session) -> DatabaseUrl | None:
    for destination in session.destinations:
        with suppress(DbOpsError):
            return DatabaseUrl.from_driver_arguments(destination, project.display(project.env_py))
    return None


def _inspect(project: Project, session: Session) -> EnvInspection:
    is_known = session.is_known
    config = project.alembic_config(db_ops=session)
    try:
        try:
            scripts = run_foreign_env_py(project, config, session, dont_mutate=True)
        except KeyError as error:
            if error.args != ("destination_rev",):
                raise
            # One that asks where the command leads to fails under `alembic current` as well.
            del session.calls[:], session.configured[:]
            scripts = run_foreign_env_py(
                project, config, session, destination_rev=session.destination
            )
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if isinstance(error, DbOpsError):
            raise
        broken = broken_environment(project, error)
        broken = replace(broken, reason=broken.reason + _field(error))
        unknown = not is_known and not session.destinations
        if unknown and not _is_code(error):
            place = place_name(broken.path, broken.line)
            raise UnknownDatabase(place, broken.reason) from error
        raise broken from error
    if session.called_run_migrations and not project.is_ours:
        reason = "another module calls db_ops.run_migrations, not env.py"
        raise EnvironmentBroken(project.display(project.env_py), reason)
    if not session.calls:
        reason = "it never calls context.configure"
        raise EnvironmentBroken(project.display(project.env_py), reason)
    path = path_of_engines(session.destinations)
    if len(session.configured) == 1:
        # Some set it only in the transaction of the revisions.
        path = path_of_statements(session.statements) or path
    configured = tuple(one._replace(path=one.path or path) for one in session.configured)
    return EnvInspection(
        url=_one_url(project, session, is_known=is_known),
        tables=tables_of(configured),
        configured=configured,
        version_locations=_locations(project, config, scripts),
        search_path=path_of_statements(session.statements) or path,
        options=tuple(sorted({name for call in session.calls for name in call})),
        uses_driver=session.uses_driver,
        statements=tuple(session.statements),
        metadata=session.metadata,
        scope=session.scope,
    )


def set_placeholder_url(config: Config, project: Project, is_known: bool) -> None:
    """Set a URL without a host where that of env.py is missing or a placeholder and ours is known.

    With it env.py can create its engine, whose connections are replaced.
    """
    if is_known and (project.url is None or project.url.startswith(_PLACEHOLDER)):
        source = project.env_py.read_bytes()
        config.set_main_option(
            "sqlalchemy.url",
            f"postgresql+{_async_driver() if _ASYNC.search(source) else 'psycopg2'}://",
        )


def needs_own_connection(project: Project) -> bool:
    """Tell whether env.py or a revision needs a connection of an asynchronous driver."""
    return project.uses_driver or any(
        _RUNS_ASYNC.search(Path(path).read_bytes()) for path in revision_files(project)
    )


def run_foreign_env_py(
    project: Project,
    config: Config,
    session: Session,
    scripts: ScriptDirectory | None = None,
    work: Plan = display_version,
    **options: Any,
) -> ScriptDirectory:
    """Run env.py as the plain command does, with the connections of `env_py_adoption`."""
    from alembic.script import ScriptDirectory

    found = scripts or ScriptDirectory.from_config(config)

    def run() -> None:
        with environment_context(config, found, session, work, **options):
            found.run_env()

    with env_py_context(project, session, config):
        call_where_env_py_runs(project, run)
    return found


def env_py_context(project: Project, session: Session, config: Config) -> ExitStack:
    """Return the context in which Alembic's commands run an env.py that is not ours."""
    with ExitStack() as stack:
        if not project.is_ours:
            set_placeholder_url(config, project, session.is_known or session.connection is not None)
            # An application that Flask finds may connect when it is made.
            adoption = stack.enter_context(env_py_adoption(session))
            stack.enter_context(env_py_sandbox(project))
            session.metadata_of_models = metadata_of_models(project)
            adoption.forget()
        else:
            import_models(project)
        # Where that fails, nothing may stay replaced.
        return stack.pop_all()


def _is_code(error: BaseException) -> bool:
    """Tell whether an error is one of the code, and not of a missing setting."""
    frames = traceback.extract_tb(error.__traceback__)
    models = frames and re.search(r"sqlalchemy[/\\](?:orm|sql)[/\\]", frames[-1].filename)
    return isinstance(error, _BROKEN) or bool(models)


def _one_url(project: Project, session: Session, *, is_known: bool) -> DatabaseUrl | None:
    found: dict[str, DatabaseUrl] = {}
    env_py = project.display(project.env_py)
    for destination in session.destinations:
        # Ours is known, so env.py need not name one, and a stand-in does not.
        if is_known and _NAMES_A_DATABASE.isdisjoint(destination):
            continue
        with suppress(*((MisuseError,) if is_known else ())):
            url = DatabaseUrl.from_driver_arguments(destination, env_py)
            found.setdefault(url.location, url)
    if len(found) > 1:
        raise SeveralDatabases(env_py, tuple(sorted(found)))
    if not found and not is_known:
        raise UnknownDatabase(env_py, "it connects to no PostgreSQL")
    return next(iter(found.values()), None)


def _locations(project: Project, config: Config, scripts: ScriptDirectory) -> tuple[Path, ...]:
    """Return the folders of revisions that env.py has set, if it has."""
    before = project.alembic_config()
    asked = ("version_locations", "script_location")
    if all(config.get_main_option(name) == before.get_main_option(name) for name in asked):
        named: Iterable[Any] = scripts.version_locations or ()
    else:
        named = type(scripts).from_config(config)._version_locations
    found = tuple(_absolute(project.root, named))
    return () if found == project.version_locations else found


def _absolute(root: Path, paths: Iterable[Any]) -> Iterator[Path]:
    for path in paths:
        yield (root / str(path)).resolve()


def _field(error: BaseException) -> str:
    """Return which setting is missing or wrong; what pydantic says after that may hold secrets."""
    lines = str(error).splitlines()
    is_validation = type(error).__name__ == "ValidationError" and len(lines) > 1
    return f": {lines[1].strip()}" if is_validation and lines[1].strip().isidentifier() else ""


def _async_driver() -> str:
    from importlib.util import find_spec

    return "asyncpg" if find_spec("asyncpg") else "psycopg"
