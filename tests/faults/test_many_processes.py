"""Fifty processes at once: everybody succeeds, and every revision is applied exactly once."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import drop
from tests.faults.crowd import Crowd, say
from tests.faults.scale import scaled
from tests.support.doors import Outcome
from tests.support.launcher import Launcher
from tests.support.project import Project

pytestmark = pytest.mark.faults

CROWD = scaled(50, 12)
# Fifty interpreters on two busy cores; the migrations themselves take less than a second.
BOUND = 120.0
APPLIED = re.compile(r"^  apply \d+/\d+  (\S+)", re.MULTILINE)


def logged(project: Project, revision: str, statement: str) -> None:
    """Write a revision that runs *statement* and leaves a row that it did."""
    project.revision(
        revision,
        f"""
        op.execute({statement!r})
        op.execute("INSERT INTO log VALUES ({revision!r})")
        """,
    )


def concurrently(project: Project, revision: str, index: str) -> None:
    """Write a revision that builds *index* without stopping writers, and leaves a row of it."""
    project.revision(
        revision,
        f"""
        with op.get_context().autocommit_block():
            op.execute("CREATE INDEX CONCURRENTLY {index} ON log (revision)")
        op.execute("INSERT INTO log VALUES ('{revision}')")
        """,
    )


def first_revisions(project: Project) -> list[str]:
    """Write three revisions; return their names."""
    logged(project, "0001", "CREATE TABLE log (revision text)")
    logged(project, "0002", "CREATE TABLE two (id integer PRIMARY KEY)")
    concurrently(project, "0003", "ix_0003")
    return ["0001", "0002", "0003"]


def five_more(project: Project, first: int) -> list[str]:
    """Write five revisions, the third of them CREATE INDEX CONCURRENTLY; return their names."""
    names = [f"{number:04}" for number in range(first, first + 5)]
    for position, name in enumerate(names):
        if position == 2:
            concurrently(project, name, f"ix_{name}")
        else:
            logged(project, name, f"CREATE TABLE t_{name} (id integer PRIMARY KEY)")
    return names


def let_run(project: Project, *commands: tuple[str, ...]) -> list[Outcome]:
    """Run all *commands* at once; nobody fails, exceeds the bound or meets a deadlock."""
    with Crowd(project) as crowd:
        for command in commands:
            crowd.start(*command)
        outcomes = crowd.finish_all(within=BOUND)
        slowest = max(one.seconds for one in crowd.running)
    check_happy(outcomes)
    say(f"{len(commands)} processes, slowest {slowest:.1f} s")
    return outcomes


def let_run_at_once(
    project: Project, launcher: Launcher, *commands: tuple[str, ...]
) -> list[Outcome]:
    """Like `let_run`, but forked, so that all of them reach the server in the same moment."""
    started = time.monotonic()
    running = [launcher.start(project.root, project.env, *command) for command in commands]
    outcomes = [one.finish(BOUND) for one in running]
    check_happy(outcomes)
    say(f"{len(commands)} forked processes, all done in {time.monotonic() - started:.1f} s")
    return outcomes


def check_happy(outcomes: list[Outcome]) -> None:
    """Assert that nobody failed or met a deadlock."""
    unhappy = Counter((outcome.code, outcome.err) for outcome in outcomes if outcome.code)
    assert not unhappy, f"{unhappy.total()} of {len(outcomes)} failed: {unhappy}"
    for outcome in outcomes:
        assert "Traceback" not in outcome.err
        assert "deadlock" not in outcome.err


def applied(outcomes: list[Outcome]) -> list[str]:
    """Return the revisions that anybody claims to have applied."""
    return sorted(name for outcome in outcomes for name in APPLIED.findall(outcome.err))


def check_once(project: Project, names: list[str]) -> None:
    """Assert that exactly *names* were applied, once each, and what they built is whole."""
    rows = project.query("SELECT revision FROM log ORDER BY revision")
    assert [row[0] for row in rows] == names
    assert project.query("SELECT version_num FROM alembic_version") == [(names[-1],)]
    assert project.query("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]
    assert project.query(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    ) == [(0,)]


def test_fifty_processes_create_migrate_and_migrate_again(project: Project) -> None:
    names = first_revisions(project)
    outcomes = let_run(project, *[("init",)] * CROWD)
    check_once(project, names)
    assert applied(outcomes) == names
    assert sum("created" in outcome.out for outcome in outcomes) == 1

    before = project.fingerprint()
    outcomes = let_run(project, *[("init",)] * CROWD)
    assert all("nothing to do" in outcome.out for outcome in outcomes)
    assert not any(outcome.err for outcome in outcomes), "at head nobody waits for anybody"
    assert project.fingerprint() == before

    more = five_more(project, 4)
    outcomes = let_run(project, *[("init",)] * CROWD)
    check_once(project, names + more)
    assert applied(outcomes) == more


def test_plain_alembic_mixes_with_our_commands(project: Project) -> None:
    names = first_revisions(project)
    project.prepare("init")
    more = five_more(project, 4)
    half = CROWD // 2
    outcomes = let_run(project, *[("init",), ("alembic", "upgrade", "head")] * half)
    check_once(project, names + more)
    assert set(applied(outcomes)) <= set(more)


def test_fifty_forked_processes_race_from_the_first_statement_on(
    project: Project, server_url: str, database_name: str, tmp_path: Path
) -> None:
    names = first_revisions(project)
    with Launcher(tmp_path / "output") as launcher:
        for options in ((), ("--from-migrations",), (), ("--from-migrations",)):
            drop(server_url, database_name)
            outcomes = let_run_at_once(project, launcher, *[("init", *options)] * CROWD)
            check_once(project, names)
            (creator,) = [outcome for outcome in outcomes if "created" in outcome.out]
            assert applied(outcomes) == ([] if "template" in creator.out.split("now")[0] else names)
        for _ in range(3):
            names += five_more(project, len(names) + 1)
            half = [("init",), ("alembic", "upgrade", "head")] * (CROWD // 2)
            outcomes = let_run_at_once(project, launcher, *half)
            check_once(project, names)
            assert set(applied(outcomes)) <= set(names)
