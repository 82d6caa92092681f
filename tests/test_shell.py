"""`shell`: psql on the service's own database."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

import db_ops
from db_ops.errors import ClientMissing
from db_ops.postgres.embedded import programs
from tests.support.cluster import PASSWORD
from tests.support.doors import command_line, in_a_shell
from tests.support.project import Project
from tests.support.terminal import terminal


def piped(project: Project, text: str) -> subprocess.CompletedProcess[str]:
    argv = command_line("manage_db", ("shell",), project.root)
    env = in_a_shell(project.env)
    return subprocess.run(
        argv, cwd=project.root, env=env, input=text, capture_output=True, text=True
    )


def test_a_statement_runs_in_the_database(migrated: Project, door: str) -> None:
    outcome = migrated.run("shell", "-c", "INSERT INTO one VALUES (7) RETURNING id + 1", door=door)
    assert "\n        8\n" in outcome.succeeded().out
    assert migrated.query("SELECT id FROM one") == [(7,)]


def test_standard_input_is_run_up_to_the_first_error(migrated: Project) -> None:
    done = piped(migrated, "INSERT INTO one VALUES (1);\nSELECT oops;\nINSERT INTO one VALUES (2);")
    assert done.returncode == 1
    assert 'column "oops" does not exist' in done.stderr
    assert "error: " in done.stderr
    assert "psql ended with exit code 3" in done.stderr
    assert migrated.query("SELECT id FROM one") == [(1,)]


def test_no_argument_holds_the_password(migrated: Project) -> None:
    outcome = migrated.run("shell", "-c", r"\! tr '\0' ' ' < /proc/$PPID/cmdline")
    arguments = outcome.succeeded().out
    assert "application_name" not in arguments
    assert "host" in arguments
    assert "password" not in arguments
    assert PASSWORD not in arguments


def test_a_secret_that_has_no_variable_is_in_no_argument_either(migrated: Project) -> None:
    migrated.url += "?sslpassword=top-secret"
    outcome = migrated.run("shell", "-c", r"\! tr '\0' ' ' < /proc/$PPID/cmdline")
    assert "top-secret" not in outcome.succeeded().out
    assert "service=db_ops" in outcome.out


def test_a_missing_database_is_told_in_our_words(project: Project) -> None:
    outcome = project.run("shell", "-c", "SELECT 1").failed(1)
    assert "does not exist" in outcome.error
    assert outcome.hint.endswith("manage_db.py init")


def test_without_psql_it_is_said_what_to_install(
    migrated: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setenv("DATABASE_URL", migrated.url)
    monkeypatch.setattr(programs, "WHEEL", "no_such_package")
    monkeypatch.setattr(programs, "USUAL_PLACES", ())
    with pytest.raises(ClientMissing) as raised:
        db_ops.shell(db_ops.load(migrated.root / "alembic.ini"), command="SELECT 1")
    assert "psql was not found" in raised.value.message


def test_control_c_ends_a_query_and_not_the_session(migrated: Project) -> None:
    argv = command_line("manage_db", ("shell",), migrated.root)
    with terminal(argv, cwd=migrated.root, env={**migrated.env, "PAGER": "cat"}) as screen:
        screen.wait_for("=#")
        os.write(screen.descriptor, b"SELECT pg_sleep(60);\n")
        while not migrated.query("SELECT 1 FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'"):
            screen.read()
        # The terminal sends it to all of its foreground process group.
        os.killpg(screen.process.pid, signal.SIGINT)
        screen.wait_for("canceling statement due to user request")
        os.write(screen.descriptor, b"SELECT 6 * 7 AS answer;\n")
        screen.wait_for("42")
        os.write(screen.descriptor, b"\\q\n")
        assert screen.end() == 0
