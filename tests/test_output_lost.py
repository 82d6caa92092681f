"""A full or closed stdout or stderr: no traceback, nothing half-done, a documented exit code."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from tests.support.doors import Outcome, command_line, in_a_shell
from tests.support.project import Project


def redirected(project: Project, redirection: str, *arguments: str, door: str) -> Outcome:
    typed = shlex.join(command_line(door, arguments, project.root))
    done = subprocess.run(
        ["bash", "-c", f"{typed} {redirection}"],
        cwd=project.root,
        env=in_a_shell(project.env),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
@pytest.mark.parametrize("arguments", [("status",), ("status", "--json"), ("--help",)])
def test_a_result_that_cannot_be_written_is_a_failure(
    migrated: Project, redirection: str, arguments: tuple[str, ...]
) -> None:
    outcome = redirected(migrated, redirection, *arguments, door="manage_db").failed(1)
    assert "stdout: the result could not be written" in outcome.error


def test_under_inv_too(migrated: Project) -> None:
    outcome = redirected(migrated, ">/dev/full", "status", door="inv").failed(1)
    assert "stdout: the result could not be written" in outcome.error


def test_what_is_not_written_need_not_be_written(project: Project) -> None:
    project.table("0001", "one")
    assert redirected(project, ">&-", "init", "-q", door="manage_db").code == 0
    assert project.tables == ["alembic_version", "one"]


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", ">&- 2>&- <&-", "&>/dev/full"])
def test_a_lost_stderr_stops_nothing_half_way(project: Project, redirection: str) -> None:
    project.table("0001", "one")
    project.revision("0002", "print('from the project')\nop.execute('CREATE TABLE two (id int)')")
    outcome = redirected(project, redirection, "init", "--from-migrations", door="manage_db")
    lost = "&>" in redirection or redirection.startswith(">")
    assert outcome.code == (1 if lost else 0)
    assert project.tables == ["alembic_version", "one", "two"]
    assert project.query("SELECT version_num FROM alembic_version") == [("0002",)]


def test_an_error_that_cannot_be_told_keeps_its_exit_code(migrated: Project) -> None:
    command = ("delete-db", "--confirm", "other", "--json")
    assert redirected(migrated, "2>/dev/full", *command, door="manage_db").code == 4
    assert redirected(migrated, "&>/dev/full", *command, door="manage_db").code == 4
    assert len(migrated.tables) == 4


def test_a_log_that_cannot_be_written_stops_nothing(project: Project) -> None:
    project.env["DB_OPS_LOG"] = "json"
    project.table("0001", "one")
    assert redirected(project, "2>/dev/full", "init", door="manage_db").code == 0
    assert project.tables == ["alembic_version", "one"]
