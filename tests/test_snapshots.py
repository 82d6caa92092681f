"""`snapshot`, `restore` and `snapshots`: a database and its data, kept and brought back."""

from __future__ import annotations

import json
import shlex
from contextlib import closing
from datetime import UTC, datetime

import psycopg2
import pytest

from db_ops.settings import DatabaseUrl
from tests.conftest import with_user
from tests.support.project import Project, query

FAILED, MISUSED, REFUSED = 1, 2, 4


@pytest.fixture
def filled(migrated: Project) -> Project:
    """A migrated project with two rows."""
    migrated.query("INSERT INTO one VALUES (1), (2)")
    return migrated


def rows(project: Project) -> list[int]:
    return [int(str(row[0])) for row in project.query("SELECT id FROM one ORDER BY id")]


@pytest.fixture(autouse=True)
def nothing_kept(project: Project, server_url: str) -> object:
    """Nothing of a test's is kept on the server behind it."""
    yield
    kept = query(
        server_url,
        "SELECT datname FROM pg_database WHERE datname LIKE 'db_ops_snapshot%%'"
        " AND shobj_description(oid, 'pg_database') LIKE %s",
        f'%"service": "{DatabaseUrl.parse(project.url).database}"%',
    )
    for (name,) in kept:
        query(server_url, f"DROP DATABASE {name}")


def test_restore_brings_back_data_and_schema(filled: Project, door: str) -> None:
    outcome = filled.run("snapshot", "before", door=door).succeeded()
    assert "kept as before at 0003" in outcome.out
    filled.query("DELETE FROM one; DROP TABLE two")
    filled.query("CREATE TABLE stray (id int)")
    schema = filled.schema()
    outcome = filled.run("restore", "before", door=door).succeeded()
    assert "restored from before" in outcome.out
    assert "now at 0003" in outcome.out
    assert rows(filled) == [1, 2]
    assert filled.schema() != schema
    assert filled.tables == ["alembic_version", "one", "three", "two"]


def test_a_snapshot_can_be_restored_again_and_again(filled: Project) -> None:
    filled.run("snapshot", "base").succeeded()
    for number in (3, 4):
        filled.query(f"INSERT INTO one VALUES ({number})")
        filled.run("restore", "base").succeeded()
        assert rows(filled) == [1, 2]
    assert filled.run("delete-db").succeeded()
    assert "restored" in filled.run("restore", "base").succeeded().out
    assert rows(filled) == [1, 2]


def test_a_restored_database_is_marked_and_disposable(filled: Project) -> None:
    filled.run("snapshot", "base").succeeded()
    filled.run("restore", "base").succeeded()
    assert "marked development" in filled.run("status").succeeded().out
    filled.run("recreate").succeeded()


def test_restore_names_revisions_that_came_later_and_upgrade_applies_them(filled: Project) -> None:
    filled.run("snapshot", "old").succeeded()
    filled.table("0004", "four")
    filled.run("upgrade").succeeded()
    outcome = filled.run("restore", "old").succeeded()
    assert "pending: 1" in outcome.out
    filled.run("upgrade").succeeded()
    assert rows(filled) == [1, 2]
    assert "four" in filled.tables


def test_restore_names_a_revision_that_the_checkout_lacks(filled: Project) -> None:
    filled.run("snapshot", "later").succeeded()
    filled.revision_files[-1].unlink()
    outcome = filled.run("restore", "later").succeeded()
    assert "0003, which this checkout does not have" in outcome.out


@pytest.mark.parametrize("command", ["snapshot", "restore"])
def test_others_may_be_connected_and_come_back(filled: Project, command: str) -> None:
    if command == "restore":
        filled.run("snapshot", "base").succeeded()
    parameters = DatabaseUrl.parse(filled.url).parameters
    with closing(psycopg2.connect(**parameters)) as other:
        other.cursor().execute("SELECT FROM one")
        filled.run(command, "base").succeeded()
        with pytest.raises(psycopg2.OperationalError):
            other.cursor().execute("SELECT 1")
    assert rows(filled) == [1, 2]


def test_snapshots_lists_name_revision_size_and_age_newest_first(filled: Project) -> None:
    assert "no snapshots" in filled.run("snapshots").succeeded().out
    for name in ("first", "second one"):
        filled.run("snapshot", name).succeeded()
    lines = filled.run("snapshots").succeeded().out.splitlines()
    assert {line.split("  ")[0].strip() for line in lines} == {"first", "second one"}
    assert all("just now" in line and "MB" in line and "0003" in line for line in lines)
    listed = json.loads(filled.run("snapshots", "--json").out)["snapshots"]
    assert listed == sorted(listed, key=lambda one: one["taken"], reverse=True)
    age = datetime.now(UTC) - datetime.fromisoformat(listed[0]["taken"])
    assert 0 <= age.total_seconds() < 3600


def test_a_name_is_taken_once_and_free_again_when_dropped(filled: Project) -> None:
    filled.run("snapshot", "base").succeeded()
    outcome = filled.run("snapshot", "base").failed(FAILED)
    assert "already" in outcome.error
    assert "snapshots --drop base" in outcome.hint
    filled.run("snapshots", "--drop", "base").succeeded()
    filled.run("snapshot", "base").succeeded()


def test_a_snapshot_that_is_not_there_is_named(filled: Project) -> None:
    for call in (("restore", "no such"), ("snapshots", "--drop", "no such")):
        outcome = filled.run(*call).failed(FAILED)
        assert "no snapshot 'no such'" in outcome.error
    assert rows(filled) == [1, 2]


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101])
def test_a_name_that_cannot_be_shown_is_misuse(filled: Project, name: str) -> None:
    filled.run("snapshot", name).failed(MISUSED)
    assert json.loads(filled.run("snapshots", "--json").succeeded().out)["snapshots"] == []


