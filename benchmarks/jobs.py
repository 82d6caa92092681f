"""What is measured: each job says who takes part, and what is promised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks import entrants, first_calls
from benchmarks.contenders import (
    ALEMBIC,
    ALEMBIC_CHECK,
    AUTOGENERATE,
    COMPOSE,
    CONNECT,
    CREATE,
    DBMATE,
    INIT,
    INIT_PROGRAM,
    INIT_SCRIPT,
    INV_BARE,
    INV_LIST,
    NEIGHBOURS,
    PSQL,
    VERIFY,
    VERIFY_PROGRAM,
    VERIFY_QUICK,
)
from benchmarks.measure import Entrant, Measured, side_by_side
from benchmarks.per_test import BARE, PLUGIN, test_databases
from benchmarks.workshop import Workshop

Measure = Callable[[Workshop, int], list[Measured]]


@dataclass(frozen=True)
class Target:
    """A promise: *entrant* takes at most so many times what *against* takes.

    `floor` names entrants that do a part of its work each, which it cannot do without.
    """

    entrant: str
    against: str
    at_most: float
    floor: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """Something that people wait for. Ratios are against the entrant *baseline*."""

    name: str
    title: str
    baseline: str
    measure: Measure
    targets: tuple[Target, ...] = ()


def _compare(entering: Callable[..., list[Entrant]], *arguments: object) -> Measure:
    return lambda workshop, runs: side_by_side(entering(workshop, *arguments), runs)


def _nothing_to_do(revisions: int, *targets: Target) -> Job:
    commands = (ALEMBIC, INIT, INIT_SCRIPT, INIT_PROGRAM, CONNECT, INV_LIST, *NEIGHBOURS)
    return Job(
        f"no-op-{revisions}",
        f"Nothing to do at {revisions:,} revision{'s' * (revisions > 1)}",
        ALEMBIC.name,
        _compare(entrants.at_head, commands, revisions, min(revisions, 50)),
        targets,
    )


def _build(revisions: int, *targets: Target) -> Job:
    return Job(
        f"build-{revisions}",
        f"{revisions:,} revisions on an empty database",
        PSQL.name,
        _compare(entrants.from_empty, (PSQL, INIT, ALEMBIC, COMPOSE, *NEIGHBOURS), revisions, 50),
        targets,
    )


def _recreate(revisions: int, *targets: Target) -> Job:
    return Job(
        f"recreate-{revisions}",
        f"Start over after {revisions:,} revisions, 50 tables",
        entrants.FROM_SCRATCH,
        _compare(entrants.recreate, revisions, 50),
        targets,
    )


def _test_database(tables: int, *targets: Target) -> Job:
    return Job(
        f"test-database-{tables}",
        f"A database for a test, {tables} tables",
        BARE,
        partial(test_databases, revisions=2 * tables, tables=tables),
        targets,
    )


def _create(tables: int, *targets: Target) -> Job:
    return Job(
        f"create-migration-{tables}",
        f"A revision for a changed model, {tables} tables",
        AUTOGENERATE.name,
        _compare(first_calls.create_migration, 2 * tables, tables),
        targets,
    )


def _verify(tables: int, *targets: Target) -> Job:
    return Job(
        f"verify-{tables}",
        f"Compare models and database, {tables} tables",
        ALEMBIC_CHECK.name,
        _compare(entrants.verify, 2 * tables, tables),
        targets,
    )


_BARE_MINIMUM = (
    Target(INIT_SCRIPT.name, CONNECT.name, 1.7),
    Target(INIT_PROGRAM.name, CONNECT.name, 1.7),
    Target(INIT.name, INV_LIST.name, 1.12),
)
JOBS = (
    _nothing_to_do(1, *_BARE_MINIMUM),
    _nothing_to_do(
        1000,
        Target(INIT.name, ALEMBIC.name, 0.5),
        Target(INIT.name, INV_LIST.name, 2.0),
    ),
    _nothing_to_do(5000, Target(INIT.name, ALEMBIC.name, 0.2), *_BARE_MINIMUM),
    Job(
        "library-1000",
        "A call at head in a warm process, 1,000 revisions",
        entrants.CONNECT,
        _compare(entrants.library_call, 1000, 50),
        (Target(entrants.UPGRADE, entrants.CONNECT, 3.0, (entrants.QUESTION, entrants.STATS)),),
    ),
    _build(100, Target(INIT.name, DBMATE.name, 1.0)),
    _build(1000, Target(INIT.name, PSQL.name, 1.35, (PSQL.name, COMPOSE.name))),
    Job(
        "ci-300",
        "300 revisions in CI, with nothing kept",
        ALEMBIC.name,
        _compare(first_calls.first_init, 300, 50),
    ),
    _recreate(
        1000,
        Target(
            entrants.FROM_TEMPLATE,
            entrants.FROM_SCRATCH,
            0.1,
            (INV_BARE.name, entrants.CLONE),
        ),
        Target(entrants.SPARE_OF_PROGRAM, entrants.FROM_SCRATCH, 0.05),
        Target(entrants.SEEDED, entrants.FROM_SCRATCH, 0.05),
    ),
    Job(
        "recreate-tables",
        "Start over with a spare, few tables and many",
        entrants.tables_named(10),
        _compare(entrants.recreate_by_tables, 1000, (10, 1000)),
        (Target(entrants.tables_named(1000), entrants.tables_named(10), 1.5),),
    ),
    Job(
        "crowd-head",
        "50 processes with nothing to do, 1,000 revisions",
        entrants.crowd_of(ALEMBIC),
        _compare(entrants.crowd_at_head, 1000, 50),
        (Target(entrants.crowd_of(INIT_PROGRAM), entrants.crowd_of(ALEMBIC), 0.4),),
    ),
    Job(
        "crowd-empty",
        "50 processes on an empty database, 100 revisions",
        entrants.crowd_of(ALEMBIC),
        _compare(entrants.crowd_from_empty, 100, 50),
    ),
    _test_database(50, Target(PLUGIN, BARE, 1.3)),
    _test_database(300),
    _create(
        50,
        Target(first_calls.NOTHING_KEPT, AUTOGENERATE.name, 1.5),
        Target(CREATE.name, AUTOGENERATE.name, 0.75),
    ),
    _create(
        300,
        Target(first_calls.NOTHING_KEPT, AUTOGENERATE.name, 1.0),
        Target(CREATE.name, AUTOGENERATE.name, 0.5),
    ),
    Job(
        "verify-again-2000",
        "Compare models and database again, 2,000 tables",
        ALEMBIC_CHECK.name,
        _compare(first_calls.verify_again, 2000, 2000),
        (Target(VERIFY_PROGRAM.name, ALEMBIC_CHECK.name, 0.3),),
    ),
    _verify(
        50,
        Target(VERIFY.name, ALEMBIC_CHECK.name, 1.25),
        Target(entrants.HEALTH, ALEMBIC_CHECK.name, 0.3),
        Target(VERIFY_QUICK.name, ALEMBIC_CHECK.name, 0.3, (INV_BARE.name, entrants.LOOK)),
    ),
    _verify(
        300,
        Target(VERIFY.name, ALEMBIC_CHECK.name, 1.25),
        Target(entrants.HEALTH, ALEMBIC_CHECK.name, 0.15),
        Target(VERIFY_QUICK.name, ALEMBIC_CHECK.name, 0.15, (INV_BARE.name, entrants.LOOK)),
    ),
)
