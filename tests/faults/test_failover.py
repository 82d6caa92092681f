"""A primary that changes under a migration: Patroni, etcd, three nodes of PostgreSQL 15, HAProxy.

In each round something happens to the primary (a switchover, or kill -9 of it and its Patroni) at
one moment of a migration that came in through one door. DB_OPS_TEST_FAILOVERS says how often each
pair of an event and a moment is tried (1): rounds take turns with the doors and with asynchronous
and synchronous replication. With DB_OPS_TEST_FAILOVER_REPORT, each adds a line to that file.
"""

from __future__ import annotations

import json
import os
import random
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faults.support.haproxy import HAProxy
from tests.faults.support.patroni import PatroniCluster
from tests.faults.support.service import until
from tests.support.command import Command
from tests.support.doors import Outcome
from tests.support.launcher import Launcher
from tests.support.project import Project, make_project, query

pytestmark = pytest.mark.faults

ROUNDS = int(os.environ.get("DB_OPS_TEST_FAILOVERS", "1"))
REPORT = os.environ.get("DB_OPS_TEST_FAILOVER_REPORT")
EVENTS: dict[str, Callable[[PatroniCluster], None]] = {
    "switchover": PatroniCluster.switch_over,
    "kill -9": PatroniCluster.kill_primary,
}
DOORS = ("several_hosts", "haproxy")
# How long `pause()` takes is asked of the database: until the primary has changed, long.
LONG, SHORT = 60.0, 0.0
# Every revision writes its own name, without a key: one that runs twice would be there twice.
SETUP = """
    CREATE TABLE journal (revision text NOT NULL);
    CREATE TABLE pace (seconds float NOT NULL);
    INSERT INTO pace VALUES (60);
    CREATE TABLE numbers (n integer NOT NULL, doubled integer);
    INSERT INTO numbers SELECT generate_series(1, 2000);
    CREATE FUNCTION pause(divided float DEFAULT 1) RETURNS integer LANGUAGE sql VOLATILE
        AS 'SELECT length(pg_sleep(seconds / divided)::text) FROM pace';
    CREATE FUNCTION slowly(n integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE
        AS 'BEGIN PERFORM pause(2000); RETURN n; END';
"""
_BATCHES = """
with op.get_context().autocommit_block():
    for begin in range(0, 2000, 100):
        op.execute(f"UPDATE numbers SET doubled = coalesce(doubled, 0) + 2 * n"
                   f" WHERE n > {begin} AND n <= {begin + 100} AND doubled IS NULL")
        op.execute("SELECT pause(20)")
"""


def journal(revision: str) -> str:
    """Return the line of a revision that notes that it has run."""
    return f"op.execute(\"INSERT INTO journal VALUES ('{revision}')\")\n"


def plain(project: Project, revision: str, statements: str = "") -> None:
    """Write a revision that makes a table of its name, notes itself, and runs *statements*."""
    table = f"op.execute('CREATE TABLE table_{revision} (id integer PRIMARY KEY)')\n"
    project.revision(revision, table + journal(revision) + statements)


def long_ddl(project: Project) -> None:
    """A rewrite of a table."""
    plain(
        project,
        "0003",
        "op.execute('ALTER TABLE numbers ALTER n TYPE bigint USING slowly(n)::bigint')\n",
    )


def concurrent_index(project: Project) -> None:
    """CREATE INDEX CONCURRENTLY, after a commit halfway."""
    build = "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_slowly ON numbers (slowly(n))"
    project.revision(
        "0003",
        "with op.get_context().autocommit_block():\n"
        "    op.execute('SET lock_timeout = 0')\n"
        f"    op.execute('{build}')\n"
        "op.execute('CREATE TABLE table_0003 (id integer PRIMARY KEY)')\n" + journal("0003"),
    )


def data_migration(project: Project) -> None:
    """Rows rewritten in one transaction."""
    plain(
        project,
        "0003",
        "op.execute('UPDATE numbers SET doubled = 2 * slowly(n)')\n",
    )


def data_in_batches(project: Project) -> None:
    """Rows rewritten in batches, each committed."""
    project.revision(
        "0003",
        _BATCHES.strip()
        + "\nop.execute('CREATE TABLE table_0003 (id integer PRIMARY KEY)')\n"
        + journal("0003"),
    )


