"""What libpq and the server say while a connection is made comes as our own lines, and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import with_user
from tests.support.project import Project, query

_OTHER_VERSION = "UPDATE pg_database SET datcollversion = '0.1' WHERE datname = %s"


@pytest.fixture
def mismatched(migrated: Project, server_url: str, database_name: str) -> Project:
    """A project whose database was made with another version of the system's collations."""
    query(server_url, _OTHER_VERSION, database_name)
    return migrated


@pytest.fixture
def unguarded(project: Project, role: str, tmp_path: Path) -> Project:
    """A project whose password is in a file that others may read."""
    passwords = tmp_path / "passwords"
    passwords.write_text("*:*:*:*:role_secret\n")
    passwords.chmod(0o644)
    project.env["PGPASSFILE"] = str(passwords)
    project.url = with_user(project.url, role, "").replace(":@", "@")
    return project


def events(err: str) -> list[dict[str, object]]:
    """Return the log's lines, every one of which is a JSON document."""
    return [json.loads(line) for line in err.splitlines()]


def test_a_collation_of_another_version_is_told_once_in_one_line(mismatched: Project) -> None:
    outcome = mismatched.run("status").succeeded()
    (line,) = outcome.err.splitlines()
    assert line.startswith("127.0.0.1:")
    assert "collation version" in line
    assert "ALTER DATABASE" in line or "no actual collation version" in line


def test_a_collation_of_another_version_leaves_the_log_json(mismatched: Project) -> None:
    mismatched.env["DB_OPS_LOG"] = "json"
    outcome = mismatched.run("upgrade").succeeded()
    notices = [one for one in events(outcome.err) if one["event"] == "ConnectionNotice"]
    assert notices
    assert all("collation version" in str(one["text"]) for one in notices)


def test_quiet_is_quiet_about_it(mismatched: Project) -> None:
    assert mismatched.run("status", "-q").succeeded().err == ""


def test_plain_alembic_tells_it_too(mismatched: Project) -> None:
    outcome = mismatched.alembic("current")
    assert outcome.code == 0
    for line in outcome.err.splitlines():
        assert not line.startswith(("WARNING", "DETAIL", "HINT"))
    assert "collation version" in outcome.err


@pytest.mark.parametrize("log", ["text", "json"])
def test_a_password_file_that_others_may_read_is_named(unguarded: Project, log: str) -> None:
    unguarded.env["DB_OPS_LOG"] = log
    outcome = unguarded.run("status")
    assert outcome.code == 1
    if log == "json":
        first, *_, last = [one for one in events(outcome.err) if one["event"] != "Ended"]
        assert (first["event"], last["error"]) == ("ConnectionNotice", "PasswordMissing")
        return
    notice, error, hint = outcome.err.splitlines()
    assert unguarded.env["PGPASSFILE"] in notice
    assert "group or world access" in notice
    assert "for a password, and none is given" in error
    assert "PGPASSWORD" in hint
