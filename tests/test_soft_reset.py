"""`recreate` for a role that may not create databases: what it owns goes, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from db_ops.settings import DatabaseUrl
from tests.conftest import with_database, with_user
from tests.support.project import Project, query

FAILED, REFUSED, TRY_AGAIN = 1, 4, 5
# One of each kind that a role can own without being a superuser.
OWNED = """
    CREATE SCHEMA billing;
    CREATE TYPE billing.mood AS ENUM ('sad');
    CREATE DOMAIN billing.positive AS int CHECK (VALUE > 0);
    CREATE TYPE billing.pair AS (a int, b billing.mood);
    CREATE TYPE billing.span AS RANGE (subtype = int);
    CREATE TABLE billing.bill (id serial PRIMARY KEY, mood billing.mood, "Odd % name" text);
    CREATE TABLE "Odd % table" (id int GENERATED ALWAYS AS IDENTITY,
        bill int REFERENCES billing.bill);
    CREATE TABLE parted (id int) PARTITION BY LIST (id);
    CREATE TABLE part PARTITION OF parted FOR VALUES IN (1);
    CREATE VIEW bills AS SELECT * FROM billing.bill;
    CREATE MATERIALIZED VIEW sums AS SELECT count(*) FROM billing.bill;
    CREATE SEQUENCE counter;
    CREATE FUNCTION "one%"(int, VARIADIC text[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE PROCEDURE does() LANGUAGE sql AS 'SELECT 1';
    CREATE FUNCTION plus(int, int) RETURNS int LANGUAGE sql AS 'SELECT $1 + $2';
    CREATE AGGREGATE total(int) (SFUNC = plus, STYPE = int);
    CREATE AGGREGATE everything(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '0');
    CREATE FUNCTION billing.same(billing.pair, billing.pair) RETURNS boolean LANGUAGE sql
        AS 'SELECT true';
    CREATE OPERATOR billing.=== (LEFTARG = billing.pair, RIGHTARG = billing.pair,
        FUNCTION = billing.same);
    CREATE COLLATION plain FROM "C";
    CREATE CONVERSION conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
    CREATE TEXT SEARCH CONFIGURATION words (COPY = pg_catalog.simple);
    CREATE TEXT SEARCH DICTIONARY terms (TEMPLATE = pg_catalog.simple);
    CREATE STATISTICS bill_stats ON id, mood FROM billing.bill;
    CREATE PUBLICATION told FOR TABLE billing.bill;
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER touched BEFORE UPDATE ON billing.bill FOR EACH ROW EXECUTE FUNCTION touch();
    SELECT lo_create(0);
"""
# All that is there beside what the server itself has: identity and owner.
THERE = """
    SELECT i.type || ' ' || i.identity FROM (
        SELECT 'pg_class'::regclass AS class, oid FROM pg_class WHERE relkind NOT IN ('t', 'i', 'I')
        UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type
        UNION ALL SELECT 'pg_proc'::regclass, oid FROM pg_proc
        UNION ALL SELECT 'pg_operator'::regclass, oid FROM pg_operator
        UNION ALL SELECT 'pg_collation'::regclass, oid FROM pg_collation
        UNION ALL SELECT 'pg_conversion'::regclass, oid FROM pg_conversion
        UNION ALL SELECT 'pg_ts_config'::regclass, oid FROM pg_ts_config
        UNION ALL SELECT 'pg_ts_dict'::regclass, oid FROM pg_ts_dict
        UNION ALL SELECT 'pg_statistic_ext'::regclass, oid FROM pg_statistic_ext
        UNION ALL SELECT 'pg_publication'::regclass, oid FROM pg_publication
        UNION ALL SELECT 'pg_namespace'::regclass, oid FROM pg_namespace
            WHERE nspname !~ '^pg_'
        UNION ALL SELECT 'pg_largeobject'::regclass, oid FROM pg_largeobject_metadata
        UNION ALL SELECT 'pg_extension'::regclass, oid FROM pg_extension
    ) AS o, pg_identify_object(class, oid, 0) AS i WHERE oid >= 16384 AND NOT EXISTS (
        SELECT FROM pg_depend WHERE classid = class AND objid = o.oid AND deptype = 'e'
    ) ORDER BY 1
"""


def admin_of(project: Project, server_url: str) -> str:
    return with_database(server_url, project.url.rpartition("/")[2])


@pytest.fixture
def hosted(project: Project, role: str, server_url: str, database_name: str) -> Iterator[Project]:
    """A project on a database that its role owns, and could not create."""
    query(server_url, f"CREATE DATABASE {database_name} OWNER {role}")
    project.url = with_user(project.url, role, "role_secret")
    project.env["DB_OPS_SOFT_RESET"] = "1"
    for number, name in enumerate(("one", "two", "three"), start=1):
        project.table(f"000{number}", name)
    project.run("init").succeeded()
    yield project
    admin = admin_of(project, server_url)
    other = f"{role}_other"
    query(server_url, f"DROP DATABASE {database_name} WITH (FORCE)") if admin else None
    query(server_url, f"DROP ROLE IF EXISTS {other}")


@pytest.fixture
def other(hosted: Project, role: str, server_url: str) -> str:
    """Another role, with a table of its own in the same database."""
    name = f"{role}_other"
    query(server_url, f"CREATE ROLE {name}")
    query(
        admin_of(hosted, server_url),
        f"CREATE SCHEMA audit AUTHORIZATION {name}; SET ROLE {name};"
        " CREATE TABLE audit.log (id int PRIMARY KEY)",
    )
    return name


def test_all_that_the_role_owns_goes_and_the_migrations_run(hosted: Project, door: str) -> None:
    fresh = hosted.query(THERE)
    query(hosted.url, OWNED)
    assert len(hosted.query(THERE)) > len(fresh) + 25
    out = hosted.run("recreate", door=door).succeeded().out
    assert "soft reset: 2 aggregates, 1 collation, 1 conversion, 4 functions, 1 large" in out
    assert " 3 revisions applied in " in out
    assert "now at 0003" in out
    assert hosted.query(THERE) == fresh
    mark = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
    comment = hosted.query(mark, hosted.url.rpartition("/")[2])
    assert comment == [("db_ops environment: development",)]


def test_extensions_stay_with_what_is_in_them_and_with_their_schema(
    hosted: Project, role: str
) -> None:
    query(hosted.url, "CREATE SCHEMA ext; CREATE EXTENSION hstore SCHEMA ext")
    query(hosted.url, "CREATE TABLE ext.pairs (id int, pairs ext.hstore); CREATE SCHEMA gone")
    outcome = hosted.run("recreate").succeeded()
    assert "kept: extension hstore\n" in outcome.out
    assert "kept: schema ext is not empty\n" in outcome.out
    assert hosted.query("SELECT ext.fetchval('a=>1', 'a'), to_regclass('ext.pairs')") == [
        ("1", None)
    ]
    assert hosted.query("SELECT to_regnamespace('gone')") == [(None,)]


def test_objects_of_others_stay_and_are_listed(
    hosted: Project, other: str, server_url: str
) -> None:
    out = hosted.run("recreate").succeeded().out
    assert f"kept: schema audit of {other}\n" in out
    assert f"kept: table audit.log of {other}\n" in out
    assert query(admin_of(hosted, server_url), "SELECT count(*) FROM audit.log") == [(0,)]
    told = json.loads(hosted.run("recreate", "--json").succeeded().out)["soft_reset"]
    assert told["others"] == [f"schema audit of {other}", f"table audit.log of {other}"]
    assert {"kind": "table", "count": 5} in told["counts"]


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("CREATE VIEW audit.ones AS SELECT * FROM public.one", "view audit.ones"),
        ("ALTER TABLE audit.log ADD FOREIGN KEY (id) REFERENCES public.one", "on table audit.log"),
        ("CREATE TABLE audit.child () INHERITS (public.one)", "table audit.child"),
        ("ALTER TABLE audit.log ADD mood public.mood", "column mood of table audit.log"),
        ("ALTER TABLE audit.log ALTER id SET DEFAULT public.num()", "default value for column id"),
    ],
)
def test_what_others_have_upon_it_stops_a_soft_reset(
    hosted: Project, other: str, server_url: str, statement: str, named: str
) -> None:
    query(
        hosted.url,
        "CREATE TYPE mood AS ENUM ('sad');"
        " CREATE FUNCTION num() RETURNS int LANGUAGE sql AS 'SELECT 1';"
        f" GRANT ALL ON one TO {other}; ALTER TABLE one OWNER TO CURRENT_USER",
    )
    admin = admin_of(hosted, server_url)
    owner = hosted.url.split("//")[1].split(":")[0]
    query(server_url, f"GRANT {owner} TO {other}")
    query(admin, f"SET ROLE {other}; {statement}")
    before = hosted.fingerprint()
    outcome = hosted.run("recreate").failed(FAILED)
    assert "soft reset refused: it would also drop " in outcome.error
    assert named in outcome.error
    assert "nothing is dropped" in outcome.error
    assert hosted.fingerprint() == before
    query(server_url, f"REVOKE {owner} FROM {other}")


def test_a_schema_that_could_not_be_made_again_is_only_emptied(
    hosted: Project, role: str, server_url: str, database_name: str
) -> None:
    query(
        admin_of(hosted, server_url),
        f"ALTER DATABASE {database_name} OWNER TO CURRENT_USER;"
        f" CREATE SCHEMA app AUTHORIZATION {role}; GRANT CREATE ON SCHEMA public TO {role};"
        f" CREATE TABLE app.data (); ALTER TABLE app.data OWNER TO {role}",
    )
    out = hosted.run("recreate").succeeded().out
    assert "kept: schema app could not be created again\n" in out
    assert "kept: schema db_ops could not be created again\n" in out
    assert hosted.query("SELECT to_regclass('app.data'), to_regnamespace('app')::text") == [
        (None, "app")
    ]
    assert hosted.query("SELECT count(*) FROM db_ops.history") == [(3,)]


def test_the_guard_asks_as_it_does_before_any_recreate(
    hosted: Project, server_url: str, database_name: str
) -> None:
    mark = f"COMMENT ON DATABASE {database_name} IS 'db_ops environment: production'"
    query(server_url, mark)
    before = hosted.fingerprint()
    outcome = hosted.run("recreate").failed(REFUSED)
    assert "is marked production" in outcome.error
    assert hosted.fingerprint() == before
    hosted.env["DB_OPS_ENVIRONMENT"] = "production"
    assert "the environment is production" in hosted.run("recreate").failed(REFUSED).error
    hosted.run("recreate", "--confirm", database_name).succeeded()
    hosted.env["DB_OPS_ENVIRONMENT"] = "development"
    query(server_url, f"COMMENT ON DATABASE {database_name} IS NULL")
    assert "is not marked" in hosted.run("recreate").failed(REFUSED).error


def test_a_reader_in_the_way_is_named_and_nothing_is_dropped(hosted: Project) -> None:
    hosted.env |= {"DB_OPS_LOCK_TIMEOUT": "0.3", "DB_OPS_LOCK_RETRIES": "1"}
    parameters = DatabaseUrl.parse(hosted.url).parameters
    before = hosted.fingerprint()
    with closing(psycopg2.connect(**parameters, application_name="a report")) as reader:
        with reader.cursor() as cursor:
            cursor.execute("SELECT * FROM two")
        outcome = hosted.run("recreate").failed(TRY_AGAIN)
    assert "a table is locked by pid " in outcome.error
    assert "(a report, idle in transaction for " in outcome.error
    assert "nothing is dropped (tried 2 times)" in outcome.error
    assert hosted.fingerprint() == before


def test_a_failing_migration_says_where_the_emptied_database_stands(hosted: Project) -> None:
    file = hosted.revision_files[1]
    file.write_text(file.read_text().replace("CREATE TABLE two", "CREATE TABEL two"))
    outcome = hosted.run("recreate").failed(FAILED)
    assert "1 of 3 applied (0001), database at 0001" in outcome.error
    assert "soft reset: " in outcome.err
    file.write_text(file.read_text().replace("CREATE TABEL two", "CREATE TABLE two"))
    assert "2 revisions applied" in hosted.run("init").succeeded().out


def test_revision_files_that_cannot_be_read_are_found_before_anything_is_dropped(
    hosted: Project,
) -> None:
    hosted.revision("0004", "oops(")
    before = hosted.fingerprint()
    hosted.run("recreate").failed(FAILED)
    assert hosted.fingerprint() == before


def test_a_version_table_of_another_role_is_not_left_behind(
    hosted: Project, other: str, server_url: str
) -> None:
    admin = admin_of(hosted, server_url)
    query(
        admin,
        f"ALTER TABLE alembic_version OWNER TO {other}; GRANT ALL ON alembic_version TO PUBLIC",
    )
    before = hosted.fingerprint()
    outcome = hosted.run("recreate").failed(FAILED)
    assert f"alembic_version belongs to {other}" in outcome.error
    assert hosted.fingerprint() == before
    query(admin, outcome.hint.removeprefix("as a superuser: ").partition(", or ")[0])
    hosted.run("recreate").succeeded()


def test_more_objects_than_the_server_has_locks_for_go_in_several_transactions(
    hosted: Project,
) -> None:
    query(hosted.url, "SELECT lo_create(0) FROM generate_series(1, 4000)")
    query(hosted.url, "SELECT lo_create(0) FROM generate_series(1, 4000)")
    out = hosted.run("recreate").succeeded().out
    assert re.search("8000 large objects, 1 schema, 5 tables dropped in [2-9] transactions, 3", out)
    assert hosted.query("SELECT count(*) FROM pg_largeobject_metadata") == [(0,)]


def test_seeds_run_after_it(hosted: Project) -> None:
    (hosted.root / "seed.sql").write_text("INSERT INTO two VALUES (1), (2)")
    (hosted.root / "pyproject.toml").write_text(
        '[tool.db_ops]\nseed = "seed.sql"\nsoft_reset = true\n'
    )
    del hosted.env["DB_OPS_SOFT_RESET"]
    assert "2 rows inserted" in hosted.run("recreate").succeeded().out
    assert "inserted" not in hosted.run("recreate", "--no-seed").succeeded().out
    assert "soft reset  (pyproject.toml)" in hosted.run("doctor").out


def test_where_recreate_lacks_the_right_its_hint_resets_as_it_is_typed(hosted: Project) -> None:
    del hosted.env["DB_OPS_SOFT_RESET"]
    outcome = hosted.run("recreate").failed(FAILED)
    assert "may not create databases" in outcome.error
    assert re.search("DB_OPS_SOFT_RESET=1 python .*manage_db.py recreate$", outcome.hint)


def test_what_the_role_acted_as_owns_is_what_goes(
    hosted: Project, other: str, role: str, server_url: str, database_name: str
) -> None:
    query(server_url, f"GRANT {other} TO {role}")
    query(
        admin_of(hosted, server_url),
        f"REASSIGN OWNED BY {role} TO {other}; CREATE TABLE own ();"
        f" ALTER TABLE own OWNER TO {role}",
    )
    hosted.env["DB_OPS_ROLE"] = other
    out = hosted.run("recreate").succeeded().out
    assert f"kept: table public.own of {role}\n" in out
    assert hosted.query("SELECT to_regclass('audit.log')") == [(None,)]
    owner = hosted.query("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    assert sorted(owner) == sorted([(role,), (other,)])
