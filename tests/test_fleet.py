"""`fleet`: a command on many databases, each under its own lock, in one report."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg2
import pytest
from psycopg2 import sql

from tests.conftest import drop, with_database
from tests.support.foreign import KINDS, copy_project
from tests.support.launcher import Launcher
from tests.support.project import Project, query
from tests.support.schemas import validated

FLEET = "[tool.db_ops.fleet]\n"


class Fleet:
    """A project with three applied revisions and one more, and tenants that lack that one."""

    def __init__(self, project: Project, server_url: str) -> None:
        self.project = project
        self.server_url = server_url
        self.names: list[str] = []
        self.prefix = project.url.rpartition("/")[2]
        self.settings('pattern = "{prefix}_*"')

    def settings(self, text: str) -> None:
        (self.project.root / "pyproject.toml").write_text(
            FLEET + text.replace("{prefix}", self.prefix) + "\n"
        )

    def name(self, word: str) -> str:
        return f"{self.prefix}_{word}"

    def add(self, *words: str) -> None:
        """Create tenants as copies of the project's own database."""
        for word in words:
            copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(self.name(word)), sql.Identifier(self.prefix)
            )
            query(self.server_url, copy)
            self.names.append(self.name(word))

    def url(self, word: str) -> str:
        return with_database(self.server_url, self.name(word))

    def query(self, word: str, statement: str) -> list[tuple[object, ...]]:
        return query(self.url(word), statement)

    def at(self, word: str) -> object:
        return self.query(word, "SELECT version_num FROM alembic_version")[0][0]


@pytest.fixture
def fleet(migrated: Project, server_url: str) -> Iterator[Fleet]:
    """Three tenants, a, b and c, for which revision 0004 is pending."""
    made = Fleet(migrated, server_url)
    made.add("a", "b", "c")
    migrated.table("0004", "four")
    yield made
    for name in made.names:
        drop(server_url, name)


def test_all_databases_are_upgraded_and_found_at_head_the_next_time(
    fleet: Fleet, door: str
) -> None:
    said = fleet.project.run("fleet", "upgrade", door=door).succeeded().out
    assert "fleet upgrade: 3 applied, of 3 in " in said
    assert [fleet.at(word) for word in "abc"] == ["0004"] * 3
    assert fleet.project.query("SELECT version_num FROM alembic_version") == [("0003",)]
    rows = fleet.query("a", "SELECT revision, command, fingerprint FROM db_ops.history")
    assert rows[-1][:2] == ("0004", "upgrade")
    again = fleet.project.run("fleet", "upgrade", door=door).succeeded().out
    assert "fleet upgrade: 3 at head, of 3 in " in again
    assert "3 at head" in fleet.project.run("fleet", "verify", "--quick", door=door).succeeded().out


def test_status_and_verify_exit_with_3_and_name_those_that_differ(fleet: Fleet) -> None:
    outcome = fleet.project.run("fleet", "status")
    assert outcome.code == 3
    assert f"{fleet.name('a')}: behind at 0003, 1 pending" in outcome.out
    fleet.project.run("fleet", "upgrade").succeeded()
    fleet.query("b", "ALTER TABLE one ADD COLUMN by_hand text")
    fleet.project.run("fleet", "status").succeeded()
    outcome = fleet.project.run("fleet", "verify")
    assert outcome.code == 3
    assert f"{fleet.name('b')}: changed at 0004" in outcome.out
    assert "2 at head, 1 changed, of 3" in outcome.out


def test_revisions_are_reverted_and_their_history_is_told(fleet: Fleet) -> None:
    told = fleet.project.run("fleet", "history", "-v", "--jobs", "1").succeeded()
    assert re.search(
        rf"{fleet.name('c')}: read at 0003, 3 applied, last upgrade 0003 2\d+-", told.err
    )
    for name in fleet.names:
        comment = f"COMMENT ON DATABASE {name} IS 'db_ops environment: development'"
        query(fleet.server_url, comment)
    said = fleet.project.run("fleet", "downgrade", "-s", "2", "--jobs", "1").succeeded().out
    assert "3 reverted, of 3" in said
    assert fleet.at("b") == "0001"


