"""What is recorded in the target of each revision, and what is made of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.conftest import with_user
from tests.support.command import Command
from tests.support.doors import run
from tests.support.launcher import Launcher
from tests.support.project import Project, query

ROWS = "SELECT revision, action, heads, role, command FROM db_ops.history ORDER BY id"


def rows(project: Project) -> list[tuple[object, ...]]:
    return project.query("SELECT revision, action FROM db_ops.history ORDER BY id")


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def as_role(project: Project, role: str) -> None:
    project.url = with_user(project.url, role, "role_secret")


@pytest.fixture
def plain(migrated: Project) -> Project:
    """`migrated` with another name for its models, so that `alembic check` finds them complete."""
    migrated.models(
        "".join(
            f"class {name.title()}(Base):\n    __tablename__ = '{name}'\n"
            "    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)\n"
            for name in ("one", "two", "three")
        )
    )
    return migrated


def test_each_revision_that_is_applied_or_reverted_is_recorded(project: Project) -> None:
    project.env["DB_OPS_ENVIRONMENT"] = "test"
    project.table("0001", "one")
    project.table("0002", "two")
    project.run("init").succeeded()
    project.run("downgrade").succeeded()
    assert project.query(ROWS) == [
        ("0001", "upgrade", ["0001"], "db_ops_admin", "init"),
        ("0002", "upgrade", ["0002"], "db_ops_admin", "init"),
        ("0002", "downgrade", ["0001"], "db_ops_admin", "downgrade"),
    ]
    ((user, took, checksum),) = project.query(
        "SELECT os_user, seconds, checksum FROM db_ops.history WHERE id = 1"
    )
    assert "@" in str(user)
    assert 0 < float(str(took)) < 60
    assert str(checksum).startswith("1:")


def test_the_plain_alembic_command_records_too(migrated: Project) -> None:
    migrated.table("0004", "four")
    migrated.alembic("upgrade", "head").succeeded()
    migrated.alembic("downgrade", "-1").succeeded()
    migrated.alembic("stamp", "0004").succeeded()
    migrated.run("verify", "--quick").succeeded()
    migrated.alembic("stamp", "0003").succeeded()
    assert rows(migrated)[3:] == [
        ("0004", "upgrade"),
        ("0004", "downgrade"),
        ("0004", "stamp"),
        ("0004", "unstamp"),
    ]


def test_a_run_that_applies_nothing_records_nothing(migrated: Project) -> None:
    migrated.query("DROP SCHEMA db_ops CASCADE")
    for command in ("init", "upgrade", "status", "history", "verify"):
        migrated.run(command)
    migrated.alembic("upgrade", "head").succeeded()
    assert migrated.query("SELECT 1 FROM pg_namespace WHERE nspname = 'db_ops'") == []


def test_a_revision_that_fails_leaves_no_record(migrated: Project) -> None:
    migrated.table("0004", "four")
    migrated.revision("0005", "op.execute('CREATE TABLE five ()')\nop.execute('SELECT 1/0')")
    migrated.run("upgrade").failed(1)
    assert rows(migrated)[3:] == [("0004", "upgrade")]


@pytest.mark.parametrize(
    "body",
    [
        "op.execute('SET ROLE {role}')",
        "op.execute('ALTER TABLE db_ops.history RENAME TO other')",
        "op.get_bind().connection.driver_connection.autocommit = True",
        "with op.get_context().autocommit_block():\n    op.execute('SELECT 1')",
    ],
    ids=["another role", "no table", "driver in autocommit", "autocommit block"],
)
def test_what_a_revision_does_to_its_session_fails_no_migration(
    migrated: Project, role: str, body: str
) -> None:
    migrated.query(f"GRANT ALL ON alembic_version TO {role}")
    migrated.query(f"GRANT CREATE ON SCHEMA public TO {role}")
    migrated.revision("0004", body.format(role=role))
    migrated.table("0005", "five")
    migrated.run("upgrade").succeeded()
    assert migrated.query("SELECT version_num FROM alembic_version") == [("0005",)]
    migrated.query(f"DROP OWNED BY {role} CASCADE")


def test_switched_off_nothing_is_recorded(project: Project) -> None:
    project.env["DB_OPS_RECORDS"] = "0"
    project.table("0001", "one")
    project.run("init").succeeded()
    project.table("0002", "two")
    project.alembic("upgrade", "head").succeeded()
    assert project.query("SELECT 1 FROM pg_namespace WHERE nspname = 'db_ops'") == []
    project.run("history", "--record").failed(2)
    outcome = project.run("history").succeeded()
    assert "nothing is recorded" in outcome.out
    assert "applied, without a record" in outcome.out


def test_a_role_that_may_create_no_schema_migrates_and_is_told_once(
    migrated: Project, role: str
) -> None:
    migrated.query("DROP SCHEMA db_ops CASCADE")
    migrated.query(f"GRANT CREATE ON SCHEMA public TO {role}")
    migrated.query(f"GRANT ALL ON alembic_version TO {role}")
    migrated.table("0004", "four")
    migrated.table("0005", "five")
    admin = migrated.url
    as_role(migrated, role)
    outcome = migrated.run("upgrade").succeeded()
    assert outcome.err.count("not recorded") == 1
    assert f"CREATE SCHEMA db_ops AUTHORIZATION {role}" in outcome.err
    assert "may not create schema db_ops" in migrated.run("history", "--record").failed(1).error
    query(admin, f"DROP OWNED BY {role} CASCADE")


def test_what_the_message_says_lets_such_a_role_keep_records(migrated: Project, role: str) -> None:
    migrated.query("DROP SCHEMA db_ops CASCADE")
    migrated.query(f'CREATE SCHEMA db_ops AUTHORIZATION "{role}"')
    migrated.query(f"GRANT CREATE ON SCHEMA public TO {role}")
    migrated.query(f"GRANT ALL ON alembic_version TO {role}")
    migrated.table("0004", "four")
    admin = migrated.url
    as_role(migrated, role)
    outcome = migrated.run("upgrade").succeeded()
    assert "not recorded" not in outcome.err
    assert rows(migrated) == [("0004", "upgrade")]
    query(admin, f"DROP OWNED BY {role} CASCADE")


def test_a_schema_of_somebody_else_s_is_left_alone(project: Project) -> None:
    project.revision(
        "0001",
        "op.execute('CREATE SCHEMA db_ops; CREATE TABLE db_ops.history (id int)')",
    )
    project.table("0002", "two")
    project.env["DB_OPS_LOCK_TIMEOUT"] = "1"
    outcome = project.run("init").succeeded()
    assert "not recorded" in outcome.err
    outcome = project.run("history", "--record").failed(1)
    assert "made by db_ops_admin for something else" in outcome.error
    assert project.query("SELECT * FROM db_ops.history") == []
    assert "nothing is recorded" in project.run("history").succeeded().out
    assert "drift        unknown" in project.run("status").succeeded().out


def test_a_role_in_whose_search_path_the_schema_would_be_gets_none(
    migrated: Project, server_url: str
) -> None:
    """Its tables without a schema in their names would be created among the records."""
    migrated.query("DROP SCHEMA db_ops CASCADE")
    migrated.query("CREATE ROLE db_ops LOGIN SUPERUSER PASSWORD 'role_secret'")
    try:
        migrated.table("0004", "four")
        as_role(migrated, "db_ops")
        assert "search path" in migrated.run("upgrade").succeeded().err
        assert "four" in migrated.tables
        assert migrated.query("SELECT 1 FROM pg_namespace WHERE nspname = 'db_ops'") == []
        migrated.query("ALTER TABLE four OWNER TO db_ops_admin")
    finally:
        query(server_url, "DROP ROLE db_ops")


def test_processes_that_start_at_once_record_each_revision_once(
    project: Project, launcher: Launcher
) -> None:
    for number in range(5):
        project.table(f"000{number}", f"table_{number}")
    crowd = [launcher.start(project.root, project.env, "init") for _ in range(5)]
    for process in crowd:
        process.finish(60).succeeded()
    assert rows(project) == [(f"000{number}", "upgrade") for number in range(5)]
    project.run("verify", "--quick").succeeded()


def test_services_that_share_a_database_have_records_of_their_own(
    migrated: Project, tmp_path: Path
) -> None:
    replace_in(
        migrated.root / "alembic.ini",
        "[alembic]\n",
        "[alembic]\nversion_table = other_version\n",
    )
    migrated.query("CREATE TABLE other_version (version_num varchar(32) PRIMARY KEY)")
    migrated.query("INSERT INTO other_version VALUES ('0001')")
    migrated.query("DROP TABLE two, three")
    migrated.run("upgrade").succeeded()
    assert migrated.query(
        "SELECT version_table, count(*) FROM db_ops.history GROUP BY 1 ORDER BY 1"
    ) == [("alembic_version", 3), ("other_version", 2)]
    migrated.run("verify", "--quick").succeeded()


def test_a_client_killed_after_a_revision_leaves_a_record_of_what_was_committed(
    migrated: Project,
) -> None:
    migrated.table("0004", "four")
    migrated.revision("0005", "op.execute('SELECT pg_sleep(60)')")
    with Command(migrated, "upgrade") as command:
        command.wait_until_it_runs("pg_sleep")
        command.kill()
    assert rows(migrated)[3:] == [("0004", "upgrade")]
    outcome = migrated.run("verify", "--quick")
    assert outcome.code == 3
    assert "0005 is not applied" in outcome.out
    assert "no fingerprint is recorded" in outcome.out
    replace_in(migrated.revision_files[-1], "pg_sleep(60)", "1")
    migrated.run("upgrade").succeeded()
    migrated.run("verify", "--quick").succeeded()


def test_a_copy_of_a_template_says_that_its_records_are_copied(project: Project) -> None:
    project.table("0001", "one")
    project.run("init").succeeded()
    project.run("recreate").succeeded()
    project.run("verify", "--quick").succeeded()
    (entry,) = json.loads(project.run("history", "--json").out)["entries"]
    assert (entry["action"], entry["copied"]) == ("upgrade", True)


def test_a_template_with_records_is_not_copied_by_who_switched_them_off(project: Project) -> None:
    project.table("0001", "one")
    project.run("init").succeeded()
    project.env["DB_OPS_RECORDS"] = "0"
    project.run("recreate").succeeded()
    assert project.query("SELECT 1 FROM pg_namespace WHERE nspname = 'db_ops'") == []


def test_alembic_never_proposes_to_drop_the_records(plain: Project) -> None:
    plain.alembic("check").succeeded()
    assert "db_ops.history" not in plain.run("verify").out


@pytest.mark.parametrize("options", ["", ", include_schemas=True"])
def test_alembic_never_proposes_to_drop_the_records_beside_other_schemas(
    plain: Project, options: str
) -> None:
    with (plain.root / "models.py").open("a") as models:
        models.write(
            "class Four(Base):\n    __tablename__ = 'four'\n"
            "    __table_args__ = {'schema': 'far'}\n"
            "    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)\n"
        )
    env_py = plain.root / "alembic" / "env.py"
    replace_in(env_py, "Base.metadata)", f"Base.metadata{options})")
    plain.revision(
        "0004", "op.execute('CREATE SCHEMA far; CREATE TABLE far.four (id int PRIMARY KEY)')"
    )
    plain.run("upgrade").succeeded()
    plain.alembic("check").succeeded()
    assert "db_ops.history" not in plain.run("verify").out


def test_a_database_with_nothing_but_records_counts_as_empty(migrated: Project) -> None:
    migrated.alembic("downgrade", "base").succeeded()
    migrated.query("DROP TABLE alembic_version")
    migrated.run("init").succeeded()
    assert "three" in migrated.tables


def test_python_finds_what_is_recorded_without_alembic(migrated: Project) -> None:
    code = (
        "import sys, db_ops\n"
        "settings = db_ops.load()\n"
        "assert db_ops.verify(settings, quick=True).agreed\n"
        "assert db_ops.history(settings).entries[0].action == 'upgrade'\n"
        "assert db_ops.status(settings).drift.state == 'equal'\n"
        "assert not {'sqlalchemy', 'alembic'} & set(sys.modules)\n"
    )
    run([sys.executable, "-c", code], cwd=migrated.root, env=migrated.env).succeeded()


def test_status_tells_of_the_last_record_where_the_version_table_is_gone(migrated: Project) -> None:
    migrated.query("DROP TABLE alembic_version")
    assert "the last record is of 0003" in migrated.run("status").succeeded().out
