"""Table locks and the migration lock: readers go on, waiters know whom they wait for."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import psycopg2
import pytest

from db_ops.settings import DatabaseUrl
from tests.conftest import drop
from tests.faults.crowd import KILLED, Crowd, Running, assert_clean, maintenance_of, say
from tests.support.launcher import Launcher
from tests.support.project import Project, query

pytestmark = pytest.mark.faults

FREE_IT = re.compile(r"SELECT pg_terminate_backend\(.+$", re.MULTILINE)


def connect(project: Project, application: str) -> psycopg2.extensions.connection:
    """Return a connection that calls itself *application*."""
    parameters = DatabaseUrl.parse(project.url).parameters
    return psycopg2.connect(**{**parameters, "application_name": application})


def sleeping_once(project: Project, revision: str, seconds: int, before: str = "") -> None:
    """Write a revision that sleeps the first time it runs, and never again."""
    project.revision(
        revision,
        f"""
        import pathlib
        op.execute("CREATE TABLE t_{revision} (id integer PRIMARY KEY)")
        op.execute("INSERT INTO log VALUES ('{revision}')")
        op.execute("CREATE TABLE went_on AS SELECT clock_timestamp() AS at")
        marker = pathlib.Path(__file__).with_suffix(".slept")
        if not marker.exists():
            marker.touch()
            op.execute("SELECT pg_sleep({seconds})")
        """,
    )


@pytest.fixture
def logged(project: Project) -> Project:
    """A project at its first revision, which makes a table `log` for the others."""
    project.revision("0001", "op.execute('CREATE TABLE log (revision text)')")
    project.prepare("init")
    return project


class Readers:
    """A stream of reads of the table `log`; `worst` is the longest that one has taken.

    The server measures it: how late a busy machine wakes the reader up is no stall of a table.
    """

    _READ = (
        "SELECT count(*), extract(epoch FROM clock_timestamp() - statement_timestamp()) FROM log"
    )

    def __init__(self, project: Project, count: int = 2) -> None:
        self.project = project
        self.worst, self.reads = 0.0, 0
        self._stop = threading.Event()
        self._errors: list[Exception] = []
        self._threads = [threading.Thread(target=self._read) for _ in range(count)]

    def __enter__(self) -> Readers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        assert not self._errors, self._errors

    def _read(self) -> None:
        try:
            with closing(connect(self.project, "reader")) as connection:
                connection.autocommit = True
                with connection.cursor() as cursor:
                    while not self._stop.is_set():
                        cursor.execute(self._READ)
                        ((_, seconds),) = cursor.fetchall()
                        self.worst = max(self.worst, float(seconds))
                        self.reads += 1
                        time.sleep(0.005)
        except Exception as error:
            self._errors.append(error)


@contextmanager
def holding(crowd: Crowd) -> Iterator[Running]:
    """Start a process that holds the migration lock while its statement sleeps; yield it."""
    sleeping_once(crowd.project, "0002", 30)
    holder = crowd.start("init")
    crowd.wait_for_statement("pg_sleep(30)")
    yield holder


@pytest.mark.parametrize("state", ["idle in transaction", "active"])
def test_readers_go_on_while_a_migration_waits_for_a_long_transaction(
    logged: Project, state: str
) -> None:
    logged.env["DB_OPS_LOCK_TIMEOUT"] = "2"
    logged.revision("0002", "op.execute('ALTER TABLE log ADD COLUMN note text')")
    with (
        closing(connect(logged, "nightly-report")) as blocker,
        blocker.cursor() as cursor,
        Crowd(logged) as crowd,
    ):
        cursor.execute("SELECT count(*), pg_backend_pid() FROM log")
        ((_, pid),) = cursor.fetchall()
        busy = threading.Thread(target=lambda: cursor.execute("SELECT pg_sleep(6)"))
        if state == "active":
            busy.start()
        with Readers(logged) as readers:
            process = crowd.start("init")
            crowd.wait_for_output(process, "attempt 2")
            crowd.wait_for_output(process, "attempt 3")
            if state == "active":
                busy.join(20)
            blocker.rollback()
            released = time.monotonic()
            outcome = crowd.finish(process, within=30).succeeded()
            assert time.monotonic() - released < 8, "the pauses between attempts are short"
        say(f"{readers.reads} reads, the worst {readers.worst:.2f} s")
    assert readers.reads > 50
    assert 1 < readers.worst < 2, "the readers met it, and never for as long as the setting says"
    assert "1 revision applied" in outcome.out
    named = [line for line in outcome.err.splitlines() if "attempt 2" in line or str(pid) in line]
    told = "\n".join(named)
    assert str(pid) in told
    assert "nightly-report" in told
    assert ("pg_sleep" if state == "active" else "idle in transaction") in told
    assert re.search(r"\d+(\.\d+)? ?s\b", told), "since when"


def test_a_blocker_that_never_goes_is_named_by_the_error(logged: Project) -> None:
    logged.env |= {"DB_OPS_LOCK_TIMEOUT": "0.3", "DB_OPS_LOCK_RETRIES": "2"}
    logged.revision("0002", "op.execute('ALTER TABLE log ADD COLUMN note text')")
    with closing(connect(logged, "nightly-report")) as blocker, blocker.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM log")
        outcome = logged.run("init").failed(5)
    assert "nightly-report" in outcome.error
    logged.run("init").succeeded()


def test_a_waiter_goes_on_soon_after_the_holder_was_killed(logged: Project) -> None:
    with Crowd(logged) as crowd, holding(crowd) as holder:
        waiter = crowd.start("init")
        crowd.wait_for_output(waiter, "waiting for")
        ((killed,),) = logged.query("SELECT clock_timestamp()")
        holder.kill()
        outcome = crowd.finish(waiter).succeeded()
        assert crowd.finish(holder).code == KILLED
    ((seconds,),) = logged.query("SELECT extract(epoch FROM at - %s) FROM went_on", killed)
    say(f"the waiter went on {seconds:.1f} s after the kill")
    # The statement of the dead one would have gone on for half a minute.
    assert float(str(seconds)) < 15
    assert "1 revision applied" in outcome.out
    assert logged.query("SELECT revision FROM log") == [("0002",)]


def test_a_process_that_comes_after_the_kill_does_not_wait_for_the_dead_ones_statement(
    logged: Project,
) -> None:
    with Crowd(logged) as crowd, holding(crowd) as holder:
        ((killed,),) = logged.query("SELECT clock_timestamp()")
        holder.kill()
        # Forked: on a busy machine, an interpreter alone may take seconds to start.
        logged.run("init").succeeded()
    ((seconds,),) = logged.query("SELECT extract(epoch FROM at - %s) FROM went_on", killed)
    assert float(str(seconds)) < 15
    assert logged.query("SELECT revision FROM log") == [("0002",)]


def test_a_dead_migrators_statement_does_not_run_beside_the_next_migrator(
    logged: Project,
) -> None:
    # The lock's own session ends at once with its client, the one that runs the statement when
    # the server next looks. Nothing of the dead one may be at work while the next one is.
    logged.revision(
        "0002",
        """
        import pathlib
        with op.get_context().autocommit_block():
            marker = pathlib.Path(__file__).with_suffix(".slept")
            if not marker.exists():
                marker.touch()
                op.execute("DO 'BEGIN PERFORM pg_sleep(30); END'")
            op.execute("INSERT INTO log SELECT 'beside ' || pid FROM pg_stat_activity"
                       " WHERE query LIKE '%pg_sleep(30)%' AND pid <> pg_backend_pid()"
                       " AND state = 'active' AND datname = current_database()")
        """,
    )
    with Crowd(logged) as crowd:
        holder = crowd.start("init")
        crowd.wait_for_statement("pg_sleep(30)")
        holder.kill()
        crowd.finish(crowd.start("init"), within=20).succeeded()
    assert logged.query("SELECT revision FROM log") == []


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
def test_a_waiter_says_who_holds_the_lock_and_what_would_free_it(
    logged: Project, stopped: bool
) -> None:
    with Crowd(logged) as crowd, holding(crowd) as holder:
        if stopped:
            # A client that hangs closes nothing, whatever becomes of its sessions.
            holder.process.send_signal(signal.SIGSTOP)
        waiter = crowd.start("init")
        told = crowd.wait_for_output(waiter, r"SELECT pg_terminate_backend\(.+")
        said = told.string
        assert f":{holder.process.pid}" in said, "the holder's name holds its process id"
        assert "db_ops init" in said
        assert "pg_sleep(30)" in said, "the statement that runs"
        assert re.search(r"\d+(\.\d+)? ?s\b", said), "since when"
        assert all(query(maintenance_of(logged), told[0])[0])
        freed = time.monotonic()
        outcome = crowd.finish(waiter, within=20).succeeded()
        seconds = time.monotonic() - freed
        if stopped:
            holder.process.send_signal(signal.SIGCONT)
        beaten = crowd.finish(holder, within=60)
    say(f"the waiter was done {seconds:.1f} s after the lock was freed")
    assert "1 revision applied" in outcome.out
    assert logged.query("SELECT revision FROM log") == [("0002",)]
    assert seconds < 5, "the SQL frees what it promises to free"
    assert_clean(beaten, 5)


def test_a_waiter_that_gives_up_says_who_holds_the_lock(logged: Project) -> None:
    with Crowd(logged) as crowd, holding(crowd) as holder:
        started = time.monotonic()
        waiter = crowd.start("init", env={"DB_OPS_MIGRATION_LOCK_TIMEOUT": "1"})
        outcome = crowd.finish(waiter).failed(5)
        assert time.monotonic() - started < 8
        assert f":{holder.process.pid}" in outcome.error
        assert FREE_IT.search(outcome.err)


def test_a_migrator_that_lost_its_lock_is_still_waited_for(logged: Project) -> None:
    sleeping_once(logged, "0002", 3)
    # What could give up the locks of its session runs in another than that of the lock.
    unlocks = "op.execute('SELECT pg_advisory_unlock_all()')\n"
    logged.revision("0003", f"{unlocks}op.execute(\"INSERT INTO log VALUES ('0003')\")")
    with Crowd(logged) as crowd:
        holder = crowd.start("init")
        crowd.wait_for_statement("pg_sleep(3)")
        # What a proxy, a firewall or an administrator does to an idle session.
        ended = logged.query(
            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity a USING (pid)"
            " WHERE locktype = 'advisory' AND granted AND state = 'idle'"
            " AND a.datname = current_database()"
        )
        assert ended == [(True,)]
        waiter = crowd.start("init")
        assert_clean(crowd.finish(holder), 0, 5)
        crowd.finish(waiter).succeeded()
    assert logged.query("SELECT revision FROM log ORDER BY 1") == [("0002",), ("0003",)]


@pytest.mark.parametrize(
    ("setting", "pause"),
    [
        ("idle_session_timeout", "op.execute('SELECT pg_sleep(1.5)')"),
        (
            "idle_in_transaction_session_timeout",
            "op.execute('SELECT 1'); import time; time.sleep(1.5)",
        ),
    ],
)
def test_a_server_that_ends_idle_sessions_ends_no_migration(
    logged: Project, database_name: str, setting: str, pause: str
) -> None:
    query(maintenance_of(logged), f"ALTER DATABASE {database_name} SET {setting} = '700ms'")
    logged.revision("0002", f"{pause}\nop.execute(\"INSERT INTO log VALUES ('0002')\")")
    logged.run("init").succeeded()
    assert logged.query("SELECT revision FROM log ORDER BY 1") == [("0002",)]


def test_racing_creators_all_succeed_and_one_has_created(project: Project) -> None:
    project.table("0001", "one")
    for options in ((), ("--from-migrations",), ()):
        query(maintenance_of(project), f"DROP DATABASE IF EXISTS {project.url.rpartition('/')[2]}")
        with Crowd(project) as crowd:
            for _ in range(6):
                crowd.start("init", "--json", *options)
            outcomes = crowd.finish_all(within=60)
        results = [json.loads(outcome.succeeded().out) for outcome in outcomes]
        assert sum(result["created"] for result in results) == 1
        ran = sum(len(result["steps"]) for result in results)
        (origin,) = [result["origin"]["source"] for result in results if result["created"]]
        assert ran == (1 if origin == "migrations" else 0)


def test_a_creator_that_knows_no_lock_of_ours_may_win_the_race(
    project: Project, launcher: Launcher, server_url: str, database_name: str
) -> None:
    project.table("0001", "one")
    created = []
    for number in range(10):
        drop(server_url, database_name)
        racers = [launcher.start(project.root, project.env, "init", "--json") for _ in range(3)]
        time.sleep(number * 0.01)
        with suppress(psycopg2.errors.DuplicateDatabase, psycopg2.errors.UniqueViolation):
            query(server_url, f"CREATE DATABASE {database_name}")
        results = [json.loads(one.finish(60).succeeded().out) for one in racers]
        created.append(sum(result["created"] for result in results))
        ran = sum(len(result["steps"]) for result in results)
        origins = [result["origin"]["source"] for result in results if result["created"]]
        assert ran == (0 if origins == ["template"] else 1)
    assert set(created) <= {0, 1}


def test_the_server_looks_whether_a_migrator_is_still_there(logged: Project) -> None:
    names = ("client_connection_check_interval", "tcp_keepalives_idle", "idle_session_timeout")
    for name in names:
        logged.revision(f"{name[:20]}", f"op.execute(\"INSERT INTO log VALUES ('{name} ' ||"
                        f" current_setting('{name}'))\")")  # fmt: skip
    logged.run("init").succeeded()
    assert [row[0] for row in logged.query("SELECT revision FROM log")] == [
        "client_connection_check_interval 1s",
        "tcp_keepalives_idle 10",
        "idle_session_timeout 0",
    ]


def test_recreate_delete_and_init_may_race_on_one_name(project: Project) -> None:
    for number in range(1, 4):
        project.table(f"000{number}", f"t{number}")
    codes: Counter[tuple[str, int]] = Counter()
    said: Counter[str] = Counter()
    for _ in range(4):
        with Crowd(project) as crowd:
            for command in ("recreate", "init", "delete-db", "recreate", "init"):
                crowd.start(command)
            for one, outcome in zip(crowd.running, crowd.finish_all(within=60), strict=True):
                codes[one.command, outcome.code] += 1
                # A database that goes away under a command is told as that, or as "try again".
                assert_clean(outcome, 0, 1, 5)
                if outcome.code:
                    said[f"{one.command}: {outcome.error.partition(': ')[2]}"] += 1
        project.run("init").succeeded()
        project.run("status", "--check").succeeded()
        assert project.tables == ["alembic_version", "t1", "t2", "t3"]
    say(f"{dict(codes)}\n{dict(said)}")
    # Neither of them is true of a database that somebody drops and creates again.
    assert not [text for text in said if "rejects" in text or "no recorded revision" in text]
    assert not [command for command, code in codes if command == "delete-db" and code]


def test_a_revision_sets_timeouts_for_itself_alone(logged: Project) -> None:
    logged.env |= {"DB_OPS_LOCK_TIMEOUT": "0.5", "DB_OPS_STATEMENT_TIMEOUT": "20"}
    seen = (
        "op.execute(\"INSERT INTO log SELECT '{} ' || current_setting('lock_timeout') || ' '"
        " || current_setting('statement_timeout')\")"
    )
    patient = "op.execute('SET lock_timeout = 0'); op.execute('SET statement_timeout = 0')"
    logged.revision("0002", f"{patient}; {seen.format('own')}")
    logged.revision("0003", seen.format("next"))
    logged.revision(
        "0004",
        f"""
        with op.get_context().autocommit_block():
            {patient}
            op.execute("ALTER TABLE log ADD COLUMN note text")
        """,
    )
    logged.revision("0005", seen.replace("log", "log (revision)", 1).format("last"))
    with (
        closing(connect(logged, "short")) as blocker,
        blocker.cursor() as cursor,
        Crowd(logged) as crowd,
    ):
        cursor.execute("SELECT count(*) FROM log")
        process = crowd.start("init")
        crowd.wait_for_statement("ALTER TABLE log")
        # Longer than the settings would let it wait.
        time.sleep(1.5)
        blocker.rollback()
        outcome = crowd.finish(process).succeeded()
    assert "attempt" not in outcome.err
    rows = {str(row[0]) for row in logged.query("SELECT revision FROM log")}
    theirs = {row.partition(" ")[2] for row in rows if not row.startswith("own")}
    assert "own 0 0" in rows
    assert len(rows) == 3
    assert len(theirs) == 1
    assert "0 0" not in theirs


def test_a_failure_says_how_many_were_applied_and_how_to_go_on(logged: Project) -> None:
    for number in range(2, 5):
        logged.table(f"000{number}", f"t{number}")
    broken = logged.revision("0005", "op.execute('SELECT 1 / 0')")
    logged.table("0006", "t6")
    outcome = logged.run("init").failed(1)
    assert "3 of 5 applied (0002, 0003, 0004), database at 0004" in outcome.error
    assert "division by zero" in outcome.error
    assert str(broken.relative_to(logged.root)) in outcome.hint
    assert "upgrade" in outcome.hint
    broken.write_text(broken.read_text().replace("1 / 0", "1"))
    assert "2 revisions applied" in logged.run("init").succeeded().out
