"""A server that is full, or dies, while a fleet is upgraded."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import psycopg2
import pytest

from tests.faults.support.machine import Machine
from tests.faults.support.service import until
from tests.support.cluster import Cluster
from tests.support.command import Command
from tests.support.launcher import Launcher
from tests.support.project import Project, make_project, query
from tests.support.schemas import validated

pytestmark = pytest.mark.faults

TENANTS = [f"tenant_{number:02}" for number in range(12)]
SLOW = "op.execute('SELECT pg_sleep(0.2)')\nop.execute('CREATE TABLE slow (id int)')"


@pytest.fixture
def machine(original: Cluster) -> Iterator[Machine]:
    """A small server of the test's own."""
    machine = Machine.copy_of(original, max_connections="14")
    machine.start().ready()
    yield machine
    machine.remove()


@pytest.fixture
def fleet(machine: Machine, tmp_path: Path, launcher: Launcher) -> Project:
    """Twelve tenants there, for which a revision is pending that takes 0.2 s."""
    project = make_project(tmp_path / "project", machine.url("base"), launcher.run)
    project.table("0001", "one")
    project.prepare("init")
    for name in TENANTS:
        machine.query(f"CREATE DATABASE {name} TEMPLATE base")
    (project.root / "pyproject.toml").write_text('[tool.db_ops.fleet]\npattern = "tenant_*"\n')
    project.revision("0002", SLOW)
    return project


def wait_until_it_migrates(machine: Machine) -> None:
    """Wait until the revision runs in one of the tenants."""
    running = (
        "SELECT pid FROM pg_stat_activity"
        " WHERE datname LIKE 'tenant%' AND state = 'active' AND query LIKE '%pg_sleep%'"
    )
    until(lambda: bool(machine.query(running)), lambda: "no tenant is migrated")


@contextmanager
def occupied(url: str) -> Iterator[None]:
    """Take every connection of the server, also one that becomes free, for a `with` block."""
    done = threading.Event()

    def occupy() -> None:
        with ExitStack() as stack:
            while not done.is_set():
                with suppress(psycopg2.OperationalError):  # too many clients already
                    stack.enter_context(closing(psycopg2.connect(url)))

    occupying = threading.Thread(target=occupy)
    occupying.start()
    try:
        yield
    finally:
        done.set()
        occupying.join()


def all_are_at_head_once(machine: Machine) -> None:
    """See in each database that the revision is there, recorded, and was applied once."""
    for name in TENANTS:
        url = machine.url(name)
        assert query(url, "SELECT version_num FROM alembic_version") == [("0002",)]
        once = "SELECT count(*)::int FROM db_ops.history WHERE revision = '0002'"
        assert query(url, once) == [(1,)], name
        assert query(url, "SELECT count(*)::int FROM slow") == [(0,)]


def test_a_server_that_is_full_is_waited_for_and_a_line_each_if_it_stays_so(
    machine: Machine, fleet: Project
) -> None:
    fleet.env["DB_OPS_WAIT_TIMEOUT"] = "1"
    with Command(fleet, "fleet", "upgrade", "--jobs", "2", "--json") as run:
        wait_until_it_migrates(machine)
        with occupied(machine.url("postgres")):
            outcome = run.outcome()
    report = validated("fleet.json", outcome.out)
    assert outcome.code == 1
    assert {one["error"] for one in report["failed"]} == {"ServerUnreachable"}
    assert "no free connection slot" in report["failed"][0]["message"]
    assert sum(report["states"].values()) == len(TENANTS)
    assert report["states"]["applied"] >= 1
    fleet.run("fleet", "upgrade").succeeded()
    all_are_at_head_once(machine)


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_server_that_is_killed_costs_what_was_under_way(
    machine: Machine, fleet: Project, comes_back: bool
) -> None:
    fleet.env["DB_OPS_WAIT_TIMEOUT"] = "20" if comes_back else "0.5"
    with Command(fleet, "fleet", "upgrade", "--jobs", "3", "--json") as run:
        wait_until_it_migrates(machine)
        machine.stop(signal.SIGQUIT)
        if comes_back:
            machine.start().ready()
        outcome = run.outcome()
    report = validated("fleet.json", outcome.out)
    assert outcome.code == 1, outcome.out
    failed = {one["name"]: one["error"] for one in report["failed"]}
    assert set(failed.values()) <= {"ConnectionLost", "ServerUnreachable"}, failed
    if comes_back:
        assert len(failed) <= 3, failed
        assert report["states"]["applied"] + len(failed) == len(TENANTS)
    else:
        assert len(failed) >= len(TENANTS) - 3
        machine.start().ready()
    for name in TENANTS:
        # What is reported to be applied is there, and only that.
        at = query(machine.url(name), "SELECT version_num FROM alembic_version")
        assert name in failed or at == [("0002",)], name
    fleet.run("fleet", "upgrade").succeeded()
    all_are_at_head_once(machine)
