"""`recreate` in every environment: the old database goes when the new one is whole."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.conftest import drop
from tests.support.command import Command
from tests.support.project import Project, query

RECORD_NAME = "op.execute('CREATE TABLE named AS SELECT current_database() AS name')"
# What is built in a scratch database first has another name there.
UNDER_ITS_OWN_NAME = (
    "op.execute(\"DO $$ BEGIN IF current_database() NOT LIKE 'db_ops%' THEN PERFORM {};"
    ' END IF; END $$")'
)
PRECIOUS = "SELECT count(*) FROM one"


@pytest.fixture
def filled(migrated: Project, server_url: str) -> Iterator[Project]:
    """A migrated project with a row, whose databases of ours are dropped after the test."""
    migrated.query("INSERT INTO one VALUES (1)")
    yield migrated
    service = migrated.url.rpartition("/")[2]
    for name, _ in own(server_url, service):
        drop(server_url, str(name))


def own(server_url: str, service: str) -> list[tuple[object, ...]]:
    return query(
        server_url,
        "SELECT datname, split_part(datname, '_', 3) FROM pg_database"
        " WHERE datname LIKE 'db\\_ops\\_%%' AND shobj_description(oid, 'pg_database') LIKE %s",
        f'%"{service}"%',
    )


def oid(project: Project) -> object:
    return project.query("SELECT oid FROM pg_database WHERE datname = current_database()")


@pytest.mark.parametrize("environment", ["development", "production"])
def test_a_broken_revision_leaves_the_database_as_it_was(
    filled: Project, database_name: str, environment: str
) -> None:
    filled.revision("0004", "op.execute('SELECT 1/0')")
    filled.env["DB_OPS_ENVIRONMENT"] = environment
    before = filled.fingerprint(), oid(filled)
    outcome = filled.run("recreate", "--from-migrations", "--confirm", database_name).failed(1)
    assert "0004 failed: division by zero; the database is as it was" in outcome.error
    assert (filled.fingerprint(), oid(filled)) == before
    assert filled.query(PRECIOUS) == [(1,)]


def test_production_is_built_beside_and_nothing_of_ours_stays(
    filled: Project, database_name: str, server_url: str
) -> None:
    filled.env["DB_OPS_ENVIRONMENT"] = "production"
    before = own(server_url, database_name)
    said = json.loads(filled.run("recreate", "--json", "--confirm", database_name).succeeded().out)
    assert (said["dropped"], said["mark"]) == (True, "production")
    assert said["origin"]["source"] == "migrations"
    assert filled.query(PRECIOUS) == [(0,)]
    assert own(server_url, database_name) == before


@pytest.mark.parametrize("environment", ["development", "production"])
def test_what_is_only_right_under_its_own_name_is_built_there_and_brought_back_if_it_fails(
    filled: Project, database_name: str, server_url: str, environment: str
) -> None:
    filled.env["DB_OPS_ENVIRONMENT"] = environment
    filled.query(f"COMMENT ON DATABASE {database_name} IS 'db_ops environment: {environment}\nour'")
    filled.revision("0004", RECORD_NAME)
    broken = filled.revision("0005", UNDER_ITS_OWN_NAME.format("1/0"))
    before = filled.fingerprint(), oid(filled)
    outcome = filled.run("recreate", "--confirm", database_name).failed(1)
    assert "0005 failed: division by zero; the database is as it was" in outcome.error
    assert "kept as the snapshot 'before recreate" in outcome.err
    assert (filled.fingerprint(), oid(filled)) == before
    assert filled.query(PRECIOUS) == [(1,)]
    broken.unlink()
    said = json.loads(filled.run("recreate", "--json", "--confirm", database_name).succeeded().out)
    assert said["dropped"]
    assert filled.query("SELECT name FROM named") == [(database_name,)]
    assert filled.query(PRECIOUS) == [(0,)]
    assert not [kind for _, kind in own(server_url, database_name) if kind != "template"]


def test_a_killed_rebuild_leaves_a_snapshot_that_restore_brings_back(filled: Project) -> None:
    filled.revision("0004", f"{RECORD_NAME}\n{UNDER_ITS_OWN_NAME.format('pg_sleep(60)')}")
    with Command(filled, "recreate") as command:
        command.wait_until_it_says("kept as the snapshot")
        command.wait_until_it_runs("pg_sleep")
        command.kill()
    ((kept,),) = [
        (one["name"],)
        for one in json.loads(filled.run("snapshots", "--json").succeeded().out)["snapshots"]
    ]
    assert kept.startswith("before recreate ")
    filled.run("cache", "--clear").succeeded()
    filled.run("restore", kept).succeeded()
    assert filled.query(PRECIOUS) == [(1,)]


def test_a_database_that_somebody_creates_during_the_build_is_not_replaced(
    project: Project, database_name: str, server_url: str
) -> None:
    project.revision(
        "0001",
        f"""
        import psycopg2
        from contextlib import closing

        for url, statement in (
            ({server_url!r}, "CREATE DATABASE {database_name}"),
            ({project.url!r}, "CREATE TABLE precious ()"),
        ):
            with closing(psycopg2.connect(url)) as connection:
                connection.autocommit = True
                connection.cursor().execute(statement)
        """,
    )
    outcome = project.run("recreate", "--from-migrations").failed(5)
    assert "somebody else has created or replaced it meanwhile" in outcome.error
    assert project.tables == ["precious"]


def test_a_subscription_is_named_before_anything_is_renamed(filled: Project) -> None:
    filled.query(
        "CREATE SUBSCRIPTION follower CONNECTION 'dbname=nowhere' PUBLICATION p"
        " WITH (connect = false, enabled = false, create_slot = false, slot_name = NONE)"
    )
    try:
        outcome = filled.run("recreate").failed(1)
        assert "it has subscriptions: follower" in outcome.error
        assert "DROP SUBSCRIPTION follower" in outcome.hint
        assert filled.query(PRECIOUS) == [(1,)]
    finally:
        filled.query("DROP SUBSCRIPTION follower")


def test_every_commit_of_a_database_in_use_waits_for_the_disk(filled: Project) -> None:
    note = "op.execute(\"INSERT INTO commits VALUES (current_setting('synchronous_commit'))\")"
    filled.revision("0004", f"op.execute('CREATE TABLE commits (setting text)')\n{note}")
    filled.revision("0005", note)
    filled.env["DB_OPS_ENVIRONMENT"] = "production"
    filled.run("upgrade").succeeded()
    assert filled.query("SELECT * FROM commits") == [("on",)] * 2
    filled.env["DB_OPS_ENVIRONMENT"] = "development"
    filled.run("recreate", "--from-migrations").succeeded()
    assert sorted(filled.query("SELECT * FROM commits")) == [("off",), ("on",)]


def test_an_error_is_told_although_the_scratch_database_cannot_be_dropped(
    project: Project, database_name: str, server_url: str
) -> None:
    gid = f"gid_{database_name}"
    project.revision(
        "0001",
        f"""
        import psycopg2
        name = op.get_bind().exec_driver_sql("SELECT current_" "catalog").scalar()
        session = psycopg2.connect(**{{**psycopg2.extensions.parse_dsn({project.url!r}),
                                      "dbname": name}})
        session.cursor().execute("CREATE TABLE t (); PREPARE TRANSACTION '{gid}'")
        session.close()
        op.execute("SELECT 1/0")
        """,
    )
    try:
        assert "division by zero" in project.run("recreate").failed(1).error
        path = project.revision("0001", "op.execute('CREATE TABLE one ()')", down_revision=None)
        assert path.exists()
        # What the first one has left keeps nobody from anything.
        project.run("recreate").succeeded()
        assert "one" in project.tables
    finally:
        ((left,),) = query(server_url, "SELECT database FROM pg_prepared_xacts WHERE gid = %s", gid)
        query(server_url.rpartition("/")[0] + f"/{left}", f"ROLLBACK PREPARED '{gid}'")
        drop(server_url, str(left))
