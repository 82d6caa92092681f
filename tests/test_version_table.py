"""The version table: elsewhere, hidden, empty, or something else of the same name."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from db_ops.errors.quote_ident import quote_ident
from tests.conftest import with_user
from tests.support.project import Project

FAILED = 1


@pytest.fixture
def moved(role: str, migrated: Project) -> Project:
    """A project of production whose tables are all in the schema `app`, as was its session.

    The role is there first, so that it goes last.
    """
    migrated.query("CREATE SCHEMA app")
    for table in migrated.tables:
        migrated.query(f"ALTER TABLE {table} SET SCHEMA app")
    migrated.env["DB_OPS_ENVIRONMENT"] = "production"
    return migrated


def remedied(project: Project) -> None:
    assert "current      0003" in project.run("status").succeeded().out
    assert "nothing to do" in project.run("init").succeeded().out


@pytest.mark.parametrize(
    ("whose", "said"),
    [
        ("DATABASE {database}", "set for database"),
        ("ROLE {role} IN DATABASE {database}", "in database"),
    ],
)
def test_a_search_path_that_was_set_is_named_and_so_is_what_sets_it_right(
    moved: Project, role: str, database_name: str, whose: str, said: str
) -> None:
    moved.query(f"GRANT USAGE, CREATE ON SCHEMA app, public TO {role}")
    moved.query(f"GRANT ALL ON ALL TABLES IN SCHEMA app TO {role}")
    owner = moved.url
    whom = whose.format(role=role, database=database_name)
    moved.query(f"ALTER {whom} SET search_path = public")
    moved.url = with_user(owner, role, "role_secret")
    for command in ("status", "init", "verify", "history"):
        outcome = moved.run(command).failed(FAILED)
        assert "the version table app.alembic_version is at 0003" in outcome.error
        assert "search_path is public" in outcome.error
        assert said in outcome.error
        assert "stamp" not in outcome.hint
    statement, _, _ = outcome.hint.partition("; or")
    moved.url, mine = owner, moved.url
    moved.query(statement)
    moved.url = mine
    remedied(moved)


def test_a_search_path_of_the_connection_is_named(moved: Project) -> None:
    moved.query("CREATE SCHEMA other")
    own = moved.url
    moved.url += f"?options={quote('-csearch_path=other')}"
    outcome = moved.run("status").failed(FAILED)
    assert "search_path is other, set by the connection" in outcome.error
    assert "options in DATABASE_URL" in outcome.hint
    moved.url = own
    moved.env["PGOPTIONS"] = "-csearch_path=other"
    assert "PGOPTIONS" in moved.run("status").failed(FAILED).hint
    moved.env["PGOPTIONS"] = "-csearch_path=app,other"
    remedied(moved)


def test_the_right_that_is_missing_is_named_with_its_grant(
    moved: Project, role: str, database_name: str
) -> None:
    owner = moved.url
    moved.query(f"ALTER DATABASE {database_name} SET search_path = app, public")
    theirs = with_user(owner, role, "role_secret")
    for right in (f"USAGE ON SCHEMA app TO {role}", f"SELECT ON app.alembic_version TO {role}"):
        moved.url = theirs
        outcome = moved.run("status").failed(FAILED)
        assert "app.alembic_version is at 0003" in outcome.error
        assert f"role {role} lacks" in outcome.error
        assert f"GRANT {right}" in outcome.hint
        moved.url = owner
        moved.query(f"GRANT {right}")
    moved.url = theirs
    assert "current      0003" in moved.run("status").succeeded().out


def test_an_empty_table_in_front_does_not_hide_the_other_one(moved: Project) -> None:
    moved.query("CREATE TABLE alembic_version (version_num varchar(32))")
    moved.env["PGOPTIONS"] = "-csearch_path=public,app"
    outcome = moved.run("init").failed(FAILED)
    assert "app.alembic_version is at 0003" in outcome.error
    assert "an empty table of that name comes first" in outcome.error
    moved.query("DROP TABLE alembic_version")
    remedied(moved)


def test_of_two_version_tables_the_one_in_the_search_path_counts(migrated: Project) -> None:
    migrated.query("CREATE SCHEMA copy")
    migrated.query("CREATE TABLE copy.alembic_version AS SELECT '0001' AS version_num")
    assert "current      0003" in migrated.run("status", "--check").succeeded().out


def test_another_services_version_table_is_not_taken_for_ours(project: Project) -> None:
    project.table("0001", "one")
    project.prepare("init")
    project.prepare("downgrade")
    project.query("CREATE SCHEMA billing")
    project.query("CREATE TABLE billing.alembic_version AS SELECT 'b111' AS version_num")
    assert "current      base" in project.run("status").succeeded().out
    project.run("init").succeeded()
    assert project.query("SELECT version_num FROM alembic_version") == [("0001",)]


def test_a_schema_that_the_project_names_is_the_one_that_is_meant(migrated: Project) -> None:
    """One chain of revisions per tenant: the other tenants' version tables are not in the way."""
    ini = migrated.root / "alembic.ini"
    ini.write_text(
        ini.read_text().replace("[alembic]", "[alembic]\nversion_table_schema = tenant", 1)
    )
    migrated.query("CREATE SCHEMA tenant")
    assert "current      base" in migrated.run("status").succeeded().out


