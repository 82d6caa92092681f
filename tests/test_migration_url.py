"""A URL for migrations beside the application's, which leads through a pooler."""

from __future__ import annotations

from pathlib import Path

import pytest

import db_ops
from tests.conftest import with_database, with_user
from tests.support.foreign import KINDS, copy_project
from tests.support.launcher import Launcher
from tests.support.project import Project, query

MISUSED, REFUSED = 2, 4
NOWHERE = "postgresql://app:pooled_secret@127.0.0.1:1/{}"


@pytest.fixture
def pooled(migrated: Project, database_name: str) -> Project:
    """A migrated project whose application goes where nobody answers."""
    migrated.env["DB_OPS_MIGRATION_URL"] = migrated.url
    migrated.url = NOWHERE.format(database_name)
    return migrated


def direct(project: Project) -> str:
    return project.env["DB_OPS_MIGRATION_URL"]


def test_commands_go_where_migrations_do(pooled: Project, door: str) -> None:
    pooled.table("0004", "four")
    assert "1 revision applied" in pooled.run("upgrade", door=door).succeeded().out
    rows = query(direct(pooled), "SELECT version_num FROM alembic_version")
    assert rows == [("0004",)]
    for arguments in (("recreate",), ("status", "--check"), ("delete-db",), ("init",)):
        pooled.run(*arguments).succeeded()


def test_the_plain_command_goes_there_too(pooled: Project) -> None:
    pooled.table("0004", "four")
    pooled.alembic("upgrade", "head").succeeded()
    rows = query(direct(pooled), "SELECT version_num FROM alembic_version")
    assert rows == [("0004",)]


def test_the_shell_and_the_url_are_the_application_s(
    migrated: Project, role: str, database_name: str
) -> None:
    migrated.env["DB_OPS_MIGRATION_URL"] = migrated.url
    migrated.env["DB_OPS_ROLE"] = "pg_monitor"
    migrated.url = with_user(migrated.url, role, "role_secret")
    who = migrated.run("shell", "-c", "SELECT 'I am ' || current_user").succeeded().out
    assert f"I am {role}" in who
    assert f"://{role}@" in migrated.run("url").succeeded().out


def test_the_stricter_of_two_hosts_makes_the_environment(pooled: Project) -> None:
    pooled.url = pooled.url.replace("127.0.0.1", "pool.example.com")
    database = pooled.url.rpartition("/")[2]
    for command in ("recreate", "delete-db"):
        outcome = pooled.run(command).failed(REFUSED)
        assert "refused: the environment is production" in outcome.error
        assert outcome.hint.endswith(f" {command} --confirm {database}")
    pooled.env["DB_OPS_MIGRATION_URL"] = direct(pooled).replace("127.0.0.1", "db.example.com")
    pooled.url = pooled.url.replace("pool.example.com", "127.0.0.1")
    assert "environment is production" in pooled.run("delete-db").failed(REFUSED).error


def test_two_names_of_a_database_destroy_nothing_unconfirmed(
    pooled: Project, database_name: str
) -> None:
    pooled.url = NOWHERE.format("alias")
    assert "at 0003, nothing to do" in pooled.run("init").succeeded().out
    said = f"names the database 'alias', DB_OPS_MIGRATION_URL names '{database_name}'"
    for command in ("recreate", "delete-db"):
        assert said in pooled.run(command).failed(REFUSED).error
    assert "--confirm names 'alias'" in pooled.run("recreate", "--confirm", "alias").error
    pooled.run("recreate", "--confirm", database_name).succeeded()


def test_a_url_that_is_typed_beside_an_env_file_with_both_is_not_overruled(
    pooled: Project, database_name: str
) -> None:
    (pooled.root / ".env").write_text(
        f"DATABASE_URL={pooled.url}\nDB_OPS_MIGRATION_URL={direct(pooled)}\n"
    )
    del pooled.env["DB_OPS_MIGRATION_URL"]
    pooled.url = NOWHERE.format("another")
    outcome = pooled.run("init").failed(MISUSED)
    assert "DB_OPS_MIGRATION_URL: in .env: names the database" in outcome.error
    assert "DATABASE_URL in the environment 'another'" in outcome.error
    del pooled.env["DATABASE_URL"]
    assert "at 0003" in pooled.run("init").succeeded().out


def test_doctor_shows_both_and_no_password(pooled: Project, database_name: str) -> None:
    out = pooled.run("doctor").succeeded().out
    assert f"@127.0.0.1:1/{database_name}  (DATABASE_URL)" in out
    assert f"/{database_name}  (DB_OPS_MIGRATION_URL)" in out
    pooled.url = NOWHERE.format("alias")
    said = pooled.run("doctor").succeeded().out
    assert f"names the database 'alias', migrations go to '{database_name}'" in said
    assert "pooled_secret" not in out + said
    assert "s3cr" not in out + said


def test_what_is_wrong_with_the_url_for_migrations_is_said_of_it(pooled: Project) -> None:
    database = pooled.url.rpartition("/")[2]
    pooled.env["DB_OPS_MIGRATION_URL"] = NOWHERE.format(database)
    pooled.env["DB_OPS_WAIT_TIMEOUT"] = "0"
    assert "correct DB_OPS_MIGRATION_URL" in pooled.run("status").failed(5).hint
    pooled.env["DB_OPS_MIGRATION_URL"] = "postgresql://app:pooled_secret@h/"
    outcome = pooled.run("status").failed(MISUSED)
    assert "DB_OPS_MIGRATION_URL" in outcome.hint
    assert "pooled_secret" not in outcome.err


def test_it_may_stand_in_a_file(pooled: Project, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(pooled.env.pop("DB_OPS_MIGRATION_URL"))
    pooled.env["DB_OPS_MIGRATION_URL_FILE"] = str(secret)
    assert "at 0003" in pooled.run("init").succeeded().out


@pytest.mark.parametrize("name", ["ini_url", "url_from", "url_env"])
def test_a_project_that_keeps_its_url_elsewhere_is_migrated_there(
    name: str, new_database_url: str, tmp_path: Path, launcher: Launcher
) -> None:
    kind = next(one for one in KINDS if one.name == name)
    database = new_database_url.rpartition("/")[2]
    foreign = copy_project(kind, tmp_path / "foreign", NOWHERE.format(database), launcher)
    foreign.env["DB_OPS_MIGRATION_URL"] = new_database_url
    foreign.run("init").succeeded()
    assert query(new_database_url, "SELECT version_num FROM alembic_version") == [("0002",)]
    out = foreign.run("doctor").out
    assert f"127.0.0.1:1/{database}" in out
    away = copy_project(kind, tmp_path / "away", NOWHERE.format("alias"), launcher)
    away.env["DB_OPS_MIGRATION_URL"] = new_database_url
    assert "names the database 'alias'" in away.run("delete-db").failed(REFUSED).error


def test_databases_of_tests_are_neither_there_nor_the_role_s(
    pooled: Project, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_OPS_MIGRATION_URL", direct(pooled))
    monkeypatch.setenv("DB_OPS_ROLE", "nobody")
    monkeypatch.setenv("DB_OPS_TEST_URL", with_database(server_url, "postgres"))
    settings = db_ops.load(pooled.root, for_tests=True)
    assert (settings.role, settings.application_url) == (None, None)
    assert settings.database == "test"
