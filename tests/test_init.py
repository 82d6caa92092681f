"""`init`: creates the database if it is missing and applies every migration."""

from __future__ import annotations

import json

from tests.conftest import with_user
from tests.support.project import Project, query


def test_init_on_an_empty_server_creates_and_migrates(project: Project, door: str) -> None:
    project.table("0001", "one")
    project.table("0002", "two")
    outcome = project.run("init", door=door).succeeded()
    assert "created" in outcome.out
    assert "2 revisions applied" in outcome.out
    assert project.tables == ["alembic_version", "one", "two"]
    assert project.query("SELECT version_num FROM alembic_version") == [("0002",)]


def test_second_init_changes_nothing_and_says_so(migrated: Project, door: str) -> None:
    before = migrated.fingerprint()
    outcome = migrated.run("init", door=door).succeeded()
    assert "at 0003, nothing to do" in outcome.out
    assert not outcome.err
    assert migrated.fingerprint() == before


def test_init_at_head_imports_neither_sqlalchemy_nor_alembic(migrated: Project) -> None:
    migrated.env["PYTHONPROFILEIMPORTTIME"] = "1"
    imported = migrated.run("init", new_interpreter=True).succeeded().err
    assert "db_ops.target.create" in imported
    assert "sqlalchemy" not in imported
    assert "alembic.config" not in imported


def test_init_applies_only_what_is_pending(migrated: Project) -> None:
    migrated.table("0004", "four")
    result = json.loads(migrated.run("init", "--json").succeeded().out)
    assert [step["revision"]["id"] for step in result["steps"]] == ["0004"]
    assert not result["created"]
    assert result["heads"] == ["0004"]


def test_init_migrates_an_empty_database_that_somebody_else_created(
    project: Project, server_url: str, database_name: str
) -> None:
    query(server_url, f"CREATE DATABASE {database_name}")
    project.table("0001", "one")
    outcome = project.run("init").succeeded()
    assert "created" not in outcome.out
    assert "1 revision applied" in outcome.out


def test_init_without_any_revision_creates_an_empty_database(project: Project) -> None:
    assert "at base" in project.run("init").succeeded().out
    assert project.tables == []


def test_init_needs_no_right_to_create_databases_when_the_database_is_there(
    project: Project, server_url: str, database_name: str, role: str
) -> None:
    query(server_url, f"CREATE DATABASE {database_name} OWNER {role}")
    project.url = with_user(project.url, role, "role_secret")
    project.table("0001", "one")
    project.run("init").succeeded()
    assert project.tables == ["alembic_version", "one"]


def test_each_revision_is_announced_with_its_summary(project: Project) -> None:
    project.table("0001", "one")
    project.table("0002", "two")
    progress = project.run("init").succeeded().err
    assert "apply 1/2  0001  create one" in progress
    assert "apply 2/2  0002  create two" in progress


def test_migrations_run_in_a_session_with_the_timeouts_of_the_settings(
    project: Project,
) -> None:
    project.env["DB_OPS_LOCK_TIMEOUT"] = "1.5"
    project.env["DB_OPS_STATEMENT_TIMEOUT"] = "7"
    project.revision(
        "0001",
        "op.execute(\"CREATE TABLE seen AS SELECT current_setting('lock_timeout') AS lock,\"\n"
        "           \" current_setting('statement_timeout') AS statement\")",
    )
    project.run("init").succeeded()
    assert project.query("SELECT lock, statement FROM seen") == [("1350ms", "7s")]


def test_a_revision_that_meets_a_lock_timeout_is_run_again(project: Project) -> None:
    project.table("0001", "one")
    project.run("init").succeeded()
    project.revision(
        "0002",
        """
        import pathlib
        op.execute("CREATE TABLE two (id int)")
        marker = pathlib.Path(__file__).with_suffix(".tried")
        if not marker.exists():
            marker.touch()
            op.execute("DO $$ BEGIN RAISE lock_not_available; END $$")
        """,
    )
    project.run("init").succeeded()
    assert project.tables == ["alembic_version", "one", "two"]
