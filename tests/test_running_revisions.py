"""What a revision finds when it starts, what it may do to its session, and how it is recorded."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from alembic.runtime import migration

from tests.support.project import Project

TIMEOUTS = (
    "current_setting('lock_timeout') AS lock, current_setting('statement_timeout') AS statement"
)
ON_VERSION_APPLY = """
def note(ctx, step, heads, run_args):
    with open("applied.txt", "a") as file:
        up, down = step.up_revision_id, ",".join(step.down_revision_ids)
        print("up" if step.is_upgrade else "down", up, down, ",".join(sorted(heads)), file=file)


run_migrations(Base.metadata, on_version_apply=note)
"""


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    "leave",
    [
        "op.execute(\"SET lock_timeout = '1h'\")\nop.execute(\"SET statement_timeout = '2h'\")",
        "op.execute(\"SELECT set_config('lock_timeout', '1h', false)\")",
        "with op.get_context().autocommit_block():\n    op.execute(\"SET lock_timeout = '1h'\")",
        "op.get_bind().connection.cursor().execute(\"SET lock_timeout = '1h'\")",
        "driver.autocommit = True\ndriver.cursor().execute(\"SET lock_timeout = '1h'\")",
        "op.execute('RESET ALL')",
    ],
    ids=["set", "function", "autocommit block", "driver", "driver in autocommit", "reset"],
)
def test_a_revision_s_own_timeouts_do_not_reach_the_next(project: Project, leave: str) -> None:
    project.env["DB_OPS_LOCK_TIMEOUT"] = "1.5"
    project.env["DB_OPS_STATEMENT_TIMEOUT"] = "7"
    project.revision("0001", f"driver = op.get_bind().connection.driver_connection\n{leave}")
    project.revision("0002", f'op.execute("CREATE TABLE seen AS SELECT {TIMEOUTS}")')
    project.run("init").succeeded()
    assert project.query("SELECT * FROM seen") == [("1350ms", "7s")]


def test_each_of_many_revisions_may_choose_how_its_transaction_runs(migrated: Project) -> None:
    migrated.revision(
        "0004",
        """
        driver = op.get_bind().connection.driver_connection
        driver.set_session(isolation_level="SERIALIZABLE")
        op.execute("CREATE TABLE seen AS SELECT current_setting('transaction_isolation') AS level")
        driver.commit()
        driver.set_session(isolation_level="DEFAULT")
        """,
    )
    migrated.revision(
        "0005",
        """
        op.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        op.execute("INSERT INTO seen SELECT current_setting('transaction_isolation')")
        """,
    )
    migrated.revision(
        "0006", "op.execute(\"INSERT INTO seen SELECT current_setting('transaction_isolation')\")"
    )
    migrated.run("upgrade").succeeded()
    assert migrated.query("SELECT level FROM seen") == [
        ("serializable",),
        ("repeatable read",),
        ("read committed",),
    ]


def test_what_a_revision_began_behind_alembic_is_kept(migrated: Project) -> None:
    migrated.revision(
        "0004",
        """
        driver = op.get_bind().connection.driver_connection
        driver.cursor().execute("CREATE TABLE four ()")
        driver.commit()
        driver.cursor().execute("CREATE TABLE five ()")
        """,
    )
    migrated.table("0005", "six")
    migrated.run("upgrade").succeeded()
    assert {"four", "five", "six"} <= set(migrated.tables)


def test_a_driver_left_in_autocommit_does_not_cost_the_next_revision_its_transaction(
    migrated: Project,
) -> None:
    migrated.revision("0004", "op.get_bind().connection.driver_connection.autocommit = True")
    migrated.revision("0005", "op.execute('CREATE TABLE half ()')\nop.execute('SELECT 1/0')")
    assert "division by zero" in migrated.run("upgrade").failed(1).error
    assert "half" not in migrated.tables
    assert migrated.query("SELECT version_num FROM alembic_version") == [("0004",)]


def test_a_revision_that_takes_its_predecessor_s_record_away_is_rolled_back(
    migrated: Project,
) -> None:
    migrated.revision("0004", "op.execute('DELETE FROM alembic_version')")
    outcome = migrated.run("upgrade").failed(1)
    assert "expected to match one row" in outcome.error
    assert "0 found" in outcome.error
    assert migrated.query("SELECT version_num FROM alembic_version") == [("0003",)]


def test_a_version_table_of_any_name_in_any_schema_records_every_step(
    project: Project, door: str
) -> None:
    ini = project.root / "alembic.ini"
    names = 'version_table = My "Versions"\nversion_table_schema = My 100%% Schema\n'
    replace_in(ini, "[alembic]\n", f"[alembic]\n{names}")
    env_py = project.root / "alembic" / "env.py"
    replace_in(env_py, "Base.metadata)", "Base.metadata, version_table_pk=False)")
    project.prepare("init")
    project.query('CREATE SCHEMA "My 100% Schema"')
    for number in range(1, 4):
        project.revision(f"000{number}")
    project.run("upgrade", door=door).succeeded()
    recorded = 'SELECT version_num FROM "My 100% Schema"."My ""Versions"""'
    assert project.query(recorded) == [("0003",)]
    project.run("downgrade", "-s", "2", door=door).succeeded()
    assert project.query(recorded) == [("0001",)]


def test_a_callback_of_the_project_sees_every_step_and_where_the_database_is(
    project: Project,
) -> None:
    env_py = project.root / "alembic" / "env.py"
    call = "\nrun_migrations(Base.metadata)\n"
    replace_in(env_py, call, ON_VERSION_APPLY)
    project.revision("0001")
    project.revision("0002a", down_revision="0001")
    project.revision("0002b", down_revision="0001")
    project.revision("0003", down_revision=("0002a", "0002b"))
    project.run("init").succeeded()
    project.run("downgrade").succeeded()
    steps = [line.split(" ") for line in (project.root / "applied.txt").read_text().splitlines()]
    assert steps[0] == ["up", "0001", "", "0001"]
    assert sorted(step[1] for step in steps[1:3]) == ["0002a", "0002b"]
    assert steps[2][3] == "0002a,0002b"
    assert (steps[3][:2], steps[3][3]) == (["up", "0003"], "0003")
    assert (steps[4][:2], steps[4][3]) == (["down", "0003"], "0002a,0002b")


def test_a_call_leaves_the_process_as_it_found_it(project: Project) -> None:
    before = gc.get_threshold(), migration.HeadMaintainer
    project.table("0001", "one")
    project.prepare("init")
    project.revision("0002", "op.execute('SELECT 1/0')")
    with pytest.raises(Exception, match="division by zero"):
        project.prepare("upgrade")
    assert (gc.get_threshold(), migration.HeadMaintainer) == before
