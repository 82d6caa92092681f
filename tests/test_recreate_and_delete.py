"""`recreate` and `delete-db`: whoever is connected, and nothing dropped that cannot be rebuilt."""

from __future__ import annotations

import json

import psycopg2
import pytest

from tests.conftest import with_user
from tests.support.project import Project, query


def test_delete_drops_the_database_with_sessions_connected(
    migrated: Project, server_url: str, database_name: str, door: str
) -> None:
    session = psycopg2.connect(migrated.url)
    outcome = migrated.run("delete-db", door=door).succeeded()
    assert outcome.out.count("dropped") == 1
    assert not outcome.err
    session.close()
    assert not query(server_url, "SELECT 1 FROM pg_database WHERE datname = %s", database_name)


def test_deleting_a_missing_database_is_a_success(project: Project, door: str) -> None:
    assert "nothing to drop" in project.run("delete-db", door=door).succeeded().out


def test_recreate_empties_and_rebuilds_with_sessions_connected(
    migrated: Project, door: str
) -> None:
    migrated.query("INSERT INTO one VALUES (1)")
    session = psycopg2.connect(migrated.url)
    outcome = migrated.run("recreate", door=door).succeeded()
    session.close()
    assert "dropped, created" in outcome.out
    assert migrated.query("SELECT count(*) FROM one") == [(0,)]


def test_recreate_of_a_missing_database_creates_it(project: Project) -> None:
    project.table("0001", "one")
    result = json.loads(project.run("recreate", "--json").succeeded().out)
    assert result["created"]
    assert not result["dropped"]
    assert result["mark"] == "development"


def test_recreate_drops_nothing_when_a_revision_does_not_import(migrated: Project) -> None:
    path = migrated.revision("0004")
    path.write_text("import no_such_module\n" + path.read_text())
    migrated.query("INSERT INTO one VALUES (1)")
    migrated.run("recreate").failed(1)
    assert migrated.query("SELECT count(*) FROM one") == [(1,)]


def test_recreate_drops_nothing_when_there_are_several_heads(migrated: Project) -> None:
    migrated.revision("0004", down_revision="0003")
    migrated.revision("0005", down_revision="0003")
    migrated.query("INSERT INTO one VALUES (1)")
    migrated.run("recreate").failed(2)
    assert migrated.query("SELECT count(*) FROM one") == [(1,)]


def test_recreate_drops_nothing_when_the_models_do_not_import(migrated: Project) -> None:
    (migrated.root / "models.py").write_text("import no_such_module\n")
    migrated.query("INSERT INTO one VALUES (1)")
    assert "no_such_module" in migrated.run("recreate").failed(1).error
    assert migrated.query("SELECT count(*) FROM one") == [(1,)]


def test_recreate_drops_nothing_without_the_right_to_create(
    project: Project, server_url: str, database_name: str, role: str
) -> None:
    query(server_url, f"CREATE DATABASE {database_name} OWNER {role}")
    project.table("0001", "one")
    project.url = with_user(project.url, role, "role_secret")
    project.run("init").succeeded()
    outcome = project.run("recreate").failed(1)
    assert role in outcome.error
    assert "CREATEDB" in outcome.hint
    assert project.tables == ["alembic_version", "one"]


def test_delete_names_the_owner_when_the_role_is_not(
    migrated: Project, database_name: str, role: str
) -> None:
    migrated.url = with_user(migrated.url, role, "role_secret")
    outcome = migrated.run("delete-db").failed(1)
    assert role in outcome.error
    assert "OWNER TO" in outcome.hint


@pytest.mark.parametrize("command", ["delete-db", "recreate"])
def test_a_prepared_transaction_is_named(migrated: Project, server_url: str, command: str) -> None:
    if query(server_url, "SHOW max_prepared_transactions") == [("0",)]:
        pytest.fail("the test server needs max_prepared_transactions > 0")
    gid = f"gid_{migrated.url.rpartition('/')[2]}"
    session = psycopg2.connect(migrated.url)
    with session.cursor() as cursor:
        cursor.execute("INSERT INTO one VALUES (1)")
        cursor.execute("PREPARE TRANSACTION %s", (gid,))
    try:
        outcome = migrated.run(command).failed(1)
        assert gid in outcome.error
        assert "ROLLBACK PREPARED" in outcome.hint
    finally:
        session.rollback()
        session.autocommit = True
        with session.cursor() as cursor:
            cursor.execute("ROLLBACK PREPARED %s", (gid,))
        session.close()
    assert migrated.query("SELECT count(*) FROM one") == [(0,)]
