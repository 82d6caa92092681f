"""The guard, case by case: what may be destroyed without being asked, and what may not."""

from __future__ import annotations

import pytest

from tests.support.doors import DOORS
from tests.support.project import Project, query

DESTRUCTIVE = ("delete-db", "recreate", "downgrade")
REFUSED = 4


def mark(project: Project) -> str | None:
    """Return the whole comment of the project's database, where its mark is."""
    comment = query(
        project.url,
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database"
        " WHERE datname = current_database()",
    )[0][0]
    return None if comment is None else str(comment)


def set_comment(project: Project, comment: str | None) -> None:
    name = project.query("SELECT quote_ident(current_database())")[0][0]
    project.query(f"COMMENT ON DATABASE {name} IS %s", comment)


def assert_all_refused(project: Project, said: str, *arguments: str) -> None:
    """Let each destructive command be refused through each door; nothing may change."""
    before = project.fingerprint()
    for command in DESTRUCTIVE:
        for door in DOORS:
            outcome = project.run(command, *arguments, door=door).failed(REFUSED)
            assert said in outcome.error, f"{command} through {door}"
    assert project.fingerprint() == before


def assert_all_done(project: Project, server_url: str, door: str, *arguments: str) -> None:
    """Let each destructive command do what it is for."""
    project.query("INSERT INTO one VALUES (1)")
    project.run("downgrade", *arguments, door=door).succeeded()
    assert project.tables == ["alembic_version", "one", "two"]
    assert project.query("SELECT id FROM one") == [(1,)]
    project.run("recreate", *arguments, door=door).succeeded()
    assert project.tables == ["alembic_version", "one", "three", "two"]
    assert project.query("SELECT id FROM one") == []
    project.run("delete-db", *arguments, door=door).succeeded()
    name = project.url.rpartition("/")[2]
    assert query(server_url, "SELECT datname FROM pg_database WHERE datname = %s", name) == []


def test_a_marked_development_database_needs_no_confirmation(
    migrated: Project, server_url: str, door: str
) -> None:
    assert_all_done(migrated, server_url, door)


def test_production_is_refused_and_nothing_changes(migrated: Project) -> None:
    migrated.env["DB_OPS_ENVIRONMENT"] = "production"
    assert_all_refused(migrated, "the environment is production")


def test_an_unmarked_database_with_tables_on_localhost_is_refused(migrated: Project) -> None:
    set_comment(migrated, None)
    assert_all_refused(migrated, "not marked")


@pytest.mark.parametrize("command", ["delete-db", "recreate"])
def test_an_unmarked_empty_database_is_free(
    project: Project, server_url: str, database_name: str, command: str
) -> None:
    query(server_url, f"CREATE DATABASE {database_name}")
    identity = "SELECT oid FROM pg_database WHERE datname = %s"
    before = query(server_url, identity, database_name)
    project.run(command).succeeded()
    after = query(server_url, identity, database_name)
    assert after == [] if command == "delete-db" else after != before
    if command == "recreate":
        assert mark(project) == "db_ops environment: development"


def test_a_database_marked_production_is_refused_from_a_development_shell(
    migrated: Project,
) -> None:
    set_comment(migrated, "db_ops environment: production")
    assert_all_refused(migrated, "marked production")


def test_a_mark_of_another_disposable_environment_is_refused_too(migrated: Project) -> None:
    migrated.env["DB_OPS_ENVIRONMENT"] = "test"
    assert_all_refused(migrated, "marked development, the environment is test")


def test_confirming_the_wrong_name_is_refused_even_where_nothing_had_to_be_confirmed(
    migrated: Project,
) -> None:
    assert_all_refused(migrated, "'other'", "--confirm", "other")


def test_confirming_the_exact_name_overrides_the_guard(
    migrated: Project, server_url: str, database_name: str, door: str
) -> None:
    migrated.env["DB_OPS_ENVIRONMENT"] = "production"
    assert_all_done(migrated, server_url, door, "--confirm", database_name)


def test_the_hint_of_a_refusal_is_the_command_that_overrides_it(migrated: Project) -> None:
    migrated.env["DB_OPS_ENVIRONMENT"] = "production"
    hint = migrated.run("downgrade", "-s", "2").failed(REFUSED).hint
    command = hint.partition("manage_db.py ")[2].split()
    migrated.run(*command).succeeded()
    assert migrated.tables == ["alembic_version", "one"]


def test_production_is_refused_without_being_contacted(project: Project) -> None:
    # Documentation addresses (RFC 5737): whoever connects there waits, and then exits with 5.
    project.table("0001", "one")
    project.url = "postgresql://app@192.0.2.1/agents"
    for command in DESTRUCTIVE:
        assert "the environment is production" in project.run(command).failed(REFUSED).error


def test_init_marks_the_database_that_it_creates(project: Project) -> None:
    project.run("init").succeeded()
    assert mark(project) == "db_ops environment: development"


def test_init_marks_a_database_that_it_finds_empty_and_keeps_its_comment(
    project: Project, server_url: str, database_name: str
) -> None:
    query(server_url, f"CREATE DATABASE {database_name}")
    set_comment(project, "owner: team blue")
    project.run("init").succeeded()
    assert mark(project) == "owner: team blue\ndb_ops environment: development"


def test_init_marks_production_as_production(project: Project) -> None:
    project.env["DB_OPS_ENVIRONMENT"] = "production"
    project.run("init").succeeded()
    assert mark(project) == "db_ops environment: production"


def test_init_never_changes_a_mark(project: Project, server_url: str, database_name: str) -> None:
    query(server_url, f"CREATE DATABASE {database_name}")
    set_comment(project, "db_ops environment: production")
    project.run("init").succeeded()
    assert mark(project) == "db_ops environment: production"


def test_init_does_not_mark_a_database_that_holds_something(migrated: Project) -> None:
    set_comment(migrated, None)
    migrated.table("0004", "four")
    migrated.run("init").succeeded()
    assert mark(migrated) is None


def test_a_confirmed_recreate_leaves_a_marked_database(
    migrated: Project, database_name: str
) -> None:
    set_comment(migrated, None)
    migrated.run("recreate", "--confirm", database_name).succeeded()
    assert mark(migrated) == "db_ops environment: development"


def test_callers_from_python_meet_the_guard_too(migrated: Project) -> None:
    import db_ops
    from db_ops.errors import Refused

    settings = db_ops.Settings(
        migrated.root / "alembic.ini",
        db_ops.DatabaseUrl.parse(migrated.url),
        declared_environment="production",
    )
    with pytest.raises(Refused):
        db_ops.delete_db(settings)
    assert migrated.tables
