"""`undo` among processes that start at once, and after kills: no data is lost that was kept."""

from __future__ import annotations

import random
import time

import pytest

from tests.conftest import with_database
from tests.faults.crowd import say
from tests.support.launcher import Launcher
from tests.support.project import Project, query

pytestmark = pytest.mark.faults

COMMANDS = (("recreate",), ("undo",), ("delete-db",), ("undo",), ("init",), ("downgrade",))
# The rows of whoever is asked: in the target, or in what is kept of it.
OURS = (
    "SELECT datname, datallowconn FROM pg_database WHERE datname = %s OR datname LIKE 'db\\_ops\\_"
    "undo%%' AND shobj_description(oid, 'pg_database') LIKE '%%\"' || %s || '\"%%'"
)


def copies_with_rows(project: Project, server_url: str, name: str) -> int:
    found = query(server_url, OURS, name, name)
    assert all(allowed for _, allowed in found)
    urls = [with_database(server_url, str(database)) for database, _ in found]
    return sum(bool(query(url, "SELECT to_regclass('treasure')") != [(None,)]) for url in urls)


def test_thirty_processes_that_replace_and_undo_leave_one_kept(
    migrated: Project, launcher: Launcher, server_url: str, database_name: str
) -> None:
    del migrated.env["DB_OPS_UNDO"]
    running = [
        launcher.start(migrated.root, migrated.env, *COMMANDS[number % len(COMMANDS)])
        for number in range(30)
    ]
    outcomes = [process.finish(240) for process in running]
    for outcome in outcomes:
        assert outcome.code in (0, 1, 5), outcome.err
        assert "Traceback" not in outcome.err
    migrated.run("init").succeeded()
    migrated.run("recreate").succeeded()
    assert len(query(server_url, OURS, database_name, database_name)) == 2
    migrated.run("undo").succeeded()
    migrated.run("cache", "--clear").succeeded()


def test_after_a_kill_at_any_moment_the_data_is_there_or_undo_brings_it_back(
    migrated: Project, launcher: Launcher, server_url: str, database_name: str
) -> None:
    del migrated.env["DB_OPS_UNDO"]
    migrated.query("CREATE TABLE treasure (id int)")
    choose = random.Random(17)
    seen = []
    for number in range(16):
        command = ("delete-db", "undo", "recreate", "undo")[number % 4]
        process = launcher.start(migrated.root, migrated.env, command)
        time.sleep(choose.uniform(0.0, 0.25))
        process.kill()
        # The server ends the session, and what it holds, a moment later.
        migrated.run("status")
        migrated.run("undo", "--list").succeeded()
        assert copies_with_rows(migrated, server_url, database_name) == 1, (number, command)
        is_there = query(server_url, "SELECT 1 FROM pg_database WHERE datname = %s", database_name)
        if not is_there or migrated.query("SELECT to_regclass('treasure')") == [(None,)]:
            migrated.run("undo").succeeded()
            seen.append(command)
        assert migrated.query("SELECT count(*) FROM treasure") == [(0,)]
    say(f"undone after {', '.join(seen)}")
    migrated.run("cache", "--clear").succeeded()