@pytest.mark.parametrize("name", ["ünï", "it's", '"; DROP', "a/b\\c", "x -- %s {0}"])
def test_any_other_name_will_do(filled: Project, name: str) -> None:
    filled.run("snapshot", name).succeeded()
    filled.query("DELETE FROM one")
    filled.run("restore", name).succeeded()
    assert rows(filled) == [1, 2]


def test_two_databases_have_snapshots_of_their_own(filled: Project, server_url: str) -> None:
    filled.run("snapshot", "base").succeeded()
    here = filled.url
    filled.url = here.replace("/t_", "/t_other_")
    try:
        filled.run("init").succeeded()
        assert "no snapshots" in filled.run("snapshots").succeeded().out
        filled.run("restore", "base").failed(FAILED)
    finally:
        filled.run("delete-db", "--confirm", DatabaseUrl.parse(filled.url).database)
        filled.url = here


@pytest.mark.parametrize("command", ["snapshot", "restore"])
def test_production_is_refused_unless_confirmed(filled: Project, command: str) -> None:
    database = DatabaseUrl.parse(filled.url).database
    filled.run("snapshot", "my base").succeeded()
    filled.env["DB_OPS_ENVIRONMENT"] = "production"
    outcome = filled.run(command, "my base").failed(REFUSED)
    assert f"{command} 'my base' --confirm {database}" in outcome.hint
    assert rows(filled) == [1, 2]
    arguments = shlex.split(outcome.hint.partition(command)[2])
    if command == "snapshot":
        arguments[0] = "another"
    filled.run(command, *arguments).succeeded()


@pytest.mark.parametrize("command", ["snapshot", "restore"])
def test_a_database_marked_otherwise_is_refused(filled: Project, command: str) -> None:
    filled.run("snapshot", "base").succeeded()
    filled.env["DB_OPS_ENVIRONMENT"] = "test"
    outcome = filled.run(command, "base").failed(REFUSED)
    assert "marked development" in outcome.error


def test_a_snapshot_of_a_missing_database_is_an_error(project: Project) -> None:
    assert "does not exist" in project.run("snapshot", "base").failed(FAILED).error


def test_clearing_the_cache_and_deleting_the_database_leave_snapshots(filled: Project) -> None:
    filled.run("snapshot", "base").succeeded()
    outcome = filled.run("cache", "--clear").succeeded()
    assert "snapshot" not in outcome.out
    filled.run("recreate", "--from-migrations").succeeded()
    filled.run("delete-db").succeeded()
    assert "base" in filled.run("snapshots").succeeded().out


def test_nobody_can_connect_to_a_snapshot(filled: Project, server_url: str) -> None:
    filled.run("snapshot", "base").succeeded()
    assert query(
        server_url,
        "SELECT datallowconn FROM pg_database WHERE datname LIKE 'db_ops_snapshot%%'"
        " AND shobj_description(oid, 'pg_database') LIKE %s",
        f'%"service": "{DatabaseUrl.parse(filled.url).database}"%',
    ) == [(False,)]


def test_who_may_not_create_or_copy_is_told_so(filled: Project, role: str) -> None:
    filled.url = with_user(filled.url, role, "role_secret")
    assert "CREATEDB" in filled.run("snapshot", "base").failed(FAILED).hint


def test_who_does_not_own_the_database_is_told_so(
    filled: Project, role: str, server_url: str
) -> None:
    query(server_url, f"ALTER ROLE {role} CREATEDB")
    filled.url = with_user(filled.url, role, "role_secret")
    assert "does not own" in filled.run("snapshot", "base").failed(FAILED).error


def test_a_prepared_transaction_is_named(filled: Project, server_url: str) -> None:
    if query(server_url, "SHOW max_prepared_transactions") == [("0",)]:
        pytest.skip("the server takes no prepared transactions")
    filled.query("BEGIN; INSERT INTO one VALUES (9); PREPARE TRANSACTION 'held'")
    try:
        assert "pg_prepared_xacts" in filled.run("snapshot", "base").failed(FAILED).hint
    finally:
        filled.query("ROLLBACK PREPARED 'held'")


def test_a_large_database_shares_its_files_with_the_copy_where_the_server_clones(
    filled: Project,
) -> None:
    if int(str(filled.query("SHOW server_version_num")[0][0])) < 180000:
        pytest.skip("file_copy_method is a setting of PostgreSQL 18")
    filled.query(
        "CREATE TABLE large AS SELECT repeat(md5(g::text), 60) AS text"
        " FROM generate_series(1, 40000) AS g"
    )
    plain, logged = filled.url, []
    for name, option in (("logged", ""), ("cloned", "?options=-c%20file_copy_method%3Dclone")):
        ((before,),) = filled.query("SELECT pg_current_wal_insert_lsn()")
        filled.url = plain + option
        filled.run("snapshot", name).succeeded()
        ((size,),) = filled.query("SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", before)
        logged.append(int(str(size)))
    assert logged[0] > 64 << 20
    assert logged[1] < logged[0] / 2  # others may write on this server meanwhile
    filled.query("DELETE FROM large; DELETE FROM one")
    filled.run("restore", "cloned").succeeded()
    assert rows(filled) == [1, 2]
    assert filled.query("SELECT count(*), min(length(text)) FROM large") == [(40000, 1920)]
