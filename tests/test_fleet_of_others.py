"""`fleet` on projects whose own env.py chooses the schema, or the database, of a tenant."""

from __future__ import annotations

import dataclasses
import re
import shlex
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path

import pytest

import db_ops
from db_ops.frozen_data import replace
from db_ops.settings import DatabaseUrl, Settings
from db_ops.settings.fleet import FleetSettings
from tests.conftest import drop, with_database
from tests.support.foreign import KINDS, copy_project
from tests.support.launcher import Launcher
from tests.support.project import Project, query
from tests.support.schemas import validated

FLEET = "[tool.db_ops.fleet]\n"
SCHEMAS = (
    "schemas = \"SELECT nspname FROM pg_namespace WHERE nspname LIKE 'shop\\\\_%' ORDER BY 1\"\n"
)
TOLD = 'environment = {SHOP_SCHEMA = "{name}"}\n'
SHOPS = ("shop_a", "shop_b", "shop_c")

HEAD = """
import os
from alembic import context
from models import Base
from sqlalchemy import create_engine, pool, text

engine = create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)


def migrate(connection, **options):
    context.configure(connection=connection, target_metadata=Base.metadata, **options)
    with context.begin_transaction():
        context.run_migrations()


with engine.connect() as connection:
"""
# What an env.py does with the schema that it was told, or not.
BY_VARIABLE = """
    schema = os.environ.get("SHOP_SCHEMA", "public")
    connection.execute(text(f'SET search_path TO "{schema}", public'))
    connection.commit()
    migrate(connection, version_table_schema=schema)
"""
BY_MODULE = """
    from tenancy import SCHEMA
    connection.execute(text(f'SET search_path TO "{SCHEMA}"'))
    connection.commit()
    migrate(connection)
"""
BY_ARGUMENT = """
    schema = context.get_x_argument(as_dictionary=True)["schema"]
    migrate(connection, version_table_schema=schema)
"""
ALL_OF_THEM = """
    for (schema,) in connection.execute(text("SELECT name FROM public.shops")).all():
        connection.execute(text(f'SET search_path TO "{schema}"'))
        connection.commit()
        migrate(connection)
"""
PUBLIC_AS_WELL = """
    migrate(connection)
    schema = os.environ["SHOP_SCHEMA"]
    connection.execute(text(f'SET search_path TO "{schema}", public'))
    connection.commit()
    migrate(connection)
"""
NEVER = """
    migrate(connection, version_table_schema=context.config.attributes["tenant_schema"])
"""


@pytest.fixture
def shops(project: Project) -> Project:
    """A database with a schema for each of three shops, and two revisions for them."""
    server = with_database(project.url, "postgres")
    query(server, f"CREATE DATABASE {project.url.rpartition('/')[2]}")
    for name in SHOPS:
        project.query(f"CREATE SCHEMA {name}")
    project.query("CREATE TABLE public.shops AS SELECT unnest(%s) AS name", list(SHOPS))
    project.table("0001", "one")
    project.revision("0002", "op.execute('ALTER TABLE one ADD COLUMN note text')", "pass")
    tell(project)
    return project


def tell(project: Project, text: str = "") -> None:
    (project.root / "pyproject.toml").write_text(FLEET + SCHEMAS + text)


def write_env(project: Project, body: str, head: str = HEAD) -> None:
    (project.root / "alembic" / "env.py").write_text(head + body)


def tables(project: Project) -> dict[str, list[object]]:
    """Return where the tables of the revisions are, and where those of the versions."""
    rows = project.query(
        "SELECT relnamespace::regnamespace::text, array_agg(relname::text ORDER BY relname)"
        " FROM pg_class WHERE relkind = 'r' AND relname IN ('one', 'alembic_version') GROUP BY 1"
    )
    return {str(name): list(found) for name, found in rows}  # type: ignore[call-overload]  # an array


EACH_HAS_ITS_OWN = {name: ["alembic_version", "one"] for name in SHOPS}


def test_an_env_py_is_told_by_a_variable_which_schema_is_meant(shops: Project) -> None:
    write_env(shops, BY_VARIABLE)
    tell(shops, TOLD)
    assert shops.run("fleet", "status").code == 3
    assert "3 applied, of 3" in shops.run("fleet", "upgrade", "--jobs", "2").succeeded().out
    assert tables(shops) == EACH_HAS_ITS_OWN
    assert "3 at head, of 3" in shops.run("fleet", "upgrade").succeeded().out
    shops.query("ALTER TABLE shop_b.one ADD COLUMN by_hand int")
    assert shops.run("fleet", "verify", "--quick").code == 3
    reverted = shops.run("fleet", "downgrade", "--only", "shop_a", "--confirm", "1").succeeded()
    assert "1 reverted, of 1" in reverted.out
    outcome = shops.run("fleet", "status", "--json")
    report = validated("fleet.json", outcome.out)
    assert (outcome.code, report["states"]) == (3, {"behind": 1, "at head": 2})
    at = [shops.query(f"SELECT version_num FROM {name}.alembic_version") for name in SHOPS]
    assert at == [[("0001",)], [("0002",)], [("0002",)]]


