"""`stamp`: a revision recorded without running it, once the tables are seen to be at it."""

from __future__ import annotations

import shlex

import pytest

from tests.support.project import Project, query
from tests.support.schemas import validated

FAILED, MISUSED, DIFFERENT, REFUSED = 1, 2, 3, 4


@pytest.fixture
def adopted(project: Project, server_url: str, database_name: str) -> Project:
    """A project of three revisions, whose database has the tables of two, and no version table."""
    for number, name in enumerate(("one", "two", "three"), start=1):
        project.table(f"000{number}", name)
    query(server_url, f"CREATE DATABASE {database_name}")
    query(server_url, f"COMMENT ON DATABASE {database_name} IS 'db_ops environment: development'")
    for name in ("one", "two"):
        project.query(f"CREATE TABLE {name} (id integer PRIMARY KEY)")
    return project


def recorded(project: Project) -> list[tuple[object, ...]]:
    return project.query("SELECT version_num FROM alembic_version ORDER BY 1")


def test_tables_are_found_stamped_and_upgraded(adopted: Project, door: str) -> None:
    before = adopted.fingerprint()
    assert adopted.run("status").succeeded().out.rstrip().endswith(" stamp --find")
    found = adopted.run("stamp", "--find", door=door).succeeded().out
    assert "the tables are at 0002" in found
    command = found.rpartition("recorded: base; to change that: ")[2].split()
    assert adopted.fingerprint() == before
    # As it is typed at this door.
    outcome = adopted.run(*command[-3:], door=door).succeeded()
    assert "stamped at 0002, was at base, which is what the tables are" in outcome.out
    assert recorded(adopted) == [("0002",)]
    assert "1 revision applied" in adopted.run("upgrade").succeeded().out
    assert "already at 0003" in adopted.run("stamp", "head").succeeded().out
    adopted.run("verify", "--quick").succeeded()


def test_what_differs_is_shown_and_nothing_is_recorded(adopted: Project) -> None:
    adopted.query("ALTER TABLE two ADD COLUMN note text; DROP TABLE one")
    before = adopted.fingerprint()
    outcome = adopted.run("stamp", "0002")
    assert outcome.code == DIFFERENT
    assert "not stamped, 2 differences from what the migrations make up to 0002" in outcome.out
    assert "column public.two.note: the migrations do not make it" in outcome.out
    assert "table public.one: the database does not have it" in outcome.out
    assert "stamp --find" in outcome.out
    assert "stamp -r 0002 --anyway" in outcome.out
    assert adopted.fingerprint() == before
    document = validated("stamp.json", adopted.run("stamp", "0002", "--json").out)
    assert (document["done"], document["heads"]) == (False, [])
    outcome = adopted.run("stamp", "0002", "--anyway").succeeded()
    assert "stamped at 0002, was at base in spite of 2 differences" in outcome.out
    assert "two.note" in outcome.out
    assert recorded(adopted) == [("0002",)]


def test_the_nearest_revision_is_named_with_its_differences(adopted: Project) -> None:
    adopted.query("ALTER TABLE two ADD COLUMN note text; CREATE INDEX by_id ON one (id)")
    outcome = adopted.run("stamp", "--find")
    assert outcome.code == DIFFERENT
    assert "at none of the 3 revisions, nearest is 0002, with 2 differences" in outcome.out
    assert "index public.by_id: the migrations do not make it" in outcome.out
    document = validated("stamp.json", adopted.run("stamp", "--find", "--json").out)
    assert document["nearest"] == [["0002"]]
    assert document["compared"] == 3
    assert len(document["differences"]) == 2
    last = outcome.out.splitlines()[-1]
    command = last.removeprefix("recorded: base; to record that one in spite of what differs: ")
    adopted.run(*shlex.split(command)[2:]).succeeded()
    assert recorded(adopted) == [("0002",)]


def test_an_index_of_another_name_is_nearer_than_none(adopted: Project) -> None:
    adopted.revision("0004", "op.execute('CREATE INDEX by_id ON one (id)')")
    adopted.query("CREATE TABLE three (id integer PRIMARY KEY); CREATE INDEX other ON one (id)")
    outcome = adopted.run("stamp", "--find")
    assert "nearest is 0004, with 2 differences" in outcome.out