@pytest.mark.parametrize(
    "relation", ["VIEW alembic_version AS SELECT 1 AS one", "TABLE alembic_version (one int)"]
)
def test_something_else_of_that_name_is_said_to_be_no_version_table(
    migrated: Project, relation: str
) -> None:
    migrated.query("DROP TABLE alembic_version")
    migrated.query(f"CREATE {relation}")
    for command in ("status", "init"):
        outcome = migrated.run(command).failed(FAILED)
        assert "alembic_version is not a version table" in outcome.error
        assert "version_table = NAME in alembic.ini" in outcome.hint


def test_a_partitioned_version_table_is_one(migrated: Project) -> None:
    migrated.query("ALTER TABLE alembic_version RENAME TO kept")
    migrated.query(
        "CREATE TABLE alembic_version (version_num varchar(32)) PARTITION BY LIST (version_num)"
    )
    migrated.query("CREATE TABLE part PARTITION OF alembic_version DEFAULT")
    migrated.query("INSERT INTO alembic_version SELECT * FROM kept")
    assert "current      0003" in migrated.run("status", "--check").succeeded().out


def test_a_row_of_another_chain_is_not_ours(migrated: Project) -> None:
    migrated.query("UPDATE alembic_version SET version_num = 'b111'")
    migrated.query("DROP SCHEMA db_ops CASCADE")
    migrated.env["DB_OPS_ENVIRONMENT"] = "production"
    outcome = migrated.run("init").failed(FAILED)
    assert "is at b111, which this checkout does not have" in outcome.error
    assert "recreate" not in outcome.hint
    assert "version_table = NAME in alembic.ini" in outcome.hint
    assert "pending" not in migrated.run("status").succeeded().out


def test_an_emptied_version_table_is_told_by_the_records(migrated: Project) -> None:
    migrated.query("TRUNCATE alembic_version")
    outcome = migrated.run("upgrade").failed(FAILED)
    assert " stamp -r 0003" in outcome.hint
    assert "the last record is of 0003" in outcome.hint
    migrated.alembic("stamp", "0003").succeeded()
    migrated.run("status", "--check").succeeded()


def test_a_database_that_was_reverted_to_base_is_at_base(migrated: Project) -> None:
    migrated.run("downgrade", "-s", "3").succeeded()
    assert "current      base" in migrated.run("status").succeeded().out
    assert "3 revisions applied" in migrated.run("init").succeeded().out


def test_a_name_that_is_a_key_word_is_quoted_where_a_remedy_is_sql(
    moved: Project, database_name: str
) -> None:
    moved.query('ALTER SCHEMA app RENAME TO "order"')
    moved.query(f"ALTER DATABASE {database_name} SET search_path = public")
    outcome = moved.run("status").failed(FAILED)
    statement, _, _ = outcome.hint.partition("; or")
    assert '"order", public' in statement
    moved.query(statement)
    remedied(moved)
    words = moved.query(
        "SELECT word, quote_ident(word) FROM pg_get_keywords() WHERE catcode IN ('R', 'T')"
    )
    names = ["a", "a_1", "1a", "A", 'a"b', "a.b", "", "ä", "name"]
    for name, quoted in [*words, *moved.query("SELECT n, quote_ident(n) FROM unnest(%s) n", names)]:
        assert quote_ident(str(name)) == quoted
