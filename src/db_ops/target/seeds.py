"""Run the seeds of a project in its database: all of them in one transaction."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from db_ops.errors import ConnectionLost, DbOpsError, SeedFailed, UsageError
from db_ops.frozen_data import replace
from db_ops.results import Initialised, Seeded, SeedStarted
from db_ops.settings import Settings
from db_ops.settings.model import DEVELOPMENT
from db_ops.target.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from db_ops.migrations.env.error_location import SourceLocation

_SQL = ".sql"


def seeds_of_new_database(settings: Settings, no_seed: bool) -> tuple[str, ...]:
    """Return the seeds that a command runs in a database that it has created.

    In development alone: tests count rows, and nothing else is to be filled unasked.
    """
    return settings.seed if settings.environment == DEVELOPMENT and not no_seed else ()


def check_seeds_named(settings: Settings) -> None:
    """Raise `UsageError` for a project that names no seeds."""
    if not settings.seed:
        raise UsageError(
            "seed: the project names no seed",
            'name it in pyproject.toml: [tool.db_ops] seed = "package.module:function", or an SQL'
            " file, or a list of them; then: db-ops seed",
        )


def seeded(
    target: Target, connection: Connection, done: Initialised, seeds: tuple[str, ...]
) -> Initialised:
    """Run *seeds* in the target that *connection* is to, which was *done* just now."""
    if not seeds:
        return done
    with target.migration_lock(connection):
        return Initialised(**{**vars(done), "seeded": run_seeds(target, seeds).tables})


def run_seeds(target: Target, seeds: tuple[str, ...]) -> Seeded:
    """Run *seeds* in the database of *target*, which is at head, and commit what they wrote.

    Who calls this holds the migration lock, or the only access to the database. What a seed commits
    itself is committed with the rest. Raises `SeedFailed`, after which nothing has been written.
    """
    from db_ops.postgres.seed_transaction import SeedConnection, sequences_behind, written_tables

    started = time.monotonic()
    server = replace(target.server, connection_class=SeedConnection)
    with closing(replace(target, server=server).open()) as driver, target.watch(driver):
        assert isinstance(driver, SeedConnection)
        running = seeds[0]
        try:
            driver.begin()
            for running in seeds:
                server.on_event(SeedStarted(running))
                if running.endswith(_SQL):
                    _run_file(target, driver, running)
                else:
                    from db_ops.migrations.env.seed_function import call_seed

                    call_seed(target.project, driver, running)
                # SQLAlchemy rolls back when it first meets a connection.
                driver.commit()
            written = written_tables(driver)
            oids = tuple(oid for oid, _ in written)
            behind = sequences_behind(driver, target.location, oids)
            driver.finish()
        except (DbOpsError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise _failure(target, running, error) from error
    for sequence in behind:
        server.on_event(sequence)
    tables = tuple(table for _, table in written)
    return Seeded(target.location, tables, time.monotonic() - started)


def _run_file(target: Target, driver: Connection, name: str) -> None:
    from db_ops.postgres.sql_script import run_script

    content = (target.project.root / name).read_bytes()
    try:
        run_script(driver, content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        from db_ops.postgres.sql_script import ScriptError

        line = content.count(b"\n", 0, error.start) + 1
        raise ScriptError(line, "it is not UTF-8") from None


def _failure(target: Target, seed: str, error: BaseException) -> DbOpsError:
    from db_ops.migrations.env.diagnostics import diagnostics, reason_of, statement_of
    from db_ops.migrations.env.error_location import source_location, source_locations
    from db_ops.migrations.env.failures import lost_connection, privilege_remedy, reason_of_loss

    project = target.project
    if lost_connection(error):
        return ConnectionLost(target.location, f"{reason_of_loss(error)} (during seed {seed})")
    raised: Any = error.__cause__ if seed.endswith(_SQL) and error.__cause__ else error
    said = diagnostics(raised)
    place: SourceLocation
    deeper: tuple[SourceLocation, ...] = ()
    if seed.endswith(_SQL):
        place = source_location(str(project.root / seed), getattr(error, "line", None))
    else:
        found = source_locations(error)
        module = _file_of(seed)
        own = [one for one in found if str(one.path) == module]
        place = (own or found or [_definition(target, seed)])[-1]
        deeper = tuple(one for one in found[-1:] if one != place)
    path = project.display(place.path)
    remedy = privilege_remedy(target, raised) or f"correct {path}"
    return SeedFailed(
        path=path,
        reason=getattr(error, "reason", "") or reason_of(raised),
        line=place.line,
        code=place.code,
        seed=seed,
        location=target.location,
        outcome="the database is migrated, nothing of the seeds is written",
        remedy=f"{remedy}, then: db-ops seed",
        statement=statement_of(raised),
        said=(
            *(f"at {project.display(one.path)}:{one.line} | {one.code}" for one in deeper),
            *(said.lines if said else ()),
        ),
    )


def _file_of(seed: str) -> str:
    import sys

    module = sys.modules.get(seed.partition(":")[0])
    return str(getattr(module, "__file__", ""))


def _definition(target: Target, seed: str) -> SourceLocation:
    """Return where *seed* is written, or where it is named if that cannot be imported.

    What its session still held is flushed after it has returned, so that no line of it is left.
    """
    import sys
    from inspect import unwrap
    from operator import attrgetter

    from db_ops.migrations.env.error_location import SourceLocation, source_location

    module, _, name = seed.partition(":")
    try:
        code = unwrap(attrgetter(name)(sys.modules[module])).__code__
    except (KeyError, AttributeError):
        return SourceLocation(target.project.pyproject)
    return source_location(code.co_filename, code.co_firstlineno)
