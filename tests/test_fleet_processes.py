"""`fleet` in other processes: killed, in pods of an Indexed Job, and by executors of others."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from urllib.parse import urlsplit

import pytest

import db_ops
from db_ops.errors import InvalidSettings, UsageError
from db_ops.frozen_data import replace
from db_ops.results import FleetReport
from db_ops.settings import DatabaseUrl, Settings
from db_ops.settings.fleet import FleetSettings
from tests.conftest import drop
from tests.support.command import Command
from tests.support.launcher import Forked, Launcher
from tests.support.project import Project, query
from tests.support.schemas import validated
from tests.test_fleet import Fleet

SLOW = "op.execute('SELECT pg_sleep(0.3)')\nop.execute('CREATE TABLE slow (id int)')"


@pytest.fixture
def fleet(migrated: Project, server_url: str) -> Iterator[Fleet]:
    """Six tenants, for which a revision is pending that takes 0.3 s."""
    made = Fleet(migrated, server_url)
    made.add("a", "b", "c", "d", "e", "f")
    migrated.revision("0004", SLOW)
    yield made
    for name in made.names:
        drop(server_url, name)


def sessions(fleet: Fleet) -> list[tuple[object, ...]]:
    """Return pid of the client, and database, of each session that runs the slow statement."""
    return query(
        fleet.server_url,
        "SELECT substring(application_name FROM '[0-9]+$')::int, datname FROM pg_stat_activity"
        f" WHERE datname LIKE '{fleet.prefix}%' AND state = 'active' AND query ~ 'pg_sleep'",
    )


def first_session(fleet: Fleet) -> tuple[int, str]:
    deadline = time.monotonic() + 60
    while not (found := sessions(fleet)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    pid, database = found[0]
    return int(str(pid)), str(database)


def applied(fleet: Fleet) -> list[int]:
    """Return how often the slow revision is recorded, and there, in each database."""
    counts = []
    for name in fleet.names:
        word = name.rpartition("_")[2]
        statement = "SELECT count(*)::int FROM db_ops.history WHERE revision = '0004'"
        counts.append(int(str(fleet.query(word, statement)[0][0])))
        assert fleet.at(word) == "0004"
    return counts


def test_a_worker_that_is_killed_costs_its_database_and_no_other(fleet: Fleet) -> None:
    with Command(fleet.project, "fleet", "upgrade", "--jobs", "2", "--json") as command:
        pid, database = first_session(fleet)
        os.kill(pid, signal.SIGKILL)
        outcome = command.outcome()
    report = validated("fleet.json", outcome.out)
    assert outcome.code == 1
    (lost,) = report["failed"]
    assert (lost["name"], lost["error"]) == (database, "WorkerLost")
    assert "SIGKILL" in lost["message"]
    assert report["states"] == {"applied": 5, "failed": 1}
    again = fleet.project.run("fleet", "upgrade").succeeded().out
    assert "5 at head" in again
    assert applied(fleet) == [1] * 6


def test_a_run_that_is_killed_or_interrupted_is_run_again(fleet: Fleet) -> None:
    with Command(fleet.project, "fleet", "upgrade", "--jobs", "2") as command:
        first_session(fleet)
        command.kill()
    # Its workers end with what they are at.
    deadline = time.monotonic() + 60
    while sessions(fleet):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with Command(fleet.project, "fleet", "upgrade", "--jobs", "2") as command:
        first_session(fleet)
        command.send(signal.SIGINT)
        outcome = command.outcome()
    assert outcome.code == 130, outcome.err
    assert outcome.error
    fleet.project.run("fleet", "upgrade").succeeded()
    assert applied(fleet) == [1] * 6


def test_eight_pods_of_an_indexed_job_share_the_fleet_and_two_are_started_again(
    fleet: Fleet, launcher: Launcher
) -> None:
    fleet.add("g", "h", "i", "j")

    def start(index: int) -> Forked:
        env = {**fleet.project.env, "JOB_COMPLETION_INDEX": str(index)}
        return launcher.start(fleet.project.root, env, "fleet", "upgrade", "--shard", "/8")

    pods = [start(index) for index in range(8)]
    first_session(fleet)
    killed = [index for index in range(8) if pods[index].poll() is None][:2]
    for index in killed:
        pods[index].kill()
        pods[index] = start(index)
    outcomes = [pod.finish(120) for pod in pods]
    assert [outcome.code for outcome in outcomes] == [0] * 8, [one.out for one in outcomes]
    assert applied(fleet) == [1] * 10


def settings_of(fleet: Fleet, url: str | None = None) -> Settings:
    """Return the settings of the project in this process."""
    return replace(
        Settings(fleet.project.root / "alembic.ini"),
        url=DatabaseUrl.parse(url or fleet.project.url),
        user_cache=fleet.project.root / "cache",
        fleet=FleetSettings(pattern=f"{fleet.prefix}_*"),
    )


@pytest.fixture
def workers(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProcessPoolExecutor]:
    """The standard library's process pool, with the URL in the environment of its processes."""
    monkeypatch.setenv("DATABASE_URL", fleet.project.url)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


def test_the_standard_process_pool_does_the_work(
    fleet: Fleet, workers: ProcessPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[object] = []
    submit = workers.submit
    monkeypatch.setattr(
        workers, "submit", lambda work, task: (sent.append(task), submit(work, task))[1]
    )
    report = db_ops.fleet(settings_of(fleet), "upgrade", executor=workers, jobs=2)
    assert isinstance(report, FleetReport)
    assert report.states == {"applied": 6}
    assert applied(fleet) == [1] * 6
    password = urlsplit(fleet.project.url).password
    assert password
    assert password not in str(sent)
    assert str(DatabaseUrl.parse(fleet.project.url).parameters["password"]) not in str(sent)


def test_workers_of_others_are_not_sent_secrets_and_refuse_another_server(
    fleet: Fleet, workers: ProcessPoolExecutor
) -> None:
    (fleet.project.root / "urls").write_text(fleet.url("a"))
    named = replace(settings_of(fleet), fleet=FleetSettings(file="urls"))
    with pytest.raises(UsageError, match="holds a secret"):
        db_ops.fleet(named, "status", executor=workers)
    elsewhere = fleet.project.url.replace("127.0.0.1", "localhost")
    report = db_ops.fleet(settings_of(fleet, elsewhere), "status", executor=workers)
    assert {one.error for one in report.failed} == {InvalidSettings.__name__}
    assert "in this process" in str(report.failed[0].message)