@pytest.mark.parametrize("kind", ["ours", "by variable", "by search path"])
def test_verify_quick_tells_which_schema_was_changed_by_hand(shops: Project, kind: str) -> None:
    if kind != "ours":
        body = BY_VARIABLE.replace(", version_table_schema=schema", "")
        write_env(shops, BY_VARIABLE if kind == "by variable" else body)
        tell(shops, TOLD)
    assert "3 applied, of 3" in shops.run("fleet", "upgrade", "--jobs", "2").succeeded().out
    assert "3 at head, of 3" in shops.run("fleet", "verify", "--quick").succeeded().out
    # What belongs to the database, or to none of them, is nobody's change.
    shops.query("CREATE TABLE public.others (id int); CREATE PUBLICATION every FOR ALL TABLES")
    shops.query("CREATE CAST (money AS bytea) WITH INOUT; CREATE SCHEMA shopping")
    assert "3 at head, of 3" in shops.run("fleet", "verify", "--quick").succeeded().out
    shops.query("CREATE INDEX by_hand ON shop_b.one (note)")
    outcome = shops.run("fleet", "verify", "--quick")
    assert (outcome.code, "2 at head, 1 changed, of 3" in outcome.out) == (3, True), outcome.out
    said = re.search(
        r"^shop_b: changed at 0002, catalogs not as recorded (\S+)$", outcome.out, re.M
    )
    assert said, outcome.out
    finished = "SELECT max(finished_at) FROM db_ops.history WHERE version_table ~ 'shop_b'"
    ((recorded,),) = shops.query(finished)
    assert datetime.fromisoformat(said[1]) == recorded.replace(microsecond=0)
    # Others are migrated, and the one that was changed stays so.
    shops.query("CREATE SCHEMA shop_d")
    assert "1 applied" in shops.run("fleet", "upgrade").succeeded().out
    outcome = shops.run("fleet", "verify", "--quick")
    assert "3 at head, 1 changed, of 4" in outcome.out
    shops.query("DROP INDEX shop_b.by_hand")
    assert "4 at head, of 4" in shops.run("fleet", "verify", "--quick").succeeded().out
    shops.query("UPDATE db_ops.history SET fingerprint = replace(fingerprint, 's:', ':')")
    outcome = shops.run("fleet", "verify", "--quick")
    assert outcome.code == 3
    assert "the last fingerprint is of the whole database" in outcome.out


def test_what_a_module_reads_once_is_read_for_each_member(shops: Project) -> None:
    (shops.root / "tenancy.py").write_text('import os\n\nSCHEMA = os.environ["SHOP_SCHEMA"]\n')
    # One of the revisions has it from that module, as of its import.
    shops.revision(
        "0003",
        "from tenancy import SCHEMA\nop.execute(f\"INSERT INTO one VALUES (1, '{SCHEMA}')\")",
    )
    write_env(shops, BY_MODULE)
    tell(shops, TOLD)
    assert "3 applied, of 3" in shops.run("fleet", "upgrade", "--jobs", "1").succeeded().out
    found = [shops.query(f"SELECT note FROM {name}.one") for name in SHOPS]
    assert found == [[(name,)] for name in SHOPS]
    assert tables(shops) == EACH_HAS_ITS_OWN


def test_other_executors_work_on_each_member_in_a_process_of_its_own(
    shops: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shops.root / "tenancy.py").write_text('import os\n\nSCHEMA = os.environ["SHOP_SCHEMA"]\n')
    write_env(shops, BY_MODULE)
    settings = replace(
        Settings(shops.root / "alembic.ini"),
        url=DatabaseUrl.parse(shops.url),
        folder=shops.root,
        user_cache=shops.root / "cache",
        fleet=FleetSettings(
            schemas="VALUES ('shop_a'), ('shop_b')", environment=(("SHOP_SCHEMA", "{name}"),)
        ),
    )
    monkeypatch.setenv("DATABASE_URL", shops.url)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        report = db_ops.fleet(settings, "upgrade", executor=pool, jobs=1)
    assert report.states == {"applied": 2}  # type: ignore[attr-defined]  # a FleetReport
    assert sorted(tables(shops)) == ["shop_a", "shop_b"]