def test_what_is_broken_is_a_line_each_and_the_others_go_on(fleet: Fleet) -> None:
    fleet.add("locked", "other", "ahead", "gone", "full")
    names = "\n".join([*fleet.names, fleet.name("missing")])
    fleet.settings('file = "tenants.txt"')
    (fleet.project.root / "tenants.txt").write_text(f"# all of them\n{names}\n")
    fleet.query("other", "UPDATE alembic_version SET version_num = 'ffff'")
    fleet.query("other", "DELETE FROM db_ops.history")
    # As a newer release leaves it, which knows what 0005 follows.
    fleet.project.run("fleet", "upgrade", "--only", fleet.name("ahead")).succeeded()
    fleet.query("ahead", "UPDATE alembic_version SET version_num = '0005'")
    fleet.query(
        "ahead",
        "INSERT INTO db_ops.history (version_table, revision, action, heads, parents) VALUES"
        " ('alembic_version', '0005', 'upgrade', '{0005}', '{0004}')",
    )
    fleet.query("full", "CREATE TABLE four (id int)")
    query(
        fleet.server_url,
        f"ALTER DATABASE {fleet.name('gone')} ALLOW_CONNECTIONS false",
    )
    fleet.project.env |= {
        "DB_OPS_MIGRATION_LOCK_TIMEOUT": "1",
        "DB_OPS_WAIT_TIMEOUT": "0",
        "DB_OPS_LOCK_TIMEOUT": "0.2",
        "DB_OPS_LOCK_RETRIES": "1",
    }
    with closing(psycopg2.connect(fleet.url("locked"))) as blocker, blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE alembic_version IN ROW EXCLUSIVE MODE; LOCK TABLE one")
        fleet.project.revision("0005x", "op.execute('ALTER TABLE one ADD COLUMN x int')")
        outcome = fleet.project.run("fleet", "upgrade", "--json")
    assert outcome.code == 1
    report = validated("fleet.json", outcome.out)
    failed = {one["name"].removeprefix(f"{fleet.prefix}_"): one for one in report["failed"]}
    assert {word: one["error"] for word, one in failed.items()} == {
        "locked": "MigrationBlocked",
        "other": "UnknownRevisions",
        "ahead": "UnknownRevisions",
        "gone": "ConnectionRejected",
        "missing": "DatabaseMissing",
        "full": "MigrationFailed",
    }
    assert report["states"] == {"applied": 3, "failed": 6}
    assert [fleet.at(word) for word in "abc"] == ["0005x"] * 3
    for word, command in (("missing", "init"), ("full", "upgrade")):
        assert f" fleet {command} --only {fleet.name(word)}" in failed[word]["hint"]
        assert "DATABASE_URL" not in failed[word]["hint"]
    alone = shlex.split(failed["locked"]["repeat"])
    assert alone[0] != "db-ops"
    repeated = fleet.project.run(*alone[alone.index("fleet") :]).succeeded()
    assert "fleet upgrade: 1 applied, of 1" in repeated.out
    assert fleet.at("locked") == "0005x"


def test_canaries_come_first_and_stop_the_rest(fleet: Fleet) -> None:
    fleet.query("a", "CREATE TABLE four (id int)")
    outcome = fleet.project.run("fleet", "upgrade", "--canary", "1")
    assert outcome.code == 1
    assert "2 not run: 1 of the first 1 failed" in outcome.out
    assert [fleet.at(word) for word in "abc"] == ["0003"] * 3
    fleet.query("a", "DROP TABLE four")
    fleet.project.run("fleet", "upgrade", "--canary", "2").succeeded()
    assert [fleet.at(word) for word in "abc"] == ["0004"] * 3


def test_no_other_is_begun_when_too_many_have_failed(fleet: Fleet) -> None:
    fleet.query("a", "CREATE TABLE four (id int)")
    outcome = fleet.project.run("fleet", "upgrade", "--max-failures", "1", "--jobs", "1")
    assert outcome.code == 1
    assert "2 not run: 1 failed" in outcome.out
    assert fleet.at("c") == "0003"