def many_revisions(project: Project) -> None:
    """One quick revision after another: the event hits commits, and what is between them."""
    for number in range(3, 43):
        plain(project, f"{number:04}", "op.execute('SELECT pg_sleep(0.05)')\n")


@dataclass(frozen=True)
class Moment:
    """What a migration is at when the primary changes, and the statement that shows it."""

    write: Callable[[Project], None]
    runs: str
    with_waiter: bool = False


MOMENTS = {
    "a waiting migration lock": Moment(long_ddl, "ALTER TABLE numbers", with_waiter=True),
    "a long DDL": Moment(long_ddl, "ALTER TABLE numbers"),
    "CREATE INDEX CONCURRENTLY": Moment(concurrent_index, "CREATE INDEX CONCURRENTLY"),
    "a data migration": Moment(data_migration, "UPDATE numbers"),
    "a data migration in batches": Moment(data_in_batches, "pause(20)"),
    "many revisions": Moment(many_revisions, "pg_sleep(0.05)"),
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[PatroniCluster]:
    """Patroni's cluster, for all rounds of this module."""
    cluster = PatroniCluster()
    yield cluster
    cluster.remove()


@pytest.fixture(scope="module")
def haproxy(cluster: PatroniCluster) -> Iterator[HAProxy]:
    """HAProxy in front of it."""
    haproxy = HAProxy(cluster)
    yield haproxy
    haproxy.stop()


@dataclass
class Round:
    """One event at one moment, and what came of it."""

    cluster: PatroniCluster
    haproxy: HAProxy
    folder: Path
    door: str
    launcher: Launcher
    database: str = field(default_factory=lambda: f"t_{uuid.uuid4().hex[:12]}")

    def project(self, name: str = "project") -> Project:
        """Return a project whose first revision is applied, and has set the scene."""
        project = make_project(self.folder / name, self.url, self.launcher.run)
        project.env |= {"DB_OPS_WAIT_TIMEOUT": "90", "DB_OPS_CONNECT_TIMEOUT": "3"}
        # As anywhere but on a developer's machine.
        project.env["DB_OPS_ENVIRONMENT"] = "production"
        project.revision("0001", f'op.execute("""{SETUP}""")\n' + journal("0001"))
        return project

    @property
    def url(self) -> str:
        """The URL of the round's database through its door."""
        if self.door == "haproxy":
            return self.haproxy.url(self.cluster.url(self.database, self.cluster.nodes[0]))
        return self.cluster.url(self.database)

    def settle(self) -> None:
        """Wait until the door leads to the primary alone: HAProxy sees a change after seconds."""
        if self.door == "haproxy":
            url = self.haproxy.url(self.cluster.url("postgres", self.cluster.nodes[0]))
            until(lambda: _is_primary(url), lambda: "HAProxy still leads to a standby")

    def query(self, statement: str, *arguments: object) -> list[tuple[object, ...]]:
        """Run one statement at the primary, past every door."""
        return self.cluster.query(self.database, statement, *arguments)

    def recorded(self) -> int:
        """Return the number of the newest revision recorded."""
        ((revision,),) = self.query("SELECT version_num FROM alembic_version")
        return int(str(revision))

    def wait_until_it_runs(self, text: str, command: Command) -> None:
        """Wait until a session of *command* runs a statement with *text*."""
        running = (
            "SELECT 1 FROM pg_stat_activity"
            " WHERE application_name LIKE %s AND state = 'active' AND query LIKE %s"
        )
        who = f"db_ops %:{command.process.pid}"
        until(
            lambda: bool(self.query(running, who, f"%{text}%")),
            lambda: f"{text!r} was not run: {command.outcome(1)}",
        )


def _is_primary(url: str) -> bool:
    # Until it has seen that one of two is a standby, it leads to them in turn.
    return all(query(url, "SELECT pg_is_in_recovery()") == [(False,)] for _ in range(6))


def is_clean(outcome: Outcome) -> Outcome:
    """Return *outcome* if it is one of those that a failover may have."""
    outcome.failed(5) if outcome.code else outcome.succeeded()
    # What SQLAlchemy complains of while it cleans up is not why.
    assert "PendingRollback" not in outcome.err
    return outcome


def announced(outcome: Outcome) -> int:
    """Return how many revisions a command says to have applied."""
    said = re.search(r"(\d+) of \d+ applied", outcome.err)
    if said:
        return int(said[1])
    said = re.search(r"(\d+) revisions? applied", outcome.out)
    return int(said[1]) if said else 0


CASES = [
    pytest.param(event, moment, number, id=f"{event}-{moment}-{number}".replace(" ", "_"))
    for number in range(ROUNDS)
    for event in EVENTS
    for moment in MOMENTS
]


@pytest.mark.parametrize(("event", "moment", "number"), CASES)
def test_nothing_is_doubled_or_only_recorded_when_the_primary_changes(
    cluster: PatroniCluster,
    haproxy: HAProxy,
    launcher: Launcher,
    tmp_path: Path,
    event: str,
    moment: str,
    number: int,
) -> None:
    # Each pair meets each door, and each kind of replication, in four rounds.
    turn = list(EVENTS).index(event) + list(MOMENTS).index(moment) + number
    door = DOORS[turn % 2]
    synchronous = (turn // 2 + number // 2) % 2 == 1
    cluster.synchronous(synchronous)
    with ExitStack() as stack:
        stack.callback(cluster.restart_killed)
        played = Round(cluster, haproxy, tmp_path, door, launcher)
        project = played.project()
        outcomes = play(played, project, event, moment, stack)
        lost = check(played, project, moment, outcomes)
        # Who waits for a standby's answer loses nothing that it was told is done.
        assert not (synchronous and lost), outcomes
        report(played, outcomes, event, moment, synchronous, lost)


def play(
    played: Round, project: Project, event: str, moment: str, stack: ExitStack
) -> list[Outcome]:
    """Let *event* happen at *moment*, and return what the commands then under way left behind."""
    cluster, what = played.cluster, MOMENTS[moment]
    cluster.query("postgres", f"CREATE DATABASE {played.database}")
    played.settle()
    project.run("init").succeeded()
    cluster.wait_until_whole()
    plain(project, "0002")
    what.write(project)
    commands = [stack.enter_context(Command(project, "upgrade"))]
    played.wait_until_it_runs(what.runs, commands[0])
    if what.with_waiter:
        waiter = played.project("waiter")
        waiter.copy_files_from(project)
        commands.append(stack.enter_context(Command(waiter, "init")))
        commands[1].wait_until_it_says("waiting for")
    if moment == "many revisions":
        time.sleep(random.uniform(0, 2))
    changing = threading.Thread(target=EVENTS[event], args=(cluster,))
    changing.start()
    stack.callback(changing.join)
    # Whoever goes on by itself, or takes over, is not to wait.
    quick = f"UPDATE pace SET seconds = {SHORT}"
    changing.join(180)
    until(lambda: played.query(quick) == [], lambda: "the pace could not be changed")
    return [is_clean(command.outcome(240)) for command in commands]


def check(played: Round, project: Project, moment: str, outcomes: list[Outcome]) -> int:
    """See that the new primary has what it records, once, and that the next `init` ends at head.

    Returns how many revisions it does not have that a command has said to be applied.
    """
    reached = played.recorded()
    noted = [int(str(one)) for (one,) in played.query("SELECT revision FROM journal ORDER BY 1")]
    assert noted == list(range(1, reached + 1)), (noted, reached)
    told = 1 + sum(map(announced, outcomes))
    played.settle()
    said = json.loads(project.run("status", "--json").succeeded().out)
    assert said["current"] == [f"{reached:04}"], said
    project.run("init").succeeded()
    head = len(project.revision_files)
    noted = [int(str(one)) for (one,) in played.query("SELECT revision FROM journal ORDER BY 1")]
    assert noted == list(range(1, head + 1)), noted
    tables = "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'table\\_%'"
    assert played.query(tables) == [(head - 1,)]
    assert played.query("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]
    if "CONCURRENTLY" in moment:
        indexes = "SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'ix\\_slowly%'"
        assert played.query(indexes) == [(1,)]
    if "data migration" in moment:
        wrong = "SELECT count(*) FROM numbers WHERE doubled IS DISTINCT FROM 2 * n"
        assert played.query(wrong) == [(0,)]
    applied = "SELECT revision FROM db_ops.history WHERE action = 'upgrade'"
    assert played.query(f"{applied} GROUP BY 1 HAVING count(*) > 1") == []
    assert "up to date" in project.run("status", "--check").succeeded().out
    return max(0, told - reached)


TENANTS = 24


@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.parametrize("event", EVENTS)
def test_a_fleet_has_each_revision_once_when_the_primary_changes(
    cluster: PatroniCluster,
    haproxy: HAProxy,
    launcher: Launcher,
    tmp_path: Path,
    event: str,
    number: int,
) -> None:
    turn = list(EVENTS).index(event) + number
    synchronous, door = turn % 2 == 1, DOORS[turn // 2 % 2]
    cluster.synchronous(synchronous)
    with ExitStack() as stack:
        stack.callback(cluster.restart_killed)
        played = Round(cluster, haproxy, tmp_path, door, launcher)
        project, tenants = tenants_of(played, stack)
        options = ("fleet", "upgrade", "--jobs", "4", "--json")
        command = stack.enter_context(Command(project, *options))
        until(lambda: len(at_head(played, tenants)) > 3, lambda: command.said)
        changing = threading.Thread(target=EVENTS[event], args=(cluster,))
        changing.start()
        stack.callback(changing.join)
        outcome = command.outcome(240)
        changing.join(180)
        told = json.loads(outcome.out)
        failed = {one["name"]: one["error"] for one in told["failed"]}
        # No more than what was under way, each time that the primary went or came.
        assert set(failed.values()) <= {"ConnectionLost", "ServerUnreachable"}, failed
        assert outcome.code == bool(failed)
        assert told["states"]["applied"] + len(failed) == TENANTS
        lost = set(tenants) - failed.keys() - at_head(played, tenants)
        # Who waits for a standby's answer, or whose standby has all, loses nothing of that.
        assert not lost or (event == "kill -9" and not synchronous), lost
        played.settle()
        project.run("fleet", "upgrade").succeeded()
        for name in tenants:
            noted = "SELECT revision FROM journal ORDER BY 1"
            assert cluster.query(name, noted) == [("0001",), ("0002",)], name
            once = "SELECT count(*) FROM db_ops.history WHERE revision = '0002'"
            assert cluster.query(name, once) == [(1,)], name
        project.run("fleet", "status").succeeded()
        report(played, [outcome], event, "a fleet", synchronous, len(lost))


def tenants_of(played: Round, stack: ExitStack) -> tuple[Project, list[str]]:
    """Create tenants of a project, for which one revision is pending; return their names.

    They are dropped with *stack*: who was killed comes back with a copy of all that is there.
    """
    cluster, project = played.cluster, played.project()
    cluster.query("postgres", f"CREATE DATABASE {played.database}")
    played.settle()
    project.run("init").succeeded()
    tenants = [f"{played.database}_{number:02}" for number in range(TENANTS)]
    for name in tenants:
        copy = f"CREATE DATABASE {name} TEMPLATE {played.database} STRATEGY file_copy"
        cluster.query("postgres", copy)
        stack.callback(cluster.query, "postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    cluster.wait_until_whole()
    pattern = f'[tool.db_ops.fleet]\npattern = "{played.database}_*"\n'
    (project.root / "pyproject.toml").write_text(pattern)
    plain(project, "0002", "op.execute('SELECT pg_sleep(0.3)')\n")
    return project, tenants


def at_head(played: Round, tenants: list[str]) -> set[str]:
    """Return which of *tenants* have the revision, and note it exactly if they record it."""
    done = set()
    for name in tenants:
        state = "SELECT version_num, array(SELECT revision FROM journal ORDER BY 1)"
        ((at, noted),) = played.cluster.query(name, f"{state} FROM alembic_version")
        assert noted == ["0001", "0002"][: int(str(at))], (name, at, noted)
        if at == "0002":
            done.add(name)
    return done


def report(
    played: Round,
    outcomes: list[Outcome],
    event: str,
    moment: str,
    synchronous: bool,
    lost: int,
) -> None:
    """Write what came of a round, if somebody wants to know."""
    if REPORT:
        line = {
            "event": event,
            "moment": moment,
            "door": played.door,
            "synchronous": synchronous,
            "exits": [outcome.code for outcome in outcomes],
            "lost": lost,
            "said": [outcome.err.strip().splitlines()[-2:] for outcome in outcomes],
        }
        with suppress(OSError), Path(REPORT).open("a") as file:
            file.write(json.dumps(line) + "\n")