@pytest.mark.parametrize(
    ("body", "key", "line"),
    [
        (BY_VARIABLE, TOLD, 11),
        (BY_VARIABLE.replace('.get("SHOP_SCHEMA", "public")', '["SHOP_SCHEMA"]'), TOLD, 18),
        (BY_ARGUMENT, 'x = ["schema={name}"]\n', 18),
    ],
    ids=["public by default", "a variable is needed", "an argument is needed"],
)
def test_an_env_py_that_is_not_told_is_refused_with_the_setting_that_tells_it(
    shops: Project, body: str, key: str, line: int
) -> None:
    write_env(shops, body)
    for command in ("status", "upgrade", "init"):
        refused = shops.run("fleet", command).failed(2)
        assert f"alembic/env.py:{line}: " in refused.error
        assert refused.hint.endswith(key.strip())
    assert tables(shops) == {}
    tell(shops, key)
    assert "3 applied, of 3" in shops.run("fleet", "upgrade").succeeded().out
    # Also what that env.py has left to the search path of the server.
    assert tables(shops) == EACH_HAS_ITS_OWN


def test_an_env_py_that_goes_through_all_schemas_is_for_upgrade_alone(shops: Project) -> None:
    write_env(shops, ALL_OF_THEM)
    refused = shops.run("fleet", "upgrade").failed(2)
    assert "would migrate shop_a, shop_b, shop_c in one run, and shop_a is meant" in refused.error
    assert tables(shops) == {}
    assert refused.hint.endswith(" upgrade")
    shops.run("upgrade").succeeded()
    assert tables(shops) == EACH_HAS_ITS_OWN
    assert "nothing to do" in shops.run("upgrade").succeeded().out


def test_a_tenant_is_not_at_head_because_public_is(shops: Project) -> None:
    write_env(shops, PUBLIC_AS_WELL)
    tell(shops, TOLD)
    shops.query("CREATE TABLE alembic_version AS SELECT '0002'::varchar AS version_num")
    for command in ("status", "upgrade"):
        outcome = shops.run("fleet", command)
        assert (outcome.code, "3 failed, of 3" in outcome.out) == (1, True)
        assert "the default, shop_a in one run, and shop_a is meant" in outcome.out
    # A variable of another name is none.
    write_env(shops, BY_VARIABLE)
    tell(shops, TOLD.replace("SCHEMA", "SCHEME"))
    said = shops.run("fleet", "status").out
    assert "has told it SHOP_SCHEME=shop_a, and it asks for SHOP_SCHEMA: " in said
    tell(shops, TOLD)
    # Nor where the version table is whichever is first in the path.
    write_env(shops, BY_MODULE.replace('"{SCHEMA}"', '"{SCHEMA}", public'))
    (shops.root / "tenancy.py").write_text('import os\n\nSCHEMA = os.environ["SHOP_SCHEMA"]\n')
    outcome = shops.run("fleet", "status")
    assert (outcome.code, "would migrate schema public, and shop_a" in outcome.out) == (1, True)
    assert tables(shops) == {"public": ["alembic_version"]}


def test_a_revision_that_goes_through_the_members_itself_is_rolled_back(shops: Project) -> None:
    write_env(shops, "    migrate(connection)\n")
    loop = (
        "for (name,) in op.get_bind().execute(sa.text('SELECT name FROM public.shops')).all():\n"
        "    op.execute(f'{} {name}.one {}')"
    )
    create = loop.replace("{}", "CREATE TABLE", 1).replace("{}", "(id int, note text)")
    shops.revision("0001", create, down_revision=None)
    shops.revision("0002", "pass")
    outcome = shops.run("fleet", "upgrade", "--json", "--jobs", "1")
    report = validated("fleet.json", outcome.out)
    assert {one["error"] for one in report["failed"]} == {"OtherMembersChanged"}
    said = "0001.py, run for shop_a, changes tables of shop_b, shop_c as well"
    assert said in report["failed"][0]["message"]
    assert not any("one" in found for found in tables(shops).values())
    assert re.search(r"for all of them: \S.*[ .]upgrade; ", report["failed"][0]["hint"])


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_the_drivers_own_connections_look_into_the_schema_that_is_meant(
    shops: Project, driver: str
) -> None:
    pytest.importorskip(driver)
    head = HEAD.replace('os.environ["DATABASE_URL"]', f"url.set(drivername='postgresql+{driver}')")
    head = head.replace("engine =", 'url = make_url(os.environ["DATABASE_URL"])\nengine =')
    head = head.replace("import create_engine,", "import create_engine, make_url,")
    if driver == "asyncpg":
        head = head.replace("import create_engine,", "import").replace(
            "engine = create", "from sqlalchemy.ext.asyncio import create_async_engine\n\n"
            "engine = create_async"
        )  # fmt: skip
        body = "\n\nasync def run():\n    async with engine.connect() as connection:\n"
        body += "        await connection.run_sync(migrate)\n        await connection.commit()\n"
        write_env(
            shops,
            body + "\n\nimport asyncio\n\nasyncio.run(run())\n",
            head.partition("with engine.c")[0],
        )
    else:
        write_env(shops, "    migrate(connection)\n", head)
    assert "3 applied, of 3" in shops.run("fleet", "upgrade").succeeded().out
    assert tables(shops) == EACH_HAS_ITS_OWN
    assert "3 at head, of 3" in shops.run("fleet", "status").succeeded().out