def test_shards_are_disjoint_and_together_all_of_the_fleet(fleet: Fleet) -> None:
    fleet.add("d", "e")
    seen: list[str] = []
    for index in range(3):
        # As Kubernetes sets it in a pod of an Indexed Job.
        fleet.project.env["JOB_COMPLETION_INDEX"] = str(index)
        outcome = fleet.project.run("fleet", "status", "--shard", "/3", "--jobs", "1", "--json")
        report = validated("fleet.json", outcome.out)
        assert report["shard"] == f"{index + 1}/3"
        seen += [one["name"] for one in report["different"]]
    assert sorted(seen) == sorted(fleet.names)
    del fleet.project.env["JOB_COMPLETION_INDEX"]
    assert "is not set" in fleet.project.run("fleet", "status", "--shard", "/3").failed(2).error
    for text in ("0/3", "4/3", "x", "1/0"):
        assert "not K/N" in fleet.project.run("fleet", "status", "--shard", text).failed(2).error


def test_reverting_where_data_is_protected_takes_the_number_of_databases(fleet: Fleet) -> None:
    fleet.project.env["DB_OPS_ENVIRONMENT"] = "production"
    refused = fleet.project.run("fleet", "downgrade").failed(4)
    assert refused.hint.endswith("fleet downgrade --confirm 3")
    assert (
        "there are 3" in fleet.project.run("fleet", "downgrade", "--confirm", "2").failed(4).error
    )
    assert fleet.at("a") == "0003"
    fleet.project.run("fleet", "downgrade", "--confirm", "3").succeeded()
    assert fleet.at("a") == "0002"


def test_a_database_without_the_mark_of_development_is_not_reverted(fleet: Fleet) -> None:
    outcome = fleet.project.run("fleet", "downgrade", "--json", "--jobs", "1")
    report = validated("fleet.json", outcome.out)
    assert [one["error"] for one in report["failed"]] == ["Refused"] * 3
    assert report["failed"][0]["repeat"].endswith(f"fleet downgrade -s 1 --only {fleet.name('a')}")
    assert fleet.at("a") == "0003"


def test_missing_databases_are_created_by_init(fleet: Fleet) -> None:
    fleet.settings('file = "tenants"')
    (fleet.project.root / "tenants").write_text(f"{fleet.name('new')}\n{fleet.name('a')}\n")
    fleet.names.append(fleet.name("new"))
    status = fleet.project.run("fleet", "status")
    assert (status.code, f"{fleet.name('new')}: missing" in status.out) == (3, True)
    said = fleet.project.run("fleet", "init").succeeded().out
    assert "1 applied, 1 created, of 2" in said
    assert fleet.at("new") == "0004"


def test_the_log_has_a_line_for_each_database(fleet: Fleet) -> None:
    fleet.project.env["DB_OPS_LOG"] = "json"
    outcome = fleet.project.run("fleet", "upgrade").succeeded()
    lines = [json.loads(line) for line in outcome.err.splitlines()]
    for line in outcome.err.splitlines():
        validated("log.json", line)
    told = [line for line in lines if line["event"] == "FleetMember"]
    assert sorted(one["name"] for one in told) == sorted(fleet.names)
    assert {one["state"] for one in told} == {"applied"}


SOURCES = {
    "function": ('databases = "tenants:plain"', "def plain():\n    return {names}"),
    "generator": ('databases = "tenants:plain"', "def plain():\n    yield from {names}"),
    "coroutine": ('databases = "tenants:plain"', "async def plain():\n    return {names}"),
    "asynchronous generator": (
        'databases = "tenants:plain"',
        "async def plain():\n    for one in {names}:\n        yield one",
    ),
    "urls": (
        'databases = "tenants:plain"',
        "import sqlalchemy as sa, os\n"
        "def plain():\n"
        "    url = sa.make_url(os.environ['DATABASE_URL']).set(password='${SECRET}')\n"
        "    return [url.set(database=one) for one in {names}]",
    ),
    "query": ("query = \"SELECT name FROM tenants WHERE name LIKE '%_b';\"", ""),
    "query elsewhere": ('query = "SELECT name FROM tenants"\ncatalog_env = "CATALOG_URL"', ""),
}


