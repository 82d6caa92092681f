"""`upgrade --plan`, `upgrade --sql`, `downgrade --plan`: what would run, and nothing that does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from db_ops.postgres.schema.reading import fingerprint
from db_ops.settings import DatabaseUrl
from tests.conftest import drop, with_database, with_user
from tests.support.doors import BIN, run
from tests.support.project import Project, query

# An extra, which an environment without it leaves out; the one for development has it.
needs_squawk = pytest.mark.skipif(
    not (Path(BIN) / "squawk").exists(), reason="squawk-cli is not installed"
)


@pytest.fixture
def behind(migrated: Project) -> Project:
    """A project at 0003 with two more revisions, the second in several transactions."""
    migrated.query("INSERT INTO one SELECT generate_series(1, 500)")
    migrated.query("ANALYZE one")
    migrated.revision(
        "0004",
        """
        op.add_column("one", sa.Column("name", sa.Text(), nullable=False))
        op.create_table("five", sa.Column("id", sa.Integer(), primary_key=True))
        """,
        'op.drop_column("one", "name")\nop.drop_table("five")',
        summary="name one",
    )
    migrated.revision(
        "0005",
        """
        op.execute("COMMENT ON TABLE two IS 'a''b; \\\\ %'")
        with op.get_context().autocommit_block():
            op.create_index("ix", "two", ["id"], postgresql_concurrently=True)
        op.bulk_insert(
            sa.table("five", sa.column("id", sa.Integer())), [{"id": 1}, {"id": 2}]
        )
        op.get_bind().execute(sa.text("UPDATE five SET id = :id WHERE id = 2"), {"id": 7})
        """,
        'op.drop_index("ix", "two")',
    )
    return migrated


def test_a_plan_that_is_checked_exits_with_3_if_anything_is_unsafe(
    behind: Project, door: str
) -> None:
    before = behind.fingerprint()
    outcome = behind.run("upgrade", "--plan", "--check", door=door)
    assert outcome.code == 3
    assert "unsafe thing" in outcome.out
    assert behind.run("upgrade", "--plan", door=door).code == 0
    assert behind.fingerprint() == before
    behind.query("DELETE FROM one")
    behind.run("upgrade").succeeded()
    behind.table("0006", "six")
    outcome = behind.run("upgrade", "--plan", "--check", door=door).succeeded()
    assert "nothing unsafe found" in outcome.out
    outcome = behind.run("upgrade", "--check", door=door).failed(2)
    assert outcome.hint.endswith("upgrade --plan --check")


def test_the_plan_lists_revisions_statements_and_what_was_measured(
    behind: Project, door: str
) -> None:
    lines = behind.run("upgrade", "--plan", door=door).succeeded().out.splitlines()
    assert lines[0] == "apply 1/2  0004  name one"
    assert lines[1] == "  ALTER TABLE one ADD COLUMN name TEXT NOT NULL"
    assert lines[2] == (
        "      one: ACCESS EXCLUSIVE (reads and writes wait), every row read, about 500 rows"
    )
    assert lines[3].startswith("      not-null-without-value: fails if one holds a row")
    assert lines[4].startswith("          instead: ")
    (index,) = [number for number, line in enumerate(lines) if "CONCURRENTLY" in line]
    assert "waits for transactions that are open" in lines[index]
    assert lines[index + 1] == "      two: SHARE UPDATE EXCLUSIVE, every row read, builds ix"
    assert lines[-1].endswith(
        "2 revisions from 0003 to 0005, 1 unsafe thing found; nothing was changed"
    )
    assert not [line for line in lines if "alembic_version" in line]


def test_a_plan_changes_nothing_and_waits_for_nobody(behind: Project) -> None:
    before = behind.fingerprint()
    with closing(psycopg2.connect(**DatabaseUrl.parse(behind.url).parameters)) as other:
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLE one, two, three IN ACCESS EXCLUSIVE MODE")
        behind.env["DB_OPS_LOCK_TIMEOUT"] = "0.5"
        for flag in ("--plan", "--sql"):
            behind.run("upgrade", flag).succeeded()
        behind.run("downgrade", "--plan").succeeded()
    assert behind.fingerprint() == before


def test_a_plan_leaves_no_database_behind(behind: Project, role: str) -> None:
    admin = behind.url
    behind.query(f"ALTER ROLE {role} CREATEDB")
    behind.query(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    behind.url = with_user(behind.url, role, "role_secret")
    behind.run("upgrade", "--plan").succeeded()
    owned = "SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = %s"
    assert query(admin, owned, role) == []
    query(admin, f"DROP OWNED BY {role}")


def test_a_plan_ends_where_it_is_told_to(behind: Project) -> None:
    outcome = behind.run("upgrade", "--plan", "-r", "0004", "--json").succeeded()
    planned = json.loads(outcome.out)
    assert [one["revision"]["id"] for one in planned["revisions"]] == ["0004"]
    assert (planned["current"], planned["goal"]) == (["0003"], ["0004"])
    assert planned["rows"] == {"one": 500}


@pytest.mark.parametrize("goal", [(), ("-r", "heads")])
def test_every_head_that_is_meant_is_planned(migrated: Project, goal: tuple[str, ...]) -> None:
    migrated.table("0004", "four")
    migrated.revision("a001", "op.execute('CREATE TABLE apart ()')", down_revision=None)
    planned = json.loads(migrated.run("upgrade", "--plan", *goal, "--json").succeeded().out)
    assert {one["revision"]["id"] for one in planned["revisions"]} == {"0004", "a001"}
    assert planned["goal"] == ["0004", "a001"]


def test_heads_to_be_merged_are_named_instead_of_a_plan(migrated: Project) -> None:
    migrated.revision("0004", down_revision="0003")
    migrated.revision("0005", down_revision="0003")
    assert "0004, 0005" in migrated.run("upgrade", "--plan").failed(2).error


def test_at_head_there_is_nothing_to_plan(migrated: Project) -> None:
    assert "at 0003, nothing to do" in migrated.run("upgrade", "--plan").succeeded().out


def test_a_downgrade_is_planned_too(migrated: Project) -> None:
    out = migrated.run("downgrade", "--plan", "-s", "2").succeeded().out
    assert out.splitlines()[:3] == [
        "revert 1/2  0003  create three",
        "  DROP TABLE three",
        "      three: ACCESS EXCLUSIVE (reads and writes wait)",
    ]
    assert "drop-table: the rows of three are lost" in out
    assert "2 revisions from 0003 to 0001" in out


def test_a_revision_that_fails_is_told_before_it_does(behind: Project) -> None:
    behind.revision("0006", "op.execute('SELECT 1/0')")
    outcome = behind.run("upgrade", "--plan").failed(1)
    assert "upgrade of 0006 failed: division by zero" in outcome.error
    assert "the database is as it was" in outcome.error
    assert behind.query("SELECT version_num FROM alembic_version") == [("0003",)]


def test_who_may_not_create_databases_is_told_what_else_there_is(
    behind: Project, role: str
) -> None:
    admin = behind.url
    behind.query(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    behind.url = with_user(behind.url, role, "role_secret")
    outcome = behind.run("upgrade", "--plan").failed(1)
    assert "create databases" in outcome.error
    assert "DB_OPS_SCRATCH_URL" in outcome.hint
    query(admin, f"DROP OWNED BY {role}")


def test_what_depends_on_rows_is_said(migrated: Project) -> None:
    migrated.revision(
        "0004",
        """
        for row in op.get_bind().execute(sa.text("SELECT id FROM one")):
            op.execute(f"UPDATE one SET id = {row.id + 1} WHERE id = {row.id}")
        """,
    )
    said = "0004 reads rows of one"
    assert said in migrated.run("upgrade", "--plan").succeeded().out
    assert said in migrated.run("upgrade", "--sql").succeeded().err


def test_what_is_proposed_instead_is_typed_with_quotes_where_names_need_them(
    migrated: Project,
) -> None:
    migrated.revision(
        "0004",
        "op.execute('CREATE SCHEMA shop')\n"
        "op.execute('CREATE TABLE shop.orders (\"Total\" integer)')\n"
        'op.execute(\'CREATE INDEX "by-total" ON shop.orders ("Total")\')',
    )
    migrated.run("upgrade").succeeded()
    migrated.revision(
        "0005",
        "op.drop_index('by-total', 'orders', schema='shop')\n"
        "op.create_unique_constraint('Total-once', 'orders', ['Total'], schema='shop')\n"
        "op.alter_column('orders', 'Total', nullable=False, schema='shop')",
    )
    said = migrated.run("upgrade", "--plan").succeeded().out
    assert 'DROP INDEX CONCURRENTLY shop."by-total" in' in said
    assert 'ALTER TABLE shop.orders ADD CONSTRAINT "Total-once" UNIQUE' in said
    assert 'CHECK ("Total" IS NOT NULL)' in said


def test_plan_and_sql_contradict_each_other(migrated: Project) -> None:
    migrated.table("0004", "four")
    outcome = migrated.run("upgrade", "--plan", "--sql").failed(2)
    assert "contradict each other" in outcome.error
    assert "four" not in migrated.tables


@pytest.fixture
def copy(behind: Project, server_url: str, database_name: str) -> Iterator[Project]:
    """The same project with a copy of its database."""
    name = f"{database_name}_copy"
    query(server_url, f"CREATE DATABASE {name} TEMPLATE {database_name}")
    env = {**behind.env, "DATABASE_URL": with_database(behind.url, name)}
    yield Project(behind.root, env, runner=behind.runner)
    drop(server_url, name)


def psql(project: Project, script: Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("psql")
    if program is None:
        pytest.skip("there is no psql")
    url = DatabaseUrl.parse(project.url).render(with_password=True)
    argv = [program, "-X", "-q", "-d", url, "-v", "ON_ERROR_STOP=1", "-f", str(script)]
    return subprocess.run(argv, capture_output=True, text=True)


def state(project: Project) -> tuple[object, ...]:
    with closing(psycopg2.connect(**DatabaseUrl.parse(project.url).parameters)) as connection:
        connection.autocommit = True
        schema = fingerprint(connection)
    rows = [project.query(f"SELECT * FROM {name}") for name in ("five", "alembic_version")]
    return schema, rows


def test_psql_makes_of_the_sql_what_upgrade_makes(behind: Project, copy: Project) -> None:
    for one in (behind, copy):
        one.query("DELETE FROM one")
    script = copy.root / "upgrade.sql"
    script.write_text(copy.run("upgrade", "--sql").succeeded().out)
    done = psql(copy, script)
    assert (done.returncode, done.stderr) == (0, "")
    behind.run("upgrade").succeeded()
    assert state(copy) == state(behind)


def test_the_sql_refuses_a_database_that_stands_elsewhere(behind: Project, copy: Project) -> None:
    script = copy.root / "upgrade.sql"
    script.write_text(copy.run("upgrade", "--sql").succeeded().out)
    copy.query("DELETE FROM one")
    assert psql(copy, script).returncode == 0
    before = copy.fingerprint()
    done = psql(copy, script)
    assert done.returncode == 3
    assert "is for a database at {0003}, not at {0005}" in done.stderr
    assert copy.fingerprint() == before


def test_the_sql_of_an_empty_database_creates_the_version_table_too(project: Project) -> None:
    project.prepare("init")
    project.table("0001", "one")
    project.revision("0002", "op.execute('CREATE TABLE five (id integer)')")
    script = project.root / "upgrade.sql"
    script.write_text(project.run("upgrade", "--sql").succeeded().out)
    assert psql(project, script).returncode == 0
    assert project.tables == ["alembic_version", "five", "one"]
    assert "at 0002, nothing to do" in project.run("upgrade").succeeded().out


def test_what_a_revision_rolled_back_is_not_in_the_sql(migrated: Project) -> None:
    migrated.revision(
        "0004",
        """
        driver = op.get_bind().connection.driver_connection
        op.execute("CREATE TABLE half ()")
        driver.rollback()
        op.execute("CREATE TABLE whole ()")
        """,
    )
    out = migrated.run("upgrade", "--sql").succeeded().out
    assert "CREATE TABLE whole" in out
    assert "half" not in out


def test_the_sql_of_a_database_back_at_its_base_finds_the_version_table_there(
    project: Project,
) -> None:
    project.table("0001", "one")
    project.prepare("init")
    project.run("downgrade").succeeded()
    script = project.root / "upgrade.sql"
    script.write_text(project.run("upgrade", "--sql").succeeded().out)
    assert psql(project, script).returncode == 0
    assert "at 0001, nothing to do" in project.run("upgrade").succeeded().out


def test_rows_that_a_revision_copies_in_are_in_the_sql(migrated: Project) -> None:
    migrated.revision(
        "0004",
        """
        import io
        cursor = op.get_bind().connection.cursor()
        cursor.execute("CREATE TABLE five (id integer, name text)")
        cursor.copy_expert("COPY five FROM STDIN WITH (DELIMITER ',')", io.StringIO('1,a;b'))
        cursor.copy_from(io.StringIO("2|c\\n3|d\\n"), "five", sep="|", columns=("id", "name"))
        """,
    )
    script = migrated.root / "upgrade.sql"
    script.write_text(migrated.run("upgrade", "--sql").succeeded().out)
    done = psql(migrated, script)
    assert (done.returncode, done.stderr) == (0, "")
    assert migrated.query("SELECT * FROM five") == [(1, "a;b"), (2, "c"), (3, "d")]
    assert migrated.query("SELECT version_num FROM alembic_version") == [("0004",)]


def test_an_environment_with_a_connection_of_its_own_is_not_called_measured(
    migrated: Project,
) -> None:
    env_py = migrated.root / "alembic" / "env.py"
    url = DatabaseUrl.parse(migrated.url).parameters
    env_py.write_text(
        "import db_ops\n"
        "import psycopg2\n"
        "from alembic import context\n"
        "from db_ops.migrations.env.engine import connection_over\n"
        "session = context.config.attributes['db_ops']\n"
        "name = session.connection.connection.driver_connection.info.dbname\n"
        f"driver = psycopg2.connect(**{{**{dict(url)!r}, 'dbname': name}})\n"
        "session.reached = True\n"
        "if name is None:\n"
        "    db_ops.run_migrations(None)\n"
        "with connection_over(driver) as connection:\n"
        "    context.configure(connection=connection, transaction_per_migration=True)\n"
        "    with context.begin_transaction():\n"
        "        context.run_migrations()\n"
    )
    migrated.table("0004", "four")
    outcome = migrated.run("upgrade", "--plan").failed(1)
    assert "nothing could be measured" in outcome.error


def with_squawk(project: Project, settings: str = "squawk = true") -> None:
    (project.root / "pyproject.toml").write_text(f"[tool.db_ops]\n{settings}\n")


@needs_squawk
def test_squawk_says_what_no_measurement_shows_and_its_own_settings_count(
    behind: Project,
) -> None:
    with_squawk(behind)
    planned = json.loads(behind.run("upgrade", "--plan", "--json").succeeded().out)
    named = {
        (pattern["name"], statement["sql"].split()[0])
        for revision in planned["revisions"]
        for statement in revision["statements"]
        for pattern in statement["unsafe"]
    }
    assert ("squawk prefer-identity", "CREATE") in named
    assert ("not-null-without-value", "ALTER") in named
    assert not [name for name, _ in named if name == "squawk adding-required-field"]
    (behind.root / ".squawk.toml").write_text('excluded_rules = ["prefer-identity"]\n')
    assert "prefer-identity" not in behind.run("upgrade", "--plan").succeeded().out


@needs_squawk
def test_create_migration_has_squawk_look_at_what_it_wrote(project: Project) -> None:
    with_squawk(project)
    project.models(
        "class Note(Base):\n    __tablename__ = 'notes'\n"
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
        "    at = mapped_column(sa.DateTime)\n"
    )
    assert "timestamptz" in project.run("create-migration", "-m", "notes").succeeded().out


def test_squawk_that_is_asked_for_and_not_there_is_said_before_anything_is_written(
    behind: Project, tmp_path: Path
) -> None:
    with_squawk(behind)
    venv = tmp_path / "venv"
    # A Python of its own has scripts of its own: none.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    paths = os.pathsep.join(path for path in sys.path if path)
    argv = [str(venv / "bin" / "python"), "-m", "db_ops", "upgrade", "--plan"]
    outcome = run(argv, cwd=behind.root, env={**behind.env, "PYTHONPATH": paths})
    assert "squawk-cli" in outcome.failed(2).hint


@pytest.mark.parametrize("settings", ["squawk = 1", "squawk = 'yes'", "records = 0"])
def test_a_switch_in_pyproject_is_true_or_false(behind: Project, settings: str) -> None:
    with_squawk(behind, settings)
    assert "not true or false" in behind.run("status").failed(2).error


def test_a_project_may_keep_no_records(behind: Project) -> None:
    with_squawk(behind, "records = false")
    behind.query("DROP SCHEMA db_ops CASCADE")
    behind.query("DELETE FROM one")
    behind.run("upgrade").succeeded()
    assert behind.query("SELECT to_regnamespace('db_ops')::text") == [(None,)]
    assert "switched off" in behind.run("history", "--record").failed(2).error