def test_tables_of_others_do_not_count(adopted: Project) -> None:
    adopted.query('CREATE TABLE "Their table" (id serial PRIMARY KEY, name text UNIQUE)')
    adopted.query("CREATE SCHEMA theirs")
    found = adopted.run("stamp", "--find")
    assert 'neither models nor migrations make public."Their table": left out' in found.out
    assert "schema theirs: the migrations do not make it" in found.out
    adopted.query("DROP SCHEMA theirs")
    assert "the tables are at 0002" in adopted.run("stamp", "--find").succeeded().out
    assert "left out" in adopted.run("stamp", "0002").succeeded().out


def test_revisions_that_change_only_rows_are_told_as_such(adopted: Project) -> None:
    adopted.revision("0004", "op.execute('DROP TABLE three')")
    adopted.revision("0005", "op.execute('INSERT INTO two VALUES (1)')")
    outcome = adopted.run("stamp", "--find").succeeded()
    assert "the tables are at 0005" in outcome.out
    assert "the schema is the same at 0002 or 0004" in outcome.out


def test_a_production_database_asks_for_its_name(adopted: Project, database_name: str) -> None:
    query(adopted.url, f"COMMENT ON DATABASE {database_name} IS NULL")
    adopted.env |= {"DB_OPS_ENVIRONMENT": "production", "DB_OPS_SCRATCH_URL": adopted.url}
    outcome = adopted.run("stamp", "0002").failed(REFUSED)
    assert f"stamp -r 0002 --confirm {database_name}" in outcome.hint
    assert "may lose its data" not in outcome.hint
    assert "alembic_version" not in adopted.tables


def test_a_protected_server_gets_no_scratch_database(adopted: Project, database_name: str) -> None:
    adopted.env["DB_OPS_ENVIRONMENT"] = "production"
    (adopted.root / ".db_ops").write_text("not a folder")
    names = "stamp", "0002", "--confirm", database_name
    outcome = adopted.run(*names).failed(FAILED)
    assert "the schema at 0002 could not be built: " in outcome.error
    assert "the environment is production" in outcome.error
    assert "DB_OPS_SCRATCH_URL" in outcome.hint
    assert "stamp -r 0002 --anyway" in outcome.hint
    assert "DB_OPS_SCRATCH_URL" in adopted.run("stamp", "--find").failed(FAILED).hint
    outcome = adopted.run(*names, "--anyway").succeeded()
    assert "stamped at 0002, was at base; not compared: " in outcome.out
    assert recorded(adopted) == [("0002",)]


def test_an_unmarked_database_with_tables_is_refused(adopted: Project, database_name: str) -> None:
    query(adopted.url, f"COMMENT ON DATABASE {database_name} IS NULL")
    outcome = adopted.run("stamp", "0002").failed(REFUSED)
    assert "not marked as development or test" in outcome.error
    adopted.run("stamp", "0002", "--confirm", database_name).succeeded()


def test_the_version_table_is_the_one_that_env_py_configures(adopted: Project) -> None:
    ini = adopted.root / "alembic.ini"
    text = ini.read_text()
    own = "[alembic]\nversion_table = its_version\nversion_table_schema = records\n"
    ini.write_text(text.replace("[alembic]\n", own))
    for options in ((), ("--anyway",)):
        outcome = adopted.run("stamp", "0002", *options).failed(FAILED)
        assert 'schema "records" does not exist' in outcome.error
        assert "CREATE SCHEMA IF NOT EXISTS" in outcome.hint
    adopted.query("CREATE SCHEMA records")
    outcome = adopted.run("stamp", "0002", "--anyway").succeeded()
    assert adopted.query("SELECT version_num FROM records.its_version") == [("0002",)]
    assert "0002" in adopted.alembic("current").succeeded().out


def test_a_version_table_that_the_session_does_not_see_is_not_made_again(
    adopted: Project,
) -> None:
    adopted.run("stamp", "0002").succeeded()
    adopted.query("CREATE SCHEMA app; ALTER TABLE alembic_version SET SCHEMA app")
    for arguments in (("0002",), ("--find",)):
        outcome = adopted.run("stamp", *arguments).failed(FAILED)
        assert "the version table app.alembic_version is at 0002" in outcome.error
    assert "alembic_version" not in adopted.tables


