"""Commands that threads of one program call at the same time."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError, Event

import pytest

import db_ops
from db_ops.errors import CommandRunning
from db_ops.frozen_data import replace
from db_ops.settings import DatabaseUrl, Settings
from tests.conftest import drop, with_database
from tests.support.project import Project, make_project

ENV_PY = """
import barrier
from alembic import context
from sqlalchemy import MetaData, create_engine

with barrier.inside():
    with create_engine("postgresql+psycopg2://nobody@nowhere.invalid/none").connect() as connection:
        context.configure(connection=connection, target_metadata=MetaData())
        with context.begin_transaction():
            context.run_migrations()
"""


class Rendezvous:
    """Gives another thread the time to come in while one is inside of env.py; counts them."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.barrier = Barrier(2)

    def __enter__(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        with suppress(BrokenBarrierError):
            self.barrier.wait(0.2)

    def __exit__(self, *error: object) -> None:
        self.now -= 1


def settings_of(project: Project) -> Settings:
    return Settings(project.root / "alembic.ini", DatabaseUrl.parse(project.url))


@pytest.fixture
def two(
    project: Project, tmp_path: Path, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Project]]:
    name = f"{DatabaseUrl.parse(project.url).database}_2"
    other = make_project(tmp_path / "other", with_database(server_url, name))
    for number, one in enumerate((project, other)):
        one.table("0001", f"table_of_{number}")
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield [project, other]
    drop(server_url, name)


def test_two_threads_run_their_commands_one_after_the_other(
    two: list[Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patches for one env.py would send the other's revisions into the wrong database."""
    rendezvous, module = Rendezvous(), types.ModuleType("barrier")
    vars(module)["inside"] = lambda: rendezvous
    monkeypatch.setitem(sys.modules, "barrier", module)
    for one in two:
        (one.root / "alembic" / "env.py").write_text(ENV_PY)
    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(lambda one: db_ops.init(settings_of(one)), two))
    assert rendezvous.most == 1
    assert [len(result.steps) for result in results] == [1, 1]
    assert [one.tables for one in two] == [
        ["alembic_version", f"table_of_{number}"] for number in range(2)
    ]


def test_a_command_of_another_thread_is_not_waited_for_without_end(migrated: Project) -> None:
    entered, leave = Event(), Event()

    def hold(event: object) -> None:
        entered.set()
        leave.wait(30)

    migrated.table("0004", "four")
    settings = settings_of(migrated)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(db_ops.upgrade, settings, on_event=hold)
        assert entered.wait(30)
        try:
            with pytest.raises(CommandRunning, match=r"status: another thread .* \(waited 0 s\)"):
                db_ops.status(replace(settings, migration_lock_timeout=0.1))
        finally:
            leave.set()
        assert len(running.result().steps) == 1
    assert db_ops.status(settings).current == ("0004",)