@pytest.mark.parametrize("source", SOURCES)
def test_each_source_tells_where_the_databases_are(fleet: Fleet, source: str) -> None:
    settings, module = SOURCES[source]
    project = fleet.project
    fleet.settings(settings)
    wanted = [fleet.name("b")]
    (project.root / "tenants.py").write_text(module.replace("{names}", repr(wanted)))
    elsewhere = "CATALOG_URL" in settings
    if "query" in source:
        table = f"CREATE TABLE tenants AS SELECT '{wanted[0]}' AS name"
        query(fleet.url("c") if elsewhere else project.url, table)
    project.env |= {
        "CATALOG_URL": fleet.url("c"),
        "SECRET": unquote(urlsplit(project.url).password or ""),
    }
    said = project.run("fleet", "upgrade").succeeded().out
    assert "1 applied, of 1" in said
    assert [fleet.at(word) for word in "abc"] == ["0003", "0004", "0003"]


MISTAKES = {
    "no fleet": ("[tool.db_ops]", 2, "does not say where its databases are"),
    "nothing": (FLEET + "jobs = 2", 2, "names no databases"),
    "two": (FLEET + 'file = "x"\npattern = "x"', 2, "file is there too"),
    "unknown": (FLEET + 'pattern = "x"\njob = 2', 2, "no such setting"),
    "a number": (FLEET + 'pattern = "x"\njobs = 0', 2, "not a whole number from 1"),
    "a password": (FLEET + 'file = "postgresql://a:secret@b/c"', 2, "holds a URL"),
    "no variables": (FLEET + 'pattern = "x"\nenvironment = ["A"]', 2, "not a table of strings"),
    "no name": (
        FLEET + 'pattern = "x"\nenvironment = {"A B" = "x"}',
        2,
        "no name of a variable",
    ),
    "ours": (FLEET + 'pattern = "x"\nenvironment = {DB_OPS_X = "{name}"}', 2, "by db-ops itself"),
    "a URL": (
        FLEET + 'pattern = "x"\nenvironment = {U = "postgresql://a:secret@b/{name}"}',
        2,
        "U holds a URL",
    ),
    "no file": (FLEET + 'file = "none.txt"', 1, "none.txt: the databases of the fleet"),
    "no module": (FLEET + 'databases = "none:such"', 1, "none:such: "),
    "no callable": (FLEET + 'databases = "models"', 2, "module:callable"),
    "a bad query": (FLEET + 'query = "SELECT nonsense"', 1, "[tool.db_ops.fleet] query"),
    "a bad line": (FLEET + 'databases = "models:tenants"', 1, "models.py:"),
    "a number of": (FLEET + 'databases = "models:Base"', 1, "pyproject.toml"),
}


def test_what_is_wrong_with_the_source_is_said_of_it(migrated: Project) -> None:
    with (migrated.root / "models.py").open("a") as models:
        models.write("\n\ndef tenants():\n    yield from 1 / 0\n")
    for text, code, said in MISTAKES.values():
        (migrated.root / "pyproject.toml").write_text(text + "\n")
        outcome = migrated.run("fleet", "status").failed(code)
        assert said in outcome.error, (said, outcome.error)
        assert "secret" not in outcome.err


def test_a_mistyped_option_is_refused(fleet: Fleet) -> None:
    for arguments, said in (
        (("status", "--only", "nobody"), "--only nobody: no such database"),
        (("status", "--revision", "0001"), "--revision is for upgrade"),
        (("upgrade", "--confirm", "3"), "--confirm is for downgrade"),
        (("upgrade", "--quick"), "--quick is for verify"),
        (("upgrade", "--jobs", "0"), "not a whole number from 1"),
        (("downgrade", "--steps", "x"), "not a number of revisions"),
        (("recreate",), "invalid choice"),
        ((), "COMMAND"),
    ):
        assert said in fleet.project.run("fleet", *arguments).failed(2).error


