"""Write the database to a file, and replace it by what is in one."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from db_ops.errors import UsageError
from db_ops.frozen_data import replace
from db_ops.postgres.catalog import major_version, user_tables
from db_ops.postgres.connection.server import Server
from db_ops.postgres.connection.session import refuse_transaction_pooler
from db_ops.postgres.dump_file import SUFFIXES, format_of, read_dump_file, write_dump_file
from db_ops.postgres.own_databases import drop_unused_databases, scratch_database
from db_ops.postgres.replacement import replace_target
from db_ops.postgres.undo import present_target
from db_ops.results import BuildAbandoned, Dumped, Loaded, OnEvent, PhaseStarted, ignore
from db_ops.settings import Settings
from db_ops.target.create import locked_maintenance_session
from db_ops.target.guard import check_intent, guarded_drop
from db_ops.target.target import Target, open_target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


def dump(
    settings: Settings, file: str, *, grants: bool = False, on_event: OnEvent = ignore
) -> Dumped:
    """Write the database, schema and data, to *file*, as pg_dump does: whole, or not at all.

    By its suffix, an archive for pg_restore (.dump), or a script for psql (.sql, .sql.gz). It is of
    one moment, and nobody who reads or writes is stopped. A script has owners and privileges only
    with *grants*, an archive always. Raises `UsageError`, `DatabaseMissing`, `DumpFailed`.
    """
    path = _named(file, "dump")
    target = open_target(settings, "dump", on_event)
    started = time.monotonic()
    with target.server.target() as connection:
        refuse_transaction_pooler(target.server, connection)
        heads = target.recorded_on(connection)
        count, major = len(user_tables(connection)), major_version(connection)
    program = write_dump_file(target.server, path, grants=grants, major=major, tables=count)
    seconds = time.monotonic() - started
    return Dumped(target.location, file, path.stat().st_size, heads, program, seconds)


def load_dump(
    settings: Settings,
    file: str,
    *,
    grants: bool = False,
    confirm: str | None = None,
    on_event: OnEvent = ignore,
) -> Loaded:
    """Replace the database by what `dump`, or pg_dump, has written to *file*.

    It is loaded into a database beside the present one, which keeps its place until the new one is
    whole, then loses its sessions, its name and itself, or is kept for `undo`. What the role loads
    belongs to it; with *grants*, owners and privileges are those in the dump. The guard asks for
    `confirm` as for `recreate` (`Refused`). Raises `UsageError`, `DumpUnreadable`, `LoadFailed`.
    """
    path = _named(file, "load")
    if not path.is_file():
        problem = f"load: there is no file {file}"
        raise UsageError(problem, "name a file that dump has written: db-ops load FILE")
    target = open_target(settings, "load", on_event)
    server = target.server
    arguments = f" {shlex.quote(file)}{' --grants' if grants else ''}"
    check_intent(server, confirm, arguments)
    started = time.monotonic()
    with locked_maintenance_session(server) as connection:
        present = present_target(server, connection)
        with guarded_drop(server, connection, confirm, arguments):
            with scratch_database(server, connection) as name:
                new = target.at(replace(server, url=server.url.built_as(name)))
                try:
                    major = major_version(connection)
                    program = read_dump_file(new.server, path, grants=grants, major=major)
                    loaded = _loaded(new, file, program, present is not None)
                except BaseException:
                    on_event(BuildAbandoned(server.location))
                    raise
                replace_target(server, connection, name, present)
            drop_unused_databases(connection)
    undo = present.undo if present else None
    return replace(loaded, seconds=time.monotonic() - started, undo=undo)


def _loaded(target: Target, file: str, program: str, existed: bool) -> Loaded:
    target.server.on_event(PhaseStarted("analyzing the tables"))
    with target.server.target() as connection:
        _analyze(target.server, connection)
        heads = target.recorded_on(connection)
        position = target.position(heads, connection)
        return Loaded(
            location=target.location,
            file=file,
            existed=existed,
            heads=heads,
            tables=len(user_tables(connection)),
            pending=position.pending,
            unknown=position.unknown,
            ahead=position.ahead,
            program=program,
            seconds=0.0,
        )


def _analyze(server: Server, connection: Connection) -> None:
    """Let the planner know what the tables hold, which no dump does."""
    with server.translate_errors("ANALYZE"), connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0; ANALYZE")


def _named(file: str, command: str) -> Path:
    path = Path(file)
    if format_of(path) is None:
        problem = f"{command}: {file} ends with none of {', '.join(SUFFIXES)}"
        raise UsageError(problem, f"name it so, for example: db-ops {command} app.dump")
    return path
