"""What a database holds, read from the catalogs: every change is named, and nothing else is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg2
import pytest
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from db_ops.postgres.schema.compare import compare_schemas, undo_statements
from db_ops.postgres.schema.objects import Change, Schema
from db_ops.postgres.schema.reading import fingerprint, read_schema
from db_ops.settings import DatabaseUrl
from tests.conftest import drop, with_database, with_user
from tests.support.changes import BASE, CASES, GRANT_CASES, Case
from tests.support.project import query


def connect(url: str) -> Connection:
    connection = psycopg2.connect(**DatabaseUrl.parse(url).parameters)
    connection.autocommit = True
    return connection


@pytest.fixture(scope="module")
def base_url(server_url: str, worker_id: str) -> Iterator[str]:
    """The URL of a database that holds something of every kind."""
    name = f"db_ops_corpus_{worker_id}"
    drop(server_url, name)
    query(server_url, f"CREATE DATABASE {name}")
    url = with_database(server_url, name)
    query(url, BASE)
    yield url
    drop(server_url, name)


@pytest.fixture(scope="module")
def before(base_url: str) -> tuple[Schema, str]:
    """What that database holds, and its fingerprint."""
    return looked_at(base_url)


@pytest.fixture(scope="module")
def session(server_url: str, base_url: str) -> Iterator[Connection]:
    """A session that knows the catalogs of a copy of that database; a new one reads them anew."""
    template = base_url.rpartition("/")[2]
    name = f"{template}_copy"
    drop(server_url, name)
    query(server_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    with closing(connect(with_database(server_url, name))) as connection:
        yield connection
    drop(server_url, name)


@pytest.fixture
def base(session: Connection) -> Iterator[Connection]:
    """A connection to that database; what a test does there is rolled back."""
    session.autocommit = False
    yield session
    session.rollback()


@pytest.fixture
def empty(server_url: str, database_name: str, new_database_url: str) -> str:
    """The URL of a new database."""
    query(server_url, f"CREATE DATABASE {database_name}")
    return new_database_url


@pytest.fixture
def clone(server_url: str, base_url: str, database_name: str, new_database_url: str) -> str:
    """The URL of a copy of the database that holds something of every kind."""
    template = base_url.rpartition("/")[2]
    query(server_url, f"CREATE DATABASE {database_name} TEMPLATE {template}")
    return new_database_url


def execute(connection: Connection, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def told(changes: tuple[Change, ...]) -> list[str]:
    return sorted(
        f"{change.kind} {change.name}" + (f": {change.attribute}" if change.attribute else "")
        for change in changes
    )


def looked_at(url: str) -> tuple[Schema, str]:
    with closing(connect(url)) as connection:
        return read_schema(connection), fingerprint(connection)


def available(connection: Connection, case: Case) -> None:
    if case.since * 10000 > connection.info.server_version:
        pytest.skip(f"PostgreSQL {case.since} and later")


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.alone], ids=lambda case: case.name
)
def test_each_difference_of_a_change_is_named_once_and_can_be_undone(
    base: Connection, before: tuple[Schema, str], case: Case
) -> None:
    available(base, case)
    schema, digest = before
    execute(base, case.sql)
    changes = compare_schemas(schema, read_schema(base))
    assert told(changes) == sorted(case.told)
    assert (fingerprint(base) == digest) == case.silenced
    assert all(change.of_partition for change in changes) == case.silenced
    if all(change.undo for change in changes):
        for statement in undo_statements(changes):
            execute(base, statement)
        assert compare_schemas(schema, read_schema(base)) == ()


@pytest.mark.parametrize("case", [case for case in CASES if case.alone], ids=lambda case: case.name)
def test_a_change_outside_a_transaction_is_named(base_url: str, clone: str, case: Case) -> None:
    query(clone, case.sql)
    (before, hash_before), (after, hash_after) = looked_at(base_url), looked_at(clone)
    assert told(compare_schemas(before, after)) == list(case.told)
    assert hash_after != hash_before


@pytest.mark.parametrize("case", GRANT_CASES, ids=lambda case: case.name)
def test_rights_are_compared_when_they_are_asked_for(base: Connection, case: Case) -> None:
    silent, before = read_schema(base), read_schema(base, grants=True)
    execute(base, case.sql)
    assert told(compare_schemas(before, read_schema(base, grants=True))) == list(case.told)
    assert compare_schemas(silent, read_schema(base)) == ()


def test_the_corpus_is_large_enough_to_mean_something() -> None:
    assert len({case.name for case in (*CASES, *GRANT_CASES)}) == len(CASES) + len(GRANT_CASES)
    assert len(CASES) >= 240


def test_a_copy_is_the_same(base_url: str, clone: str) -> None:
    (one, hash_one), (other, hash_other) = looked_at(base_url), looked_at(clone)
    assert compare_schemas(one, other) == ()
    assert hash_one == hash_other


def test_the_same_statements_make_the_same_schema(base_url: str, empty: str) -> None:
    query(empty, BASE)
    (one, hash_one), (other, hash_other) = looked_at(base_url), looked_at(empty)
    assert compare_schemas(one, other) == ()
    assert hash_one == hash_other


PARTS = (
    "CREATE TABLE a (id serial PRIMARY KEY, one text NOT NULL, two integer UNIQUE)",
    "CREATE TABLE b (id serial PRIMARY KEY, a_id integer)",
    "CREATE INDEX ix_one ON a (one)",
    "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE TYPE e AS ENUM ('x', 'y')",
)
REORDERED = (
    *reversed(PARTS[3:]),
    "CREATE TABLE b (a_id integer)",
    "ALTER TABLE b ADD gone integer",
    "ALTER TABLE b DROP gone",
    "ALTER TABLE b ADD id serial PRIMARY KEY",
    "CREATE TABLE a (two integer, one text NOT NULL, id serial)",
    "ALTER TABLE a ADD UNIQUE (two)",
    "ALTER TABLE a ADD PRIMARY KEY (id)",
    PARTS[2],
)


def test_the_order_of_objects_and_columns_makes_no_difference(
    server_url: str, empty: str, database_name: str
) -> None:
    other_name = f"{database_name}_other"
    query(server_url, f"CREATE DATABASE {other_name}")
    try:
        other = with_database(server_url, other_name)
        query(empty, "; ".join(PARTS))
        query(other, "; ".join(REORDERED))
        (one, hash_one), (two, hash_two) = looked_at(empty), looked_at(other)
        assert compare_schemas(one, two) == ()
        assert hash_one == hash_two
    finally:
        drop(server_url, other_name)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER SEQUENCE agents_id_seq RENAME TO other_seq",
        "ALTER SEQUENCE agents_number_seq RENAME TO other_seq",
        "SELECT nextval('ticket'), nextval('agents_id_seq')",
        "REFRESH MATERIALIZED VIEW totals WITH NO DATA",
        "CREATE TEMPORARY TABLE agents (id integer)",
        "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)",
        "CREATE SCHEMA db_ops; CREATE TABLE db_ops.revisions (id integer PRIMARY KEY)",
        "CREATE USER MAPPING FOR CURRENT_USER SERVER archive OPTIONS (password 'hush')",
        "ALTER SERVER archive OPTIONS (SET password 'other')",
    ],
)
def test_what_decides_no_schema_makes_no_difference(base: Connection, statement: str) -> None:
    before, hash_before = read_schema(base), fingerprint(base)
    execute(base, statement)
    assert compare_schemas(before, read_schema(base)) == ()
    assert fingerprint(base) == hash_before


def test_a_not_null_constraint_of_another_name_makes_no_difference(base: Connection) -> None:
    execute(base, "CREATE TABLE x (a integer NOT NULL)")
    before, hash_before = read_schema(base), fingerprint(base)
    execute(base, "DROP TABLE x; CREATE TABLE x (a integer CONSTRAINT must NOT NULL)")
    assert compare_schemas(before, read_schema(base)) == ()
    assert fingerprint(base) == hash_before


def test_only_the_named_version_table_is_left_out(base: Connection) -> None:
    before = read_schema(base)
    execute(base, "CREATE TABLE billing.mine (id integer); CREATE TABLE spare.mine (id integer)")
    after = read_schema(base, version_table="mine", version_schema="billing")
    assert told(compare_schemas(before, after)) == ["table spare.mine"]
    assert told(compare_schemas(before, read_schema(base, version_table="mine"))) == []


def test_what_is_left_out_is_listed(base: Connection) -> None:
    execute(base, "CREATE TABLE alembic_version (v text); CREATE SCHEMA db_ops")
    silenced = read_schema(base).silenced
    assert "schema db_ops: records of db_ops" in silenced
    assert "version table public.alembic_version" in silenced
    assert any(line.startswith("extension citext: ") for line in silenced)


SETTINGS = (
    "SET timezone = 'Asia/Tokyo'",
    "SET datestyle = 'German'",
    "SET intervalstyle = 'iso_8601'",
    "SET search_path = billing, spare",
    "SET quote_all_identifiers = on",
    "SET extra_float_digits = -10",
)


def test_the_session_s_settings_change_neither_what_is_read_nor_themselves(base_url: str) -> None:
    schema, digest = looked_at(base_url)
    with closing(connect(base_url)) as connection:
        for statement in SETTINGS:
            execute(connection, statement)
        for autocommit in (True, False):
            connection.autocommit = autocommit
            assert read_schema(connection) == schema
            assert fingerprint(connection) == digest
            with connection.cursor() as cursor:
                cursor.execute("SHOW search_path")
                assert cursor.fetchone() == ("billing, spare",)
                cursor.execute("SHOW transaction_read_only")
                assert cursor.fetchone() == ("off",)
            connection.rollback()


def test_a_role_that_may_do_nothing_reads_the_same(base_url: str, role: str) -> None:
    assert looked_at(with_user(base_url, role, "role_secret")) == looked_at(base_url)


def test_a_password_among_a_server_s_options_is_not_read(base: Connection) -> None:
    assert "hush" not in repr(read_schema(base, grants=True))


def test_a_missing_table_is_one_difference(base: Connection) -> None:
    before = read_schema(base, grants=True)
    execute(base, "DROP TABLE runs CASCADE")
    names = told(compare_schemas(before, read_schema(base, grants=True)))
    assert names == ["materialized view public.totals", "table public.runs"]


def test_values_of_both_sides_are_told(base: Connection) -> None:
    before = read_schema(base)
    execute(base, "ALTER TABLE agents ALTER rate TYPE numeric(12, 4)")
    (change,) = compare_schemas(before, read_schema(base))
    assert (change.expected, change.actual) == ("numeric(10,2)", "numeric(12,4)")
    assert change.undo == (
        "ALTER TABLE public.agents ALTER COLUMN rate TYPE numeric(10,2) USING rate::numeric(10,2)",
    )


def test_schemas_that_were_read_differently_are_not_compared(base: Connection) -> None:
    with pytest.raises(ValueError, match="one major version"):
        compare_schemas(read_schema(base), read_schema(base, grants=True))


# The server words these one way when they are written by hand, another when a dump is restored.
CHECKS = (
    r"a IN ('x', 'y''z', 'back\slash', 'it\"s', '])::text[]')",
    "a NOT IN ('x', 'y')",
    "a = ANY ('{x,y}')",
    "(v IN ('x', 'y') AND n > 0) OR a IN ('p', 'q')",
    "lower(a) IN ('x', 'y')",
    "b IN ('x', 'y')",
    "a LIKE 'x%'",
    "n IN (1, 2.5) AND d BETWEEN '2020-01-01' AND '2021-01-01'",
)


@pytest.mark.parametrize("check", CHECKS)
def test_a_restored_dump_makes_no_difference(base: Connection, check: str) -> None:
    execute(base, "CREATE TABLE f (a varchar(20), v varchar, b char(3), n numeric, d date)")
    execute(base, f"ALTER TABLE f ADD CONSTRAINT c CHECK ({check})")
    before, hash_before = read_schema(base), fingerprint(base)
    with base.cursor() as cursor:
        cursor.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'c'")
        ((dumped,),) = cursor.fetchall()
        cursor.execute(
            sql.SQL("ALTER TABLE f DROP CONSTRAINT c, ADD CONSTRAINT c {}").format(sql.SQL(dumped))
        )
    assert compare_schemas(before, read_schema(base)) == ()
    assert fingerprint(base) == hash_before


def test_a_fingerprint_names_its_format_and_the_server_s_major_version(base: Connection) -> None:
    form, major, digest = fingerprint(base).split(":")
    assert form == "1"
    assert int(major) == base.info.server_version // 10000
    assert len(digest) == 64


def test_an_empty_database_has_a_fingerprint_too(empty: str) -> None:
    schema, digest = looked_at(empty)
    assert {kind for kind, _ in schema.objects} == {"schema", "extension"}
    assert digest.startswith("1:")


def test_a_missing_schema_hides_nothing_of_a_publication_of_its_name(base: Connection) -> None:
    execute(base, "CREATE SCHEMA changes")
    before = read_schema(base, grants=True)
    execute(base, "DROP SCHEMA changes; ALTER PUBLICATION changes DROP TABLE agents")
    assert told(compare_schemas(before, read_schema(base, grants=True))) == [
        "publication table changes.public.agents",
        "schema changes",
    ]


def test_dropping_a_detached_partition_is_never_proposed(base: Connection) -> None:
    before = read_schema(base)
    execute(base, "ALTER TABLE events DETACH PARTITION events_2025")
    assert undo_statements(compare_schemas(before, read_schema(base))) == ()


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_table_that_is_dropped_meanwhile_is_no_error(clone: str, autocommit: bool) -> None:
    with closing(connect(clone)) as reader, closing(connect(clone)) as other:
        execute(reader, "CREATE TABLE x (a integer CHECK (a > 0))")
        reader.autocommit = autocommit
        other.autocommit = False
        execute(other, "DROP TABLE x")
        with ThreadPoolExecutor() as pool:
            reading = pool.submit(read_schema, reader)
            until(clone, "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'x'::regclass")
            other.commit()
            assert ("table", "public.x") not in reading.result().objects


def until(url: str, statement: str) -> None:
    """Wait until *statement* returns a row."""
    deadline = time.monotonic() + 30
    while not query(url, statement):
        assert time.monotonic() < deadline, statement
        time.sleep(0.01)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE agents OWNER TO pg_monitor",
        "ALTER MATERIALIZED VIEW totals OWNER TO pg_monitor",
        "ALTER PROCEDURE tidy() OWNER TO pg_monitor",
        "ALTER TYPE state OWNER TO pg_monitor",
        "ALTER DOMAIN slug OWNER TO pg_monitor",
        "ALTER SCHEMA spare OWNER TO pg_monitor",
    ],
)
def test_another_owner_can_be_undone(base: Connection, statement: str) -> None:
    before = read_schema(base, grants=True)
    execute(base, statement)
    for undo in undo_statements(compare_schemas(before, read_schema(base, grants=True))):
        execute(base, undo)
    assert compare_schemas(before, read_schema(base, grants=True)) == ()