@pytest.fixture
def schemas(project: Project) -> Project:
    """A database with three schemas of tenants, one of which has a name that has to be quoted."""
    project.revision("0001", "op.execute('CREATE TABLE one (id integer PRIMARY KEY)')")
    project.prepare("init")
    project.query("DROP TABLE one; DROP TABLE alembic_version; TRUNCATE db_ops.history")
    project.query('CREATE SCHEMA t1; CREATE SCHEMA t2; CREATE SCHEMA "T 3"')
    (project.root / "pyproject.toml").write_text(
        FLEET + "schemas = \"SELECT nspname FROM pg_namespace WHERE nspname ~* '^t.?[0-9]$'\"\n"
    )
    return project


def test_each_schema_has_tables_and_a_version_table_of_its_own(schemas: Project) -> None:
    assert schemas.run("fleet", "status").code == 3
    assert "3 applied, of 3" in schemas.run("fleet", "upgrade").succeeded().out
    found = schemas.query(
        "SELECT relnamespace::regnamespace::text, count(*) FROM pg_class WHERE relkind = 'r'"
        " AND relname IN ('one', 'alembic_version') GROUP BY 1 ORDER BY 1"
    )
    assert found == [('"T 3"', 2), ("t1", 2), ("t2", 2)]
    assert len(schemas.query("SELECT DISTINCT version_table FROM db_ops.history")) == 3
    schemas.revision("0002", "op.execute('ALTER TABLE one ADD COLUMN note text')")
    schemas.query("CREATE SCHEMA t4; ALTER TABLE t2.one ADD COLUMN note int")
    outcome = schemas.run("fleet", "upgrade")
    assert (outcome.code, "\nt2: failed: " in f"\n{outcome.out}") == (1, True)
    assert "3 applied, 1 failed, of 4" in outcome.out
    reverted = schemas.run("fleet", "downgrade", "--only", "t4", "--confirm", "1").succeeded().out
    assert "1 reverted, of 1" in reverted
    at = {name: schemas.query(f"SELECT version_num FROM {name}.alembic_version") for name in AT}
    assert at == AT


AT = {"t1": [("0002",)], "t2": [("0001",)], '"T 3"': [("0002",)], "t4": [("0001",)]}


def test_an_env_py_that_chooses_the_schema_by_x_is_told_it(
    tmp_path: Path, new_database_url: str, launcher: Launcher
) -> None:
    kind = next(kind for kind in KINDS if kind.name == "x_argument")
    project = copy_project(kind, tmp_path / "books", new_database_url, launcher)
    query(
        with_database(new_database_url, "postgres"),
        f"CREATE DATABASE {new_database_url.rpartition('/')[2]}",
    )
    (project.root / "pyproject.toml").write_text(
        FLEET + "schemas = \"VALUES ('north'), ('south')\"\nx = [\"tenant={name}\"]\n"
    )
    assert "2 applied, of 2" in project.run("fleet", "upgrade").succeeded().out
    for schema in ("north", "south"):
        at = f"SELECT version_num FROM {schema}.alembic_version"
        assert query(new_database_url, at) == [("0002",)]
    assert "2 at head, of 2" in project.run("fleet", "status").succeeded().out


SEEN = """
bind = op.get_bind()
kind = "none"
if bind.scalar(sa.text("SELECT to_regtype('hstore')")):
    kind = type(bind.scalar(sa.text("SELECT 'a=>1'::hstore"))).__name__
schema = sa.inspect(bind).default_schema_name
op.execute(f"CREATE TABLE public.seen AS SELECT '{kind}' AS kind, '{schema}' AS schema")
"""


def test_a_revision_meets_each_database_as_it_is_and_not_as_the_one_before(fleet: Fleet) -> None:
    """SQLAlchemy's dialect is kept from one database to the next, in the same process."""
    fleet.query("b", "CREATE EXTENSION hstore")
    fleet.query("c", "CREATE SCHEMA own")
    query(fleet.server_url, f"ALTER DATABASE {fleet.name('c')} SET search_path = own, public")
    fleet.project.revision("0005", SEEN)
    fleet.project.run("fleet", "upgrade", "--jobs", "1").succeeded()
    found = [fleet.query(word, "SELECT kind, schema FROM public.seen")[0] for word in "abc"]
    assert found == [("none", "public"), ("dict", "public"), ("none", "own")]
