"""Ctrl-C and SIGTERM: the server's statement ends at once, the state is told, the code is true."""

from __future__ import annotations

import signal
from contextlib import closing

import psycopg2
import pytest

from tests.support.cluster import free_port
from tests.support.command import Command
from tests.support.project import Project, query


@pytest.fixture
def sleeping(project: Project) -> Project:
    """A project whose second revision takes a minute."""
    project.table("0001", "one")
    project.revision("0002", "op.execute('SELECT pg_sleep(60)')")
    return project


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_the_statement_and_tells_what_was_applied(
    sleeping: Project, number: signal.Signals, code: int, door: str
) -> None:
    with Command(sleeping, "init", door=door) as command:
        command.wait_until_it_runs("pg_sleep")
        command.send(number)
        # The statement alone would take a minute.
        outcome = command.outcome(40)
    err = outcome.failed(code).err
    assert "1 of 2 revisions applied, the last 0001" in err
    assert "status" in err
    assert sleeping.query("SELECT version_num FROM alembic_version") == [("0001",)]
    assert not sleeping.query(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
        " AND query LIKE '%%pg_sleep%%' AND state = 'active' AND pid <> pg_backend_pid()"
    )


def test_a_signal_in_an_autocommit_block_is_told_too(project: Project) -> None:
    project.revision(
        "0001",
        """
        with op.get_context().autocommit_block():
            op.execute("SELECT pg_sleep(60)")
        """,
    )
    with Command(project, "init") as command:
        command.wait_until_it_runs("pg_sleep")
        command.send(signal.SIGTERM)
        assert "SIGTERM" in command.outcome(40).failed(143).error


def test_a_second_signal_leaves_at_once(project: Project) -> None:
    project.revision(
        "0001",
        """
        import sys
        import time
        told = "deaf"
        for _ in range(60):
            try:
                print(told, file=sys.stderr, flush=True)
                time.sleep(1)
            except KeyboardInterrupt:
                told = "not yet"
        """,
    )
    with Command(project, "init") as command:
        command.wait_until_it_says("deaf")
        command.send(signal.SIGINT)
        command.wait_until_it_says("not yet")
        command.send(signal.SIGINT)
        assert command.outcome(40).code == 130


def test_signals_that_are_ignored_from_the_start_stay_ignored(migrated: Project) -> None:
    migrated.revision("0004", "op.execute('SELECT pg_advisory_xact_lock(5)')")
    ignored = (signal.SIGINT, signal.SIGTERM)
    with (
        closing(psycopg2.connect(migrated.url)) as holder,
        Command(migrated, "upgrade", ignored=ignored) as command,
    ):
        holder.cursor().execute("SELECT pg_advisory_xact_lock(5)")
        command.wait_until_it_runs("pg_advisory_xact_lock(5)")
        for number in ignored:
            command.send(number)
        holder.rollback()
        command.outcome().succeeded()
    assert migrated.query("SELECT version_num FROM alembic_version") == [("0004",)]


def test_waiting_for_a_server_can_be_interrupted(project: Project) -> None:
    project.url = f"postgresql://u@127.0.0.1:{free_port()}/app"
    with Command(project, "init") as command:
        command.wait_until_it_says("waiting")
        command.send(signal.SIGINT)
        outcome = command.outcome(40).failed(130)
    assert "waiting" in outcome.err.splitlines()[0]
    assert outcome.error.startswith("SIGINT")


def test_a_killed_client_loses_nothing(
    sleeping: Project, server_url: str, database_name: str
) -> None:
    query(server_url, f"CREATE DATABASE {database_name}")
    with Command(sleeping, "init") as command:
        command.wait_until_it_runs("pg_sleep")
        command.kill()
    sleeping.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    path = sleeping.revision_files[1]
    path.write_text(path.read_text().replace("pg_sleep(60)", "1"))
    assert "1 revision applied" in sleeping.run("init").succeeded().out
