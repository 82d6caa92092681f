"""What a run over a fleet waits for, and what it may take of a server."""

from __future__ import annotations

import threading
from contextlib import closing

import psycopg2

from db_ops.postgres.locks.advisory_lock import lock_key
from tests.support.command import Command
from tests.support.project import query
from tests.support.schemas import validated
from tests.test_fleet import Fleet
from tests.test_fleet import fleet as fleet
from tests.test_fleet_processes import SLOW, applied


def test_a_tenant_whose_migration_lock_is_held_is_a_line_and_the_others_go_on(
    fleet: Fleet,
) -> None:
    fleet.project.env["DB_OPS_MIGRATION_LOCK_TIMEOUT"] = "0.3"
    key = lock_key("migrate", fleet.name("b"), None, "alembic_version")
    with closing(psycopg2.connect(fleet.url("b"))) as holder, holder.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (key,))
        outcome = fleet.project.run("fleet", "upgrade", "--json")
    report = validated("fleet.json", outcome.out)
    assert outcome.code == 1
    assert [(one["name"], one["error"]) for one in report["failed"]] == [
        (fleet.name("b"), "MigrationLockHeld")
    ]
    assert [fleet.at(word) for word in "abc"] == ["0004", "0003", "0004"]
    assert "1 applied, 2 at head" in fleet.project.run("fleet", "upgrade").succeeded().out


def test_no_more_connections_are_open_at_once_than_are_allowed(fleet: Fleet) -> None:
    fleet.add("d", "e", "f")
    fleet.project.revision("0005", SLOW)
    # Who blocks a revision is looked for, in a session more, soon after it has begun.
    fleet.project.env["DB_OPS_LOCK_TIMEOUT"] = "0.5"
    seen: set[int] = set()
    done = threading.Event()
    ours = f"SELECT count(*)::int FROM pg_stat_activity WHERE datname LIKE '{fleet.prefix}\\_%'"

    def count() -> None:
        with closing(psycopg2.connect(fleet.server_url)) as looking:
            looking.autocommit = True
            with looking.cursor() as cursor:
                while not done.wait(0.005):
                    cursor.execute(ours)
                    seen.add(int((cursor.fetchone() or (0,))[0]))

    counting = threading.Thread(target=count)
    counting.start()
    try:
        options = ("--jobs", "6", "--connections-per-server", "4")
        fleet.project.run("fleet", "upgrade", *options).succeeded()
    finally:
        done.set()
        counting.join()
    assert max(seen) in (3, 4), seen
    assert {fleet.at(word) for word in "abcdef"} == {"0005"}


def test_two_runs_at_once_apply_nothing_twice(fleet: Fleet) -> None:
    fleet.add("d", "e", "f")
    fleet.project.revision("0004", SLOW, down_revision="0003")
    with Command(fleet.project, "fleet", "upgrade", "--jobs", "3", "--json") as first:
        second = fleet.project.run("fleet", "upgrade", "--jobs", "3", "--json").succeeded()
        outcomes = first.outcome().succeeded(), second
    reports = [validated("fleet.json", outcome.out) for outcome in outcomes]
    assert sum(report["states"].get("applied", 0) for report in reports) == 6, reports
    assert applied(fleet) == [1] * 6
    assert query(fleet.url("a"), "SELECT count(*)::int FROM slow") == [(0,)]


def test_what_a_revision_has_set_in_its_session_comes_in_nobodys_way(fleet: Fleet) -> None:
    # It is the session that holds the lock, reads where the database is, and writes fingerprints.
    fleet.project.revision("0005", "op.execute('SET default_transaction_read_only = on')")
    fleet.project.run("fleet", "upgrade").succeeded()
    assert [fleet.at(word) for word in "abc"] == ["0005"] * 3
    rows = "SELECT revision, fingerprint IS NULL FROM db_ops.history ORDER BY id DESC LIMIT 2"
    assert fleet.query("a", rows) == [("0005", False), ("0004", True)]


def test_a_revision_that_gives_up_locks_does_not_give_up_that_of_the_migration(
    fleet: Fleet,
) -> None:
    count = (
        "CREATE TABLE held AS SELECT count(*)::int FROM pg_locks l JOIN pg_database d"
        " ON d.oid = l.database AND d.datname = current_database()"
        " WHERE locktype = 'advisory' AND granted"
    )
    give_up = "SELECT pg_advisory_unlock_all()"
    fleet.project.revision("0005", f'op.execute("{give_up}")\nop.execute("{count}")')
    fleet.project.run("fleet", "upgrade", "--only", fleet.name("a")).succeeded()
    assert fleet.query("a", "SELECT * FROM held") == [(1,)]
