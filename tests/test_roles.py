"""A role to migrate as: whatever a command creates belongs to it, and not to who logs in."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg2 import sql

from tests.conftest import drop, with_database, with_user
from tests.support.foreign import KINDS, copy_project
from tests.support.launcher import Launcher
from tests.support.project import Project, query

FAILED, MISUSED = 1, 2
# All that a new database holds which has an owner, but not what stands for another object.
OWNERS = """
    SELECT DISTINCT pg_get_userbyid(owner) FROM (
        SELECT datdba AS owner FROM pg_database WHERE datname = current_database()
        UNION ALL SELECT nspowner FROM pg_namespace WHERE oid >= 16384
        UNION ALL SELECT relowner FROM pg_class WHERE oid >= 16384
        UNION ALL SELECT typowner FROM pg_type WHERE oid >= 16384
        UNION ALL SELECT proowner FROM pg_proc WHERE oid >= 16384
        UNION ALL SELECT lomowner FROM pg_largeobject_metadata
    ) AS o
"""
EVERYTHING = """
op.execute("CREATE SCHEMA billing")
op.execute("CREATE TYPE billing.mood AS ENUM ('sad', 'happy')")
op.execute("CREATE TABLE billing.bill (id serial PRIMARY KEY, mood billing.mood)")
op.execute("CREATE FUNCTION billing.one() RETURNS int LANGUAGE sql AS 'SELECT 1'")
op.execute("SELECT lo_create(0)")
"""


@pytest.fixture
def owner(server_url: str, role: str) -> Iterator[str]:
    """A role that nobody logs in as, with a name that has to be quoted."""
    name = f"Owner of {role}%"
    identifier = sql.Identifier(name)
    query(server_url, sql.SQL("CREATE ROLE {}").format(identifier))
    query(server_url, sql.SQL("GRANT {} TO {}").format(identifier, sql.Identifier(role)))
    yield name
    of_owner = "SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = %s"
    for (database,) in query(server_url, of_owner, name):
        drop(server_url, str(database))
    query(server_url, sql.SQL("DROP ROLE {}").format(identifier))


@pytest.fixture
def owned(project: Project, role: str, owner: str, server_url: str) -> Project:
    """A project whose role may create databases, and acts as one that may not."""
    query(server_url, f"ALTER ROLE {role} CREATEDB NOINHERIT")
    query(server_url, f"ALTER ROLE {role} INHERIT")
    project.revision("0001", EVERYTHING, "op.execute('DROP SCHEMA billing CASCADE')")
    project.table("0002", "two")
    project.url = with_user(project.url, role, "role_secret")
    project.env["DB_OPS_ROLE"] = owner
    return project


def owners(project: Project, server_url: str) -> list[str]:
    database = project.url.rpartition("/")[2]
    return [str(name) for (name,) in query(with_database(server_url, database), OWNERS)]


def test_whatever_init_creates_belongs_to_the_role(
    owned: Project, owner: str, role: str, server_url: str, door: str
) -> None:
    out = owned.run("init", door=door).succeeded().out
    assert "created, 2 revisions applied" in out
    assert "marked as development" in out
    assert owners(owned, server_url) == [owner]
    assert "nothing to do" in owned.run("init", door=door).succeeded().out


def test_whatever_takes_the_place_of_the_database_belongs_to_the_role(
    owned: Project, owner: str, server_url: str, tmp_path: Path
) -> None:
    owned.run("init").succeeded()
    for arguments in (
        ("recreate",),  # a copy of the template
        ("recreate", "--from-migrations"),
        ("snapshot", "kept"),
        ("restore", "kept"),
        ("dump", str(tmp_path / "app.dump")),
        ("load", str(tmp_path / "app.dump")),
        ("dump", str(tmp_path / "app.sql")),
        ("load", str(tmp_path / "app.sql")),
    ):
        owned.run(*arguments).succeeded()
        assert owners(owned, server_url) == [owner], arguments
    assert ": dropped" in owned.run("delete-db").succeeded().out


def test_a_role_that_creates_databases_itself_needs_no_login_that_does(
    owned: Project, owner: str, role: str, server_url: str
) -> None:
    query(server_url, f"ALTER ROLE {role} NOCREATEDB")
    query(server_url, sql.SQL("ALTER ROLE {} CREATEDB").format(sql.Identifier(owner)))
    owned.run("init", "recreate").succeeded()
    assert owners(owned, server_url) == [owner]


def test_the_records_say_who_has_logged_in_and_as_whom(
    owned: Project, owner: str, role: str
) -> None:
    owned.run("init").succeeded()
    rows = owned.query("SELECT DISTINCT role, acting_role FROM db_ops.history")
    assert rows == [(role, owner)]
    assert f" by {role} as {owner} (" in owned.run("history").succeeded().out
    told = json.loads(owned.run("history", "--json").succeeded().out)
    entry = told["entries"][0]
    assert (entry["role"], entry["acting_role"]) == (role, owner)


def test_records_of_an_earlier_version_are_gone_on_with(
    owned: Project, owner: str, role: str
) -> None:
    owned.run("init").succeeded()
    acts = sql.SQL("SET ROLE {}; ALTER TABLE db_ops.history DROP COLUMN acting_role")
    query(owned.url, acts.format(sql.Identifier(owner)))
    assert f" by {role} (" in owned.run("history").succeeded().out
    owned.run("downgrade", "-s", "1").succeeded()
    rows = owned.query("SELECT acting_role FROM db_ops.history ORDER BY id")
    assert rows == [(None,), (None,), (owner,)]


@pytest.mark.parametrize(
    "taken", ["RESET ROLE", "SET ROLE NONE", "SET SESSION AUTHORIZATION DEFAULT"]
)
def test_what_a_revision_makes_of_the_role_ends_with_it(
    owned: Project, owner: str, role: str, server_url: str, taken: str
) -> None:
    owned.run("init").succeeded()
    query(server_url, f"ALTER ROLE {role} NOINHERIT")
    owned.revision("0003", f"op.execute('{taken}')")
    owned.table("0004", "four")
    env_py = owned.root / "alembic" / "env.py"
    env_py.write_text("import logging\n\nlogging.basicConfig(level='INFO')\n" + env_py.read_text())
    assert "Running upgrade 0003 -> 0004" in owned.run("upgrade").succeeded().err
    assert owners(owned, server_url) == [owner]
    acted = owned.query("SELECT acting_role FROM db_ops.history WHERE revision = '0003'")
    assert acted == [(owner,)]


def test_the_plain_command_acts_as_the_role(owned: Project, owner: str, server_url: str) -> None:
    owned.run("init").succeeded()
    owned.table("0003", "three")
    owned.alembic("upgrade", "head").succeeded()
    assert owners(owned, server_url) == [owner]


def test_a_script_for_psql_takes_the_role_and_a_plan_does_not_show_it(
    owned: Project, owner: str, server_url: str
) -> None:
    owned.run("init").succeeded()
    owned.table("0003", "three")
    plan = owned.run("upgrade", "--plan").succeeded()
    assert "CREATE TABLE three" in plan.out
    assert "SET ROLE" not in plan.out
    script = owned.run("upgrade", "--sql").succeeded().out
    assert script.count(f'SET ROLE "{owner}"') == 1
    # psql alone knows the first line.
    query(owned.url, script.partition("\n")[2])
    assert owners(owned, server_url) == [owner]


def test_the_embedded_server_is_given_the_role(project: Project, owner: str) -> None:
    folder = Path(tempfile.mkdtemp(prefix="db_ops-role-"))
    folder.chmod(0o755)
    try:
        shutil.copytree(project.root, folder / "project")
        there = replace(project, root=folder / "project")
        there.env = {**project.env, "DB_OPS_ROLE": "Table owner"}
        del there.env["DATABASE_URL"]
        there.table("0001", "one")
        there.run("init").succeeded()
        there.run("recreate").succeeded()
        out = there.run("shell", "-c", "SELECT tableowner FROM pg_tables WHERE tablename = 'one'")
        assert "Table owner" in out.succeeded().out
        there.run("stop").succeeded()
    finally:
        shutil.rmtree(folder)


def test_a_seed_writes_as_the_role(owned: Project, owner: str, server_url: str) -> None:
    (owned.root / "seed.sql").write_text(
        "SET ROLE NONE; SELECT set_config('x.y', current_user, false); RESET ROLE;"
    )
    (owned.root / "more.sql").write_text("INSERT INTO two VALUES (1); SELECT lo_create(0);")
    (owned.root / "pyproject.toml").write_text('[tool.db_ops]\nseed = ["seed.sql", "more.sql"]\n')
    assert "1 row inserted" in owned.run("init").succeeded().out
    assert owners(owned, server_url) == [owner]


def test_a_role_that_is_not_there_is_named_with_what_makes_it(
    owned: Project, owner: str, role: str, server_url: str
) -> None:
    owned.env["DB_OPS_ROLE"] = "nobody's"
    for command in ("init", "status"):
        outcome = owned.run(command).failed(FAILED)
        assert 'there is no role "nobody\'s", which the settings name' in outcome.error
        assert f'CREATE ROLE "nobody\'s"; GRANT "nobody\'s" TO {role}' in outcome.hint
    owned.env["DB_OPS_ROLE"] = owner.upper()
    assert f"DB_OPS_ROLE='{owner}'" in owned.run("init").failed(FAILED).hint
    assert "there is no role" in owned.run("doctor").out
    assert query(server_url, "SELECT 1 FROM pg_database WHERE datname = %s", owned.url) == []


def test_a_role_that_is_not_granted_is_named_with_the_grant(
    owned: Project, owner: str, role: str, server_url: str
) -> None:
    query(server_url, sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(owner), sql.SQL(role)))
    outcome = owned.run("init").failed(FAILED)
    assert f"role '{role}' may not act as '{owner}', which the settings name" in outcome.error
    assert outcome.hint.startswith("as a superuser: GRANT ")
    query(server_url, outcome.hint.removeprefix("as a superuser: "))
    owned.run("init").succeeded()


def test_the_project_s_file_may_name_the_role_and_a_variable_none(
    owned: Project, owner: str, role: str, server_url: str
) -> None:
    del owned.env["DB_OPS_ROLE"]
    (owned.root / "pyproject.toml").write_text(f"[tool.db_ops]\nrole = '{owner}'\n")
    owned.run("init").succeeded()
    assert owners(owned, server_url) == [owner]
    out = owned.run("doctor").succeeded().out
    assert f"{owner}  (pyproject.toml)" in out
    assert f"{role}, which acts as {owner}" in out
    owned.env["DB_OPS_ROLE"] = "none"
    owned.run("delete-db", "--confirm", owned.url.rpartition("/")[2]).succeeded()
    owned.run("init").succeeded()
    assert owners(owned, server_url) == [role]
    owned.env["DB_OPS_ROLE"] = ""
    assert "DB_OPS_ROLE" in owned.run("init").failed(MISUSED).error


@pytest.mark.parametrize("name", ["async_asyncpg", "async_psycopg", "ini_url"])
def test_an_env_py_of_the_project_s_own_migrates_as_the_role(
    name: str,
    owned: Project,
    owner: str,
    server_url: str,
    tmp_path: Path,
    launcher: Launcher,
) -> None:
    kind = next(one for one in KINDS if one.name == name)
    foreign = copy_project(kind, tmp_path / "foreign", owned.url, launcher)
    foreign.env["DB_OPS_ROLE"] = owner
    foreign.run("init").succeeded()
    foreign.run("downgrade", "-s", "1").succeeded()
    foreign.run("upgrade").succeeded()
    assert owners(owned, server_url) == [owner]


def test_a_database_of_who_logs_in_says_what_the_role_lacks_in_it(
    owned: Project, owner: str, role: str, server_url: str
) -> None:
    acted = owned.env.pop("DB_OPS_ROLE")
    owned.run("init").succeeded()
    owned.env["DB_OPS_ROLE"] = acted
    owned.table("0003", "three")
    outcome = owned.run("upgrade").failed(FAILED)
    assert "alembic_version" in outcome.error
    assert f"belongs to {role}" in outcome.hint or f"as {role}" in outcome.hint, outcome.err