def test_history_says_who_stamped(adopted: Project) -> None:
    adopted.run("stamp", "0002").succeeded()
    assert "stamped " in adopted.run("history").succeeded().out
    adopted.run("stamp", "0001", "--anyway").succeeded()
    adopted.run("stamp", "base", "--anyway").succeeded()
    assert recorded(adopted) == []
    rows = adopted.query("SELECT action, revision, heads, command FROM db_ops.history ORDER BY id")
    assert rows[0] == ("stamp", "0002", ["0002"], "stamp")
    assert {row[0] for row in rows[1:]} == {"unstamp"}


def test_a_revision_that_no_file_has_is_replaced(adopted: Project) -> None:
    adopted.run("stamp", "0002").succeeded()
    adopted.query("UPDATE alembic_version SET version_num = 'gone'")
    outcome = adopted.run("stamp", "0002").succeeded()
    assert "stamped at 0002, was at gone" in outcome.out
    assert recorded(adopted) == [("0002",)]
    assert adopted.query("SELECT action FROM db_ops.history WHERE revision = 'gone'") == [
        ("unstamp",)
    ]


def test_base_is_what_an_empty_database_is_at(migrated: Project) -> None:
    outcome = migrated.run("stamp", "base")
    assert outcome.code == DIFFERENT
    assert "3 differences from what the migrations make up to base" in outcome.out
    migrated.query("DROP TABLE one, two, three")
    assert "the tables are at base" in migrated.run("stamp", "--find").succeeded().out
    migrated.run("stamp", "base").succeeded()
    assert "3 revisions applied" in migrated.run("init").succeeded().out


@pytest.fixture
def branches(adopted: Project) -> Project:
    """The same with a second branch of two revisions, the first of which is there."""
    down = {"down_revision": None, "label": "b"}
    body = "op.execute('CREATE TABLE beside (id int)')"
    adopted.revision("b001", body, "op.execute('DROP TABLE beside')", **down)  # type: ignore[arg-type]  # not all of one type
    adopted.revision("b002", "op.execute('ALTER TABLE beside ADD COLUMN n int')")
    adopted.query("CREATE TABLE beside (id int)")
    return adopted


def test_each_branch_is_found_and_stamped_on_its_own(branches: Project) -> None:
    found = branches.run("stamp", "--find").succeeded().out
    assert "the tables are at 0002, b001\n" in found
    assert found.rstrip().endswith(" stamp -r 0002 -r b001")
    assert branches.run("stamp", "0002").code == DIFFERENT
    branches.run("stamp", "0002", "b001").succeeded()
    assert recorded(branches) == [("0002",), ("b001",)]
    branches.query("ALTER TABLE beside ADD COLUMN n int")
    # The branch that is not named stays where it is.
    branches.run("stamp", "b@head").succeeded()
    assert recorded(branches) == [("0002",), ("b002",)]
    outcome = branches.run("stamp", "heads")
    assert "table public.three: the database does not have it" in outcome.out
    branches.query("DROP TABLE beside")
    branches.run("stamp", "b@base").succeeded()
    assert recorded(branches) == [("0002",)]


def test_several_heads_are_stamped_together(branches: Project) -> None:
    branches.query("ALTER TABLE beside ADD COLUMN n int")
    branches.query("CREATE TABLE three (id integer PRIMARY KEY)")
    branches.run("stamp", "heads").succeeded()
    assert recorded(branches) == [("0003",), ("b002",)]
    branches.run("verify", "--quick").succeeded()


def test_a_constraint_that_the_migrations_do_not_validate_is_no_difference(
    adopted: Project,
) -> None:
    constraint = "ALTER TABLE one ADD CONSTRAINT positive CHECK (id > 0) NOT VALID"
    adopted.revision("0004", f"op.execute('{constraint}')")
    adopted.query(f"CREATE TABLE three (id integer PRIMARY KEY); {constraint}")
    adopted.run("stamp", "head").succeeded()


def test_what_is_misused_names_the_command(adopted: Project) -> None:
    assert "stamp --find" in adopted.run("stamp").failed(MISUSED).hint
    assert "stamp --find" in adopted.run("stamp", "0001", "--find").failed(MISUSED).hint
    assert "nonsense" in adopted.run("stamp", "nonsense").failed(MISUSED).error
    adopted.env["DATABASE_URL"] += "_missing"
    assert "does not exist" in adopted.run("stamp", "0001").failed(FAILED).error
