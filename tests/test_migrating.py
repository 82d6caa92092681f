"""`upgrade`, `downgrade` and `create-migration`."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Template
from tests.support.project import Project, query

WITH_NICKNAME = """
class Agent(Base):
    __tablename__ = "agents"
    id: Mapped[int] = mapped_column(primary_key=True)
    nickname: Mapped[str | None]
"""
WITHOUT_NICKNAME = WITH_NICKNAME.replace("    nickname: Mapped[str | None]\n", "")


def _agents(project: Project) -> None:
    project.models(WITHOUT_NICKNAME)
    project.prepare("init")
    project.prepare("create_migration", "create agents")
    project.prepare("upgrade")


@pytest.fixture
def agents(project: Project, template: Template) -> Project:
    """A project whose one applied revision was written from its one model."""
    project.copy_from(template(_agents))
    return project


def columns(project: Project) -> list[str]:
    rows = project.query(
        "SELECT attname FROM pg_attribute"
        " WHERE attrelid = 'agents'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    )
    return [str(row[0]) for row in rows]


def test_upgrade_applies_what_is_pending_and_names_it(migrated: Project, door: str) -> None:
    migrated.table("0004", "four")
    outcome = migrated.run("upgrade", door=door).succeeded()
    assert "1 revision applied" in outcome.out
    assert "now at 0004" in outcome.out
    assert "four" in migrated.tables


def test_upgrade_at_head_changes_nothing_and_says_so(migrated: Project) -> None:
    before = migrated.fingerprint()
    assert "at 0003, nothing to do" in migrated.run("upgrade").succeeded().out
    assert migrated.fingerprint() == before


def test_upgrade_stops_at_the_revision_asked_for(
    project: Project, server_url: str, database_name: str
) -> None:
    for number in range(1, 5):
        project.table(f"000{number}", f"t{number}")
    query(server_url, f"CREATE DATABASE {database_name}")
    assert "now at 0002" in project.run("upgrade", "-r", "0002").succeeded().out
    assert project.tables == ["alembic_version", "t1", "t2"]
    assert "at 0002, nothing to do" in project.run("upgrade", "-r", "0001").succeeded().out
    project.run("upgrade", "--revision", "head").succeeded()
    assert "t4" in project.tables


def test_downgrade_reverts_one_by_default_and_names_it(migrated: Project, door: str) -> None:
    outcome = migrated.run("downgrade", door=door).succeeded()
    assert "revert 1/1  0003" in outcome.err
    assert "now at 0002" in outcome.out
    assert migrated.tables == ["alembic_version", "one", "two"]


def test_upgrade_goes_so_many_revisions_ahead(migrated: Project) -> None:
    migrated.run("downgrade", "-s", "3").succeeded()
    assert "0001" in migrated.run("upgrade", "-r", "+1", "--plan").succeeded().out
    assert "now at 0002" in migrated.run("upgrade", "-r", "+2").succeeded().out
    assert migrated.tables == ["alembic_version", "one", "two"]


@pytest.mark.parametrize("steps", ["+0", "+2"])
def test_more_steps_ahead_than_there_are_is_refused_and_names_what_is_pending(
    migrated: Project, steps: str
) -> None:
    migrated.run("downgrade").succeeded()
    for plan in ((), ("--plan",)):
        assert "pending: 0003" in migrated.run("upgrade", "-r", steps, *plan).failed(1).error
    assert migrated.tables == ["alembic_version", "one", "two"]


@pytest.mark.parametrize("flag", ["", "--plan", "--sql"])
def test_a_revision_that_is_not_there_and_one_that_may_be_several_are_told_apart(
    migrated: Project, flag: str
) -> None:
    flags = (flag,) if flag else ()
    outcome = migrated.run("upgrade", *flags, "-r", "nosuch").failed(2)
    assert outcome.error == "alembic/versions: no revision 'nosuch'"
    assert outcome.hint.endswith("manage_db.py history")
    outcome = migrated.run("upgrade", *flags, "-r", "000").failed(2)
    assert "'000' means several revisions: 0001, 0002, 0003" in outcome.error
    assert outcome.hint.endswith(" ".join(("upgrade", *flags, "-r 0001")))


def test_a_revision_file_without_a_downgrade_is_named_before_anything_is_reverted(
    migrated: Project,
) -> None:
    path = migrated.table("0004", "four")
    path.write_text(path.read_text().partition("def downgrade")[0])
    migrated.table("0005", "five")
    migrated.run("upgrade").succeeded()
    before = migrated.fingerprint()
    for plan in ((), ("--plan",)):
        outcome = migrated.run("downgrade", "-s", "2", *plan).failed(1)
        assert outcome.error == "alembic/versions/0004.py: has no downgrade()"
    assert migrated.fingerprint() == before


def test_a_version_table_that_env_py_changes_stops_the_steps_that_were_announced(
    migrated: Project,
) -> None:
    env_py = migrated.root / "alembic" / "env.py"
    env_py.write_text(
        "import os, psycopg2\n"
        "with psycopg2.connect(os.environ['DATABASE_URL']) as connection:\n"
        "    with connection.cursor() as cursor:\n"
        "        cursor.execute(\"UPDATE alembic_version SET version_num = '0002'\")\n"
        + env_py.read_text()
    )
    outcome = migrated.run("downgrade").failed(1)
    assert "announced is 0003, but from 0002 Alembic would run" in outcome.error
    assert "alembic/env.py" in outcome.hint
    assert migrated.tables == ["alembic_version", "one", "three", "two"]


def test_steps_ahead_of_the_head_are_refused_and_nothing_is_named(migrated: Project) -> None:
    assert "pending: none" in migrated.run("upgrade", "-r", "+1").failed(1).error


def test_downgrade_and_upgrade_return_to_the_same_schema(migrated: Project, door: str) -> None:
    schema = migrated.schema()
    migrated.run("downgrade", "-s", "2", door=door).succeeded()
    assert migrated.tables == ["alembic_version", "one"]
    migrated.run("upgrade", door=door).succeeded()
    assert migrated.schema() == schema


def test_downgrade_of_everything_ends_at_base(migrated: Project) -> None:
    assert "now at base" in migrated.run("downgrade", "-s", "3").succeeded().out
    assert migrated.tables == ["alembic_version"]
    migrated.run("init").succeeded()
    assert migrated.tables == ["alembic_version", "one", "three", "two"]


def test_branches_that_are_merged_are_applied_completely(migrated: Project) -> None:
    migrated.table("0004a", "left_side")
    migrated.revision("0004b", "op.execute('CREATE TABLE right_side ()')", down_revision="0003")
    migrated.revision("0005", down_revision=("0004a", "0004b"))
    result = json.loads(migrated.run("upgrade", "--json").succeeded().out)
    assert {step["revision"]["id"] for step in result["steps"]} == {"0004a", "0004b", "0005"}
    assert {"left_side", "right_side"} <= set(migrated.tables)


def test_a_concurrent_index_is_built_outside_of_a_transaction(migrated: Project) -> None:
    migrated.revision(
        "0004",
        """
        with op.get_context().autocommit_block():
            op.execute("CREATE INDEX CONCURRENTLY ix_one ON one (id)")
        """,
        "op.execute('DROP INDEX ix_one')",
    )
    migrated.run("upgrade").succeeded()
    assert migrated.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_one'::regclass")


def test_a_migration_may_copy_data_with_psycopg2(migrated: Project) -> None:
    migrated.revision(
        "0004",
        """
        import io
        driver = op.get_bind().connection.driver_connection
        with driver.cursor() as cursor:
            cursor.copy_expert("COPY one FROM STDIN", io.StringIO("1\\n2\\n"))
        """,
    )
    migrated.run("upgrade").succeeded()
    assert migrated.query("SELECT count(*) FROM one") == [(2,)]


def test_create_migration_writes_one_file_that_applies_and_reverts(
    agents: Project, door: str
) -> None:
    agents.models(WITH_NICKNAME)
    files = len(agents.revision_files)
    outcome = agents.run("create-migration", "-m", "add nickname", door=door).succeeded()
    assert len(agents.revision_files) == files + 1
    assert "add column agents.nickname" in outcome.out
    agents.run("upgrade").succeeded()
    assert columns(agents) == ["id", "nickname"]
    agents.run("verify").succeeded()
    agents.run("downgrade").succeeded()
    assert columns(agents) == ["id"]


def test_create_migration_without_a_change_writes_no_file(agents: Project, door: str) -> None:
    files = agents.revision_files
    outcome = agents.run("create-migration", "-m", "nothing", door=door).succeeded()
    assert "no file written" in outcome.out
    assert agents.revision_files == files


def test_create_migration_writes_nothing_to_the_database(agents: Project) -> None:
    agents.models(WITH_NICKNAME)
    before = agents.fingerprint()
    agents.run("create-migration", "-m", "add nickname").succeeded()
    assert agents.fingerprint() == before


@pytest.mark.parametrize(
    "message",
    [
        'quotes """ and \' and ${1 / 0}, ünï → ☃, back\\slash at the end\\',
        "../../etc/passwd",
        "## a comment\n<%def name='x'>",
        "x" * 300,
    ],
)
def test_a_message_may_hold_anything_printable(agents: Project, message: str) -> None:
    agents.models(WITH_NICKNAME)
    result = json.loads(agents.run("create-migration", "--json", "-m", message).succeeded().out)
    agents.run("upgrade").succeeded()
    assert result["revision"]["path"].startswith("alembic/versions/")
    text = (agents.root / result["revision"]["path"]).read_text()
    compile(text, "revision", "exec")
    shown = agents.run("status").succeeded()
    assert result["revision"]["id"] in shown.out


def test_a_generated_file_that_does_not_import_is_removed(agents: Project) -> None:
    template = agents.root / "alembic" / "script.py.mako"
    template.write_text("import no_such_module\n" + template.read_text())
    agents.models(WITH_NICKNAME)
    files = agents.revision_files
    outcome = agents.run("create-migration", "-m", "add nickname").failed(1)
    assert "no_such_module" in outcome.error
    assert agents.revision_files == files


def test_a_summary_is_the_first_line_of_the_docstring(agents: Project) -> None:
    agents.models(WITH_NICKNAME)
    agents.run("create-migration", "-m", 'add "nickname"').succeeded()
    assert 'add "nickname"' in agents.run("status").succeeded().out


def test_the_application_s_loggers_stay_enabled(agents: Project) -> None:
    agents.revision(
        "0009",
        """
        import logging
        assert not logging.getLogger("application").disabled
        """,
        down_revision=agents.query("SELECT version_num FROM alembic_version")[0][0],
    )
    agents.run("upgrade").succeeded()
    assert agents.query("SELECT version_num FROM alembic_version") == [("0009",)]
