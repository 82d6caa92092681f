"""Locks hold for processes that come in through different maintenance databases of one server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import pytest

from db_ops.builds.test_databases import database_factory
from db_ops.errors import MigrationLockHeld
from db_ops.postgres.locks.advisory_lock import lock_key, release_advisory_lock, try_advisory_lock
from db_ops.results import Event, WaitingForLock
from db_ops.settings import DatabaseUrl, Settings
from tests.conftest import drop, with_database
from tests.faults.support.pooler import Pooler
from tests.support.command import Command
from tests.support.project import Project, query


@pytest.fixture
def other(database_name: str, server_url: str) -> Iterator[str]:
    """The name of a second maintenance database."""
    name = f"{database_name}_m"
    query(server_url, f"CREATE DATABASE {name}")
    yield name
    drop(server_url, name)


@contextmanager
def _running(pooler: Pooler) -> Iterator[Pooler]:
    try:
        yield pooler
    finally:
        pooler.stop()


def exists(server_url: str, name: str) -> bool:
    return bool(query(server_url, "SELECT 1 FROM pg_database WHERE datname = %s", name))


def settings_of(project: Project, **options: object) -> Settings:
    url = DatabaseUrl.parse(project.url)
    return Settings(project.root / "alembic.ini", url, **options)  # type: ignore[arg-type]  # some of them


def test_a_build_is_alone_and_its_scratch_database_is_left_alone(
    project: Project, other: str, server_url: str
) -> None:
    project.revision("0001", "op.execute('SELECT pg_sleep(6)')")
    with Command(project, "init") as command:
        scratch = command.wait_until_it_runs("pg_sleep")
        project.env |= {
            "DB_OPS_MAINTENANCE_DATABASE": other,
            "DB_OPS_MIGRATION_LOCK_TIMEOUT": "0.7",
        }
        cleared = project.run("cache", "--clear").succeeded()
        assert f"dropped {scratch}" not in cleared.out
        assert exists(server_url, scratch)
        outcome = project.run("init").failed(5)
        assert f":{command.process.pid}" in outcome.error
        assert "pg_sleep" in outcome.error
        command.outcome().succeeded()
    project.run("init").succeeded()


def test_a_test_s_database_is_not_swept_by_others(
    project: Project, other: str, server_url: str
) -> None:
    project.table("0001", "one")
    with database_factory(settings_of(project)) as made:
        url = made.create()
        project.env["DB_OPS_MAINTENANCE_DATABASE"] = other
        project.run("cache", "--clear").succeeded()
        with database_factory(settings_of(project, maintenance_database=other)):
            assert exists(server_url, url.database)
        template = made.template
        assert template is not None
        assert exists(server_url, template)
        made.drop(url)


def test_a_template_that_somebody_holds_is_waited_for_within_bounds(
    project: Project, other: str, server_url: str
) -> None:
    project.table("0001", "one")
    with database_factory(settings_of(project)) as made:
        template = str(made.template)
    events: list[Event] = []
    holder = psycopg2.connect(
        **{**DatabaseUrl.parse(with_database(server_url, other)).parameters},
        application_name="the-holder",
    )
    holder.autocommit = True
    with holder.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (lock_key(template),))
    settings = settings_of(project, migration_lock_timeout=1.5)
    with (
        pytest.raises(MigrationLockHeld) as raised,
        database_factory(settings, on_event=events.append),
    ):
        pytest.fail("the template is somebody else's")
    holder.close()
    assert "the-holder" in raised.value.message
    assert any(isinstance(one, WaitingForLock) and "the-holder" in one.holder for one in events)


def test_a_lock_is_seen_from_every_database(server_url: str, other: str) -> None:
    key = lock_key("test", other)
    here, there = (
        psycopg2.connect(**DatabaseUrl.parse(with_database(server_url, name)).parameters)
        for name in ("postgres", other)
    )
    here.autocommit = there.autocommit = True
    assert try_advisory_lock(here, key)
    assert not try_advisory_lock(there, key)
    assert not try_advisory_lock(there, key, shared=True)
    release_advisory_lock(here, key)
    assert try_advisory_lock(there, key, shared=True)
    assert try_advisory_lock(here, key, shared=True)
    release_advisory_lock(here, key, shared=True)
    assert not try_advisory_lock(here, key)
    release_advisory_lock(there, key, shared=True)
    assert try_advisory_lock(here, key)
    here.close()
    there.close()


def test_a_migrator_is_seen_through_another_name_that_a_pooler_has_for_the_database(
    project: Project, database_name: str, server_url: str
) -> None:
    project.table("0001", "one")
    project.prepare("init")
    project.revision("0002", "op.execute('SELECT pg_sleep(8)')")
    with (
        _running(Pooler(server_url, "session", aliases={"by_another_name": database_name})) as pool,
        Command(project, "upgrade") as command,
    ):
        command.wait_until_it_runs("pg_sleep")
        project.url = pool.url(with_database(project.url, "by_another_name"))
        project.env["DB_OPS_MIGRATION_LOCK_TIMEOUT"] = "0.7"
        outcome = project.run("upgrade").failed(5)
        assert f":{command.process.pid}" in outcome.error
