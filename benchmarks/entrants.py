"""Who takes part in a job, and what is put in order around each run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import closing
from functools import partial

import psycopg2

import db_ops
from benchmarks.contenders import (
    ALEMBIC,
    ALEMBIC_CHECK,
    INIT_PROGRAM,
    INV_BARE,
    RECORD,
    RECREATE,
    RECREATE_PROGRAM,
    REPLAY,
    VERIFY,
    VERIFY_QUICK,
    Command,
)
from benchmarks.measure import Entrant
from benchmarks.projects import Project, write_files
from benchmarks.workshop import CommandFailed, Workshop
from db_ops.postgres.own_databases import SPARE, own_name
from db_ops.postgres.schema.reading import fingerprint
from db_ops.settings import DatabaseUrl, Settings

CROWD = 50
_SEED = """CREATE TABLE seeded AS SELECT n, md5(n::text) FROM generate_series(1, 20000) AS n;
"""
CONNECT = "psycopg2.connect"
UPGRADE = "db_ops.upgrade(settings)"
HEALTH = "db_ops.verify(settings, quick=True)"
QUESTION = "psycopg2.connect, SELECT version_num"
STATS = "os.stat of each revision file"
LOOK = "the fingerprint's query"
CLONE = "CREATE DATABASE ... TEMPLATE"
FROM_SCRATCH = f"DROP, CREATE, {ALEMBIC.name}"
FROM_TEMPLATE = f"{RECREATE.name}, from a template"
FROM_SPARE = f"{RECREATE.name}, with a spare"
SPARE_OF_PROGRAM = f"{RECREATE_PROGRAM.name}, with a spare"
SEEDED = f"{RECREATE_PROGRAM.name}, with a seeded spare"
WITHOUT_SPARES = f"{RECREATE.name}, DB_OPS_SPARE=0"
# The spare is made behind a command's back; where it is not what is measured, it would disturb.
NO_SPARE = {"DB_OPS_SPARE": "0"}
# Outside development every revision runs, whatever template there is.
REPLAYED = NO_SPARE | {"DB_OPS_ENVIRONMENT": "production"}


def at_head(
    workshop: Workshop, commands: Iterable[Command], revisions: int, tables: int
) -> list[Entrant]:
    """Return commands that find nothing to do."""
    project = workshop.project(revisions, tables)
    database = workshop.at_head(project, f"no_op_{project.name}")
    workshop.record_for_others(project, database)
    return [
        Entrant(
            command.name,
            partial(workshop.run, command, project, database, **NO_SPARE),
            ours=command.ours,
        )
        for command in commands
    ]


def from_empty(
    workshop: Workshop, commands: Iterable[Command], revisions: int, tables: int
) -> list[Entrant]:
    """Return commands that apply a whole history to an empty database."""
    project = workshop.project(revisions, tables)
    database = f"build_{project.name}"
    return [
        Entrant(
            command.name,
            partial(workshop.run, command, project, database, **REPLAYED),
            prepare=partial(workshop.server.create, database),
            ours=command.ours,
        )
        for command in commands
    ]


def recreate(workshop: Workshop, revisions: int, tables: int) -> list[Entrant]:
    """Return the ways to start over, each with a database of its own."""
    project = workshop.project(revisions, tables)
    write_files(project.ours, {"seed.sql": _SEED})

    def drop_and_upgrade() -> None:
        database = f"plain_{project.name}"
        workshop.server.create(database)
        workshop.run(ALEMBIC, project, database)

    def clone() -> None:
        workshop.server.copy(workshop.template(project), bare)

    bare, replayed = f"bare_{project.name}", f"replayed_{project.name}"
    return [
        Entrant(FROM_SCRATCH, drop_and_upgrade),
        Entrant(
            REPLAY.name, partial(workshop.run, REPLAY, project, replayed, **NO_SPARE), ours=True
        ),
        Entrant(
            WITHOUT_SPARES,
            partial(workshop.run, RECREATE, project, f"cloned_{project.name}", **NO_SPARE),
            settle=workshop.server.check_template,
            ours=True,
        ),
        _from_template(workshop, project),
        _with_spare(workshop, project, FROM_SPARE),
        _with_spare(workshop, project, SPARE_OF_PROGRAM, RECREATE_PROGRAM),
        _with_spare(workshop, project, SEEDED, RECREATE_PROGRAM, DB_OPS_SEED="seed.sql"),
        Entrant(CLONE, clone, prepare=partial(workshop.server.drop, bare)),
        Entrant(INV_BARE.name, partial(workshop.run, INV_BARE, project, bare)),
    ]


def recreate_by_tables(workshop: Workshop, revisions: int, counts: Iterable[int]) -> list[Entrant]:
    """Return `recreate` with a spare, for databases of more and fewer tables."""
    return [
        _with_spare(workshop, workshop.project(revisions, tables), tables_named(tables))
        for tables in counts
    ]


def library_call(workshop: Workshop, revisions: int, tables: int) -> list[Entrant]:
    """Return a call in this process, which is warm after the first, and a mere connection."""
    project = workshop.project(revisions, tables)
    url = workshop.server.url(workshop.at_head(project, f"library_{project.name}"))
    settings = _settings(workshop, project, url)

    def call() -> None:
        db_ops.upgrade(settings)

    def look_at_files() -> None:
        with os.scandir(project.versions) as entries:
            for entry in entries:
                entry.stat()

    def ask() -> None:
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT version_num FROM alembic_version")

    return [
        Entrant(CONNECT, lambda: psycopg2.connect(url).close(), calls=100),
        Entrant(QUESTION, ask, calls=100),
        Entrant(STATS, look_at_files, calls=100),
        Entrant(UPGRADE, call, ours=True, calls=100),
    ]


def verify(workshop: Workshop, revisions: int, tables: int) -> list[Entrant]:
    """Return the comparisons of models and database, on one that agrees.

    The quick one is a command, and the call that a service's health check makes.
    """
    project = workshop.project(revisions, tables)
    database = workshop.at_head(project, f"verify_{project.name}")
    # psql has built it, which records nothing.
    workshop.run(RECORD, project, database, **NO_SPARE)
    url = workshop.server.url(database)
    settings = _settings(workshop, project, url)

    def check_health() -> None:
        if db_ops.verify(settings, quick=True).exit_code:
            raise LookupError("the catalogs are not as recorded")

    return [
        *(
            Entrant(
                command.name,
                partial(workshop.run, command, project, database, **NO_SPARE),
                ours=command.ours,
            )
            for command in (ALEMBIC_CHECK, VERIFY, VERIFY_QUICK, INV_BARE)
        ),
        Entrant(HEALTH, check_health, ours=True),
        Entrant(LOOK, partial(_look, url)),
    ]


def crowd_at_head(workshop: Workshop, revisions: int, tables: int) -> list[Entrant]:
    """Return crowds of processes that find nothing to do."""
    project = workshop.project(revisions, tables)
    database = workshop.at_head(project, f"crowd_{project.name}")
    return [
        Entrant(
            crowd_of(command),
            partial(_crowd, workshop, command, project, database, NO_SPARE),
            ours=command.ours,
        )
        for command in (ALEMBIC, INIT_PROGRAM)
    ]


def crowd_from_empty(workshop: Workshop, revisions: int, tables: int) -> list[Entrant]:
    """Return crowds of processes that all want to migrate one empty database."""
    project = workshop.project(revisions, tables)
    database = f"crowd_{project.name}"
    return [
        Entrant(
            crowd_of(command),
            partial(_crowd, workshop, command, project, database, REPLAYED),
            prepare=partial(workshop.server.create, database),
            ours=command.ours,
        )
        for command in (ALEMBIC, INIT_PROGRAM)
    ]


def crowd_of(command: Command) -> str:
    """Return what a crowd of this command is called."""
    return f"{CROWD} x {command.name}"


def tables_named(tables: int) -> str:
    """Return what `recreate` with so many tables is called."""
    return f"{FROM_SPARE}, {tables:,} tables"


def _crowd(
    workshop: Workshop,
    command: Command,
    project: Project,
    database: str,
    variables: Mapping[str, str],
) -> str:
    started = [workshop.start(command, project, database, **variables) for _ in range(CROWD)]
    failed = 0
    for running in started:
        try:
            running.finish()
        except CommandFailed:
            failed += 1
    return f"{failed} of {CROWD} failed" if failed else ""


def _settings(workshop: Workshop, project: Project, url: str) -> Settings:
    ini = project.ours / "alembic.ini"
    return Settings(ini, DatabaseUrl.parse(url), user_cache=workshop.root / "cache")


def _look(url: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        fingerprint(connection)


def _from_template(workshop: Workshop, project: Project) -> Entrant:
    """Return `recreate` that finds no spare ready: the last one has just been used."""
    server, database = workshop.server, f"copied_{project.name}"
    before = set[object]()

    def prepare() -> None:
        ((role,),) = server.query("SELECT quote_ident(current_user)")
        server.drop(own_name(SPARE, database, str(role)))
        before.clear()
        before.update(server.spares())

    run = partial(workshop.run, RECREATE, project, database)
    return Entrant(FROM_TEMPLATE, run, prepare, lambda: server.wait_for_spare(before), ours=True)


def _with_spare(
    workshop: Workshop,
    project: Project,
    name: str,
    command: Command = RECREATE,
    **variables: str,
) -> Entrant:
    """Return `recreate` that finds a spare ready, and has another one made behind it."""
    server = workshop.server
    database = f"spared_{project.name}_{command.words[0].replace('-', '_')}_{len(variables)}"
    before, own = set[object](), set[object]()

    def prepare() -> None:
        before.clear()
        before.update(server.spares())

    def settle() -> None:
        if own and server.number(database) not in own:
            raise LookupError("the spare was not used")
        own.clear()
        own.update(server.wait_for_spare(before))

    run = partial(workshop.run, command, project, database, **variables)
    return Entrant(name, run, prepare, settle, ours=True)
