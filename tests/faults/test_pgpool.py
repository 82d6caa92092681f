"""Pgpool-II in front of a primary and its standby: served where it only leads to the primary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.faults.support.machine import Machine
from tests.faults.support.pgpool import Pgpool
from tests.support.cluster import Cluster
from tests.support.launcher import Launcher
from tests.support.project import Project, make_project, query

pytestmark = pytest.mark.faults

WRITERS = (
    ("init",),
    ("upgrade",),
    ("downgrade",),
    ("recreate",),
    ("delete-db",),
    ("stamp", "head"),
    ("snapshot", "one"),
)


@pytest.fixture(scope="module")
def machines() -> Iterator[list[Machine]]:
    """A primary and its standby."""
    with ExitStack() as stack:
        original = Cluster()
        original.stop()
        stack.callback(original.remove)
        primary = Machine.copy_of(original, max_connections="60")
        stack.callback(primary.remove)
        primary.start().ready()
        standby = Machine.standby_of(original, primary)
        standby.settings["max_connections"] = "60"
        stack.callback(standby.remove)
        standby.start().ready()
        yield [primary, standby]


def pgpool_of(machines: list[Machine], **settings: str) -> Pgpool:
    """Return a running Pgpool-II with *settings*."""
    return Pgpool(*(one.url("postgres") for one in machines), **settings)


@pytest.fixture(scope="module")
def balancing(machines: list[Machine]) -> Iterator[Pgpool]:
    """One that lets the standby answer what only reads."""
    pgpool = pgpool_of(machines, load_balance_mode="on")
    yield pgpool
    pgpool.stop()


@pytest.fixture(scope="module")
def leading(machines: list[Machine]) -> Iterator[Pgpool]:
    """One that leads everything to the primary."""
    pgpool = pgpool_of(machines, load_balance_mode="off")
    yield pgpool
    pgpool.stop()


@pytest.fixture(scope="module")
def caching(machines: list[Machine]) -> Iterator[Pgpool]:
    """One that remembers what it has been asked."""
    pgpool = pgpool_of(machines, load_balance_mode="off", memory_cache_enabled="on")
    yield pgpool
    pgpool.stop()


@pytest.fixture
def pending(
    machines: list[Machine], tmp_path_factory: pytest.TempPathFactory, launcher: Launcher
) -> Project:
    """A project with a revision applied at the primary, and a pending one."""
    folder = tmp_path_factory.mktemp("pgpool")
    url = machines[0].url(f"t_{folder.name}".replace("-", "_"))
    project = make_project(folder / "project", url, launcher.run)
    project.env["DB_OPS_ENVIRONMENT"] = "development"
    project.table("0001", "one")
    project.run("init").succeeded()
    project.table("0002", "two")
    # It connects to both.
    machines[1].catch_up(machines[0])
    return project


def recorded(project: Project) -> list[tuple[object, ...]]:
    """Return what is recorded at the primary."""
    return query(project.url, "SELECT version_num FROM alembic_version")


@pytest.mark.parametrize("command", WRITERS, ids=" ".join)
def test_no_command_writes_through_a_pgpool_that_lets_standbys_answer(
    pending: Project, balancing: Pgpool, command: tuple[str, ...]
) -> None:
    direct, before = pending.url, pending.fingerprint()
    pending.url = balancing.url(direct)
    outcome = pending.run(*command).failed(1)
    assert "Pgpool-II with load_balance_mode = on" in outcome.error
    assert "DB_OPS_MIGRATION_URL" in outcome.hint
    pending.url = direct
    assert pending.fingerprint() == before


def test_no_revision_is_applied_through_a_pgpool_with_a_cache(
    pending: Project, caching: Pgpool
) -> None:
    direct = pending.url
    pending.url = caching.url(direct)
    outcome = pending.run("upgrade").failed(1)
    assert "Pgpool-II with memory_cache_enabled = on" in outcome.error
    pending.url = direct
    assert recorded(pending) == [("0001",)]


def test_migrations_run_through_a_pgpool_that_leads_to_the_primary(
    pending: Project, leading: Pgpool
) -> None:
    direct = pending.url
    pending.url = leading.url(direct)
    assert "1 revision applied" in pending.run("upgrade").succeeded().out
    assert "nothing to do" in pending.run("init").succeeded().out
    pending.run("downgrade").succeeded()
    assert "1 revision applied" in pending.run("init").succeeded().out
    assert "up to date" in pending.run("status").succeeded().out
    pending.url = direct
    assert recorded(pending) == [("0002",)]


def test_a_url_for_migrations_leads_past_a_pgpool(pending: Project, balancing: Pgpool) -> None:
    direct = pending.env["DB_OPS_MIGRATION_URL"] = pending.url
    pending.url = balancing.url(direct)
    assert "1 revision applied" in pending.run("upgrade").succeeded().out


def test_a_connection_that_comes_back_from_pgpool_keeps_no_lock(
    pending: Project, leading: Pgpool
) -> None:
    direct = pending.url
    pending.url = leading.url(direct)
    pending.run("upgrade").succeeded()
    held = query(direct, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
    assert held == [(0,)]
