"""Ctrl-C and SIGTERM: the server's statement ends at once, the state is told, the code is true."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from tests.support.doors import command_line, run
from tests.support.project import Project, query


def wait_for_statement(project: Project, process: subprocess.Popen[str], text: str) -> None:
    """Wait until a session of the command *process* runs a statement with *text*."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if query(
            project.url.rpartition("/")[0] + "/postgres",
            "SELECT 1 FROM pg_stat_activity"
            " WHERE application_name LIKE %s AND state = 'active' AND query LIKE %s",
            f"db_ops %:{process.pid}",
            f"%{text}%",
        ):
            return
        time.sleep(0.05)
    pytest.fail(f"no session runs {text}")


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
    process = subprocess.Popen(
        command_line(door, ("init",), sleeping.root),
        cwd=sleeping.root,
        env={**os.environ, **sleeping.env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_statement(sleeping, process, "pg_sleep")
    signalled = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert time.monotonic() - signalled < 10
    assert process.returncode == code
    assert "Traceback" not in err
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
    process = subprocess.Popen(
        command_line("manage_db", ("init",), project.root),
        cwd=project.root,
        env={**os.environ, **project.env},
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_statement(project, process, "pg_sleep")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 143, err
    assert "SIGTERM" in err


def test_a_second_signal_leaves_at_once(project: Project) -> None:
    project.revision(
        "0001",
        """
        import time
        told = "deaf"
        for _ in range(60):
            try:
                print(told, flush=True)
                time.sleep(1)
            except KeyboardInterrupt:
                told = "not yet"
        """,
    )
    process = subprocess.Popen(
        command_line("manage_db", ("init",), project.root),
        cwd=project.root,
        env={**os.environ, **project.env},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "deaf\n"
    process.send_signal(signal.SIGINT)
    while (line := process.stdout.readline()) == "deaf\n":
        pass
    assert line == "not yet\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130


def test_waiting_for_a_server_can_be_interrupted(project: Project) -> None:
    from tests.support.cluster import free_port

    project.url = f"postgresql://u@127.0.0.1:{free_port()}/app"
    process = subprocess.Popen(
        command_line("manage_db", ("init",), project.root),
        cwd=project.root,
        env={**os.environ, **project.env},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "waiting" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "error: SIGINT" in err


def test_a_killed_client_loses_nothing(
    sleeping: Project, server_url: str, database_name: str
) -> None:
    query(server_url, f"CREATE DATABASE {database_name}")
    process = subprocess.Popen(
        command_line("manage_db", ("init",), sleeping.root),
        cwd=sleeping.root,
        env={**os.environ, **sleeping.env},
        stderr=subprocess.DEVNULL,
        text=True,
    )
    wait_for_statement(sleeping, process, "pg_sleep")
    process.kill()
    process.wait()
    sleeping.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    path = sleeping.revision_files[1]
    path.write_text(path.read_text().replace("pg_sleep(60)", "1"))
    argv = command_line("manage_db", ("init",), sleeping.root)
    outcome = run(argv, cwd=sleeping.root, env=sleeping.env).succeeded()
    assert "1 revision applied" in outcome.out
