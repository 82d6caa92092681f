"""The mark and the guard under races: whose database it is, is decided once and stays so."""

from __future__ import annotations

import re

import pytest

from tests.conftest import drop
from tests.faults.crowd import assert_clean
from tests.faults.scale import scaled
from tests.support.doors import Outcome
from tests.support.launcher import Launcher
from tests.support.project import Project, query

pytestmark = pytest.mark.faults

PRODUCTION = {"DB_OPS_ENVIRONMENT": "production"}
MARKED = re.compile(r": marked as (\w+)$", re.MULTILINE)
ROUNDS = scaled(15, 4)
BOUND = 60.0


@pytest.fixture
def two(project: Project) -> Project:
    """A project with two revisions whose database does not exist."""
    project.table("0001", "one")
    project.table("0002", "two")
    return project


def race(
    project: Project, launcher: Launcher, *commands: tuple[str, dict[str, str]]
) -> list[Outcome]:
    """Run each command with its own environment, all at once; nobody ends in a traceback."""
    running = [
        launcher.start(project.root, project.env | env, *command.split())
        for command, env in commands
    ]
    return [one.finish(BOUND) for one in running]


def mark(server_url: str, database: str) -> str | None:
    """Return the environment in the comment of *database*."""
    rows = query(
        server_url,
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s",
        database,
    )
    comment = str(rows[0][0]) if rows else ""
    assert comment.count("db_ops environment") <= 1
    return comment.rpartition(" ")[2] or None


def claims(outcomes: list[Outcome]) -> list[str]:
    """Return the environments that anybody claims to have marked the database with."""
    return [name for outcome in outcomes for name in MARKED.findall(outcome.out)]


@pytest.mark.parametrize("existing", [True, False], ids=["an empty one", "a missing one"])
def test_of_two_environments_that_find_a_database_one_marks_it(
    two: Project, launcher: Launcher, server_url: str, database_name: str, existing: bool
) -> None:
    winners: set[str] = set()
    for number in range(10 * ROUNDS):
        # Of a race, either side wins sooner or later.
        if number >= ROUNDS and len(winners) == 2:
            break
        drop(server_url, database_name)
        if existing:
            query(server_url, f"CREATE DATABASE {database_name}")
        commands = [("init", PRODUCTION), ("init", {})] * 3
        outcomes = race(two, launcher, *(commands if number % 2 else reversed(commands)))
        for outcome in outcomes:
            outcome.succeeded()
        (winner,) = claims(outcomes)
        assert mark(server_url, database_name) == winner
        winners.add(winner)
    assert winners == {"production", "development"}, "or this was no race"


@pytest.mark.parametrize("command", ["recreate", "delete-db"])
def test_what_production_has_marked_is_never_destroyed_unasked(
    two: Project, launcher: Launcher, server_url: str, database_name: str, command: str
) -> None:
    codes = set()
    for number in range(ROUNDS):
        drop(server_url, database_name)
        query(server_url, f"CREATE DATABASE {database_name}")
        commands = [("init", PRODUCTION), (command, {})]
        outcomes = race(two, launcher, *(commands if number % 2 else reversed(commands)))
        destroyer = outcomes[number % 2]
        for outcome in outcomes:
            # Who loses his database under him is told to try again.
            assert_clean(outcome, 0, 1, 4, 5)
        codes.add(destroyer.code)
        if "production" in claims(outcomes):
            assert mark(server_url, database_name) == "production", outcomes
            assert two.tables == ["alembic_version", "one", "two"]
    assert codes <= {0, 4}


def test_an_empty_database_that_is_being_dropped_is_marked_by_nobody(
    two: Project, launcher: Launcher, server_url: str, database_name: str
) -> None:
    for _ in range(3):
        query(server_url, f"CREATE DATABASE {database_name}")
        outcomes = race(two, launcher, ("delete-db", {}), *[("init", PRODUCTION)] * 4)
        for outcome in outcomes:
            assert_clean(outcome, 0, 1, 4, 5)
        two.run("init").succeeded()
        assert two.tables == ["alembic_version", "one", "two"]
        assert mark(server_url, database_name) is not None
        drop(server_url, database_name)