def test_an_env_py_of_ours_has_its_schema_chosen_for_it_whatever_it_is_told(shops: Project) -> None:
    tell(shops, 'x = ["region={name}"]\nenvironment = {REGION = "{name}"}\n')
    assert "3 applied, of 3" in shops.run("fleet", "upgrade").succeeded().out
    assert tables(shops) == EACH_HAS_ITS_OWN


def test_an_env_py_that_its_own_program_runs_is_refused_by_name(shops: Project) -> None:
    write_env(shops, NEVER)
    refused = shops.run("fleet", "upgrade").failed(2)
    assert "alembic/env.py:" in refused.error
    assert "it takes tenant_schema from config.attributes" in refused.hint
    # What is wrong with the code is told as ever.
    write_env(shops, "    import none_such\n" + BY_ARGUMENT)
    broken = shops.run("fleet", "upgrade").failed(1)
    assert "No module named 'none_such'" in broken.error


def test_hints_for_one_member_name_it_as_env_py_is_told(shops: Project) -> None:
    create = """    connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))\n"""
    first, mark, rest = BY_VARIABLE.partition("    connection.")
    write_env(shops, first + create + mark + rest)
    tell(shops, TOLD)
    shops.query("CREATE TABLE shop_b.one (id int PRIMARY KEY, note text)")
    outcome = shops.run("fleet", "upgrade", "--json")
    (failed,) = validated("fleet.json", outcome.out)["failed"]
    found = re.search(r"(SHOP_SCHEMA=shop_b) \S.*?[ .]stamp -r ", failed["hint"])
    assert found, failed["hint"]
    name, _, value = found[1].partition("=")
    shops.env[name] = value
    database = shops.url.rpartition("/")[2]
    shops.run("stamp", "-r", "0002", "--confirm", database, "--anyway").succeeded()
    del shops.env[name]
    assert shops.query("SELECT count(*)::int FROM shop_b.alembic_version") == [(1,)]
    alone = shlex.split(failed["repeat"])
    shops.run(*alone[alone.index("fleet") :]).succeeded()


def test_an_env_py_that_needs_an_argument_needs_none_for_the_fleet(
    tmp_path: Path, new_database_url: str, launcher: Launcher
) -> None:
    kind = dataclasses.replace(next(one for one in KINDS if one.name == "x_argument"), options=())
    project = copy_project(kind, tmp_path / "books", new_database_url, launcher)
    name = new_database_url.rpartition("/")[2]
    query(with_database(new_database_url, "postgres"), f"CREATE DATABASE {name}")
    (project.root / "pyproject.toml").write_text(
        FLEET + "schemas = \"VALUES ('north'), ('south')\"\nx = [\"tenant={name}\"]\n"
    )
    # env.py alone knows the server, and does not run without an argument.
    assert "set DATABASE_URL" in project.run("fleet", "status").failed(2).hint
    said = project.run("fleet", "upgrade", DATABASE_URL=new_database_url).succeeded().out
    assert "2 applied, of 2" in said


def test_an_env_py_that_goes_through_all_databases_is_told_one(
    project: Project, server_url: str
) -> None:
    prefix = project.url.rpartition("/")[2]
    names = [f"{prefix}_{word}" for word in "ab"]
    for name in (prefix, *names):
        query(server_url, f"CREATE DATABASE {name}")
    try:
        project.query("CREATE TABLE tenants AS SELECT unnest(%s) AS name", names)
        project.table("0001", "one")
        head, _, _ = HEAD.partition("with engine")
        write_env(
            project,
            'one = context.get_x_argument(as_dictionary=True).get("tenant_db")\n'
            'base = os.environ["DATABASE_URL"].rpartition("/")[0]\n'
            "with engine.connect() as connection:\n"
            '    every = connection.execute(text("SELECT name FROM tenants")).scalars().all()\n'
            "for name in [one] if one else every:\n"
            '    with create_engine(f"{base}/{name}").connect() as connection:\n'
            "        migrate(connection)\n",
            head,
        )
        settings = FLEET + 'query = "SELECT name FROM tenants"\n'
        (project.root / "pyproject.toml").write_text(settings)
        refused = project.run("fleet", "status").failed(2)
        assert refused.hint.endswith('[tool.db_ops.fleet] x = ["tenant_db={name}"]')
    finally:
        for name in names:
            drop(server_url, name)
