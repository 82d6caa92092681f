"""Poolers, standbys, failovers, full and starting servers, cut cables: real ones, all of them."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

from db_ops.errors import TransactionPooler
from db_ops.postgres.schema.reading import fingerprint, read_schema
from tests.conftest import with_database, with_user
from tests.faults.support.machine import Machine, at_any_of
from tests.faults.support.pooler import PATIENCE, Pooler
from tests.faults.support.proxy import Proxy
from tests.support.cluster import Cluster
from tests.support.command import Command
from tests.support.doors import Outcome
from tests.support.project import Project, make_project, query

pytestmark = pytest.mark.faults

WRITERS = (
    ("init",),
    ("upgrade",),
    ("downgrade",),
    ("recreate",),
    ("delete-db",),
)
EXISTS = "SELECT 1 FROM pg_database WHERE datname = %s"


@pytest.fixture
def pending(migrated: Project) -> Project:
    """A project with three applied revisions, a row in its first table, and a pending revision."""
    migrated.query("INSERT INTO one VALUES (42)")
    migrated.table("0004", "four")
    return migrated


def database_of(project: Project) -> str:
    """Return the name of the project's database."""
    return urlsplit(project.url).path.removeprefix("/")


def timed(project: Project, *arguments: str) -> tuple[Outcome, float]:
    """Run a command and return what it left behind and how many seconds it took."""
    started = time.monotonic()
    outcome = project.run(*arguments)
    return outcome, time.monotonic() - started


# Poolers


@pytest.fixture(scope="module")
def transaction_pooler(server_url: str) -> Iterator[Pooler]:
    """PgBouncer that gives every transaction any free session."""
    pooler = Pooler(server_url, "transaction")
    yield pooler
    pooler.stop()


@pytest.fixture(scope="module")
def statement_pooler(server_url: str) -> Iterator[Pooler]:
    """PgBouncer that gives every statement any free session, and lets nobody begin."""
    pooler = Pooler(server_url, "statement")
    yield pooler
    pooler.stop()


@pytest.fixture(scope="module")
def session_pooler(server_url: str) -> Iterator[Pooler]:
    """PgBouncer that gives every client one session until it leaves."""
    pooler = Pooler(server_url, "session")
    yield pooler
    pooler.stop()


def test_the_pooler_of_these_tests_really_stands_in_between(
    session_pooler: Pooler, server_url: str
) -> None:
    url = session_pooler.url(with_database(server_url, "postgres"))
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid(), current_setting('port')")
        pid, port = cursor.fetchone() or (0, "")
        assert pid != connection.info.backend_pid
        assert port == str(urlsplit(server_url).port)


def test_status_looks_through_a_pooler_in_statement_mode(
    pending: Project, statement_pooler: Pooler
) -> None:
    pending.url = statement_pooler.url(pending.url)
    assert "0004" in pending.run("status").succeeded().out


def refuses_a_transaction_pooler(outcome: Outcome) -> None:
    outcome.failed(1)
    assert "transaction pooler" in outcome.error
    assert "DATABASE_URL" in outcome.hint
    assert "session" in outcome.hint


@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize("command", WRITERS, ids=" ".join)
def test_no_command_writes_through_a_pooler_that_holds_no_session(
    pending: Project, mode: str, command: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    pooler: Pooler = request.getfixturevalue(f"{mode}_pooler")
    direct, before = pending.url, pending.fingerprint()
    pending.url = pooler.url(direct)
    refuses_a_transaction_pooler(pending.run(*command))
    pending.url = direct
    assert pending.fingerprint() == before
    assert pending.query("SELECT id FROM one") == [(42,)]


def test_a_transaction_pooler_gets_no_database_created(
    project: Project, transaction_pooler: Pooler, server_url: str, database_name: str
) -> None:
    project.table("0001", "one")
    project.url = transaction_pooler.url(project.url)
    refuses_a_transaction_pooler(project.run("init"))
    assert query(server_url, EXISTS, database_name) == []


def test_an_empty_database_is_not_even_marked_through_a_transaction_pooler(
    project: Project, transaction_pooler: Pooler, server_url: str, database_name: str
) -> None:
    query(server_url, f"CREATE DATABASE {database_name}")
    project.table("0001", "one")
    direct, before = project.url, project.fingerprint()
    project.url = transaction_pooler.url(direct)
    refuses_a_transaction_pooler(project.run("init"))
    project.url = direct
    assert project.fingerprint() == before


def test_a_transaction_pooler_is_known_under_the_traffic_of_a_service_too(
    pending: Project, transaction_pooler: Pooler
) -> None:
    direct, before = pending.url, pending.fingerprint()
    pending.url = transaction_pooler.url(direct)
    with closing(Traffic(pending.url, clients=3)):
        refuses_a_transaction_pooler(pending.run("init"))
        # Others take and leave the same sessions, so one look may be deceived by chance.
        for _ in range(15):
            with pytest.raises(TransactionPooler):
                pending.prepare("init")
    pending.url = direct
    assert pending.fingerprint() == before


def test_sessions_of_a_transaction_pooler_keep_no_setting_of_ours(
    migrated: Project, transaction_pooler: Pooler
) -> None:
    # PgBouncer resets nothing between transactions: the service would get what we leave behind.
    migrated.url = transaction_pooler.url(migrated.url)
    migrated.run("verify")
    assert left_in_sessions(migrated.url) == []
    migrated.table("0004", "four")
    refuses_a_transaction_pooler(migrated.run("init"))
    assert left_in_sessions(migrated.url) == []


def test_sessions_of_a_transaction_pooler_are_given_no_role(
    migrated: Project, transaction_pooler: Pooler
) -> None:
    migrated.url = transaction_pooler.url(migrated.url)
    migrated.env["DB_OPS_ROLE"] = "pg_monitor"
    for command in ("status", "init"):
        refuses_a_transaction_pooler(migrated.run(command))
    who = [query(migrated.url, "SELECT current_user = session_user") for _ in range(5)]
    assert who == [[(True,)]] * 5


def test_a_url_for_migrations_leads_past_a_transaction_pooler(
    pending: Project, transaction_pooler: Pooler
) -> None:
    direct = pending.env["DB_OPS_MIGRATION_URL"] = pending.url
    pending.url = transaction_pooler.url(direct)
    assert "1 revision applied" in pending.run("upgrade").succeeded().out
    assert "42" in pending.run("shell", "-c", "SELECT id FROM one").succeeded().out


def test_a_session_pooler_keeps_a_role_for_its_client_alone(
    migrated: Project, session_pooler: Pooler, role: str
) -> None:
    migrated.query(f"GRANT CREATE ON SCHEMA public TO {role}")
    migrated.query(f"GRANT ALL ON alembic_version TO {role}")
    direct = migrated.url
    migrated.url = session_pooler.url(direct)
    migrated.env |= {"DB_OPS_ROLE": role, "DB_OPS_RECORDS": "0"}
    migrated.table("0004", "four")
    migrated.run("upgrade").succeeded()
    owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'four'"
    assert query(direct, owner) == [(role,)]
    assert query(migrated.url, "SELECT current_user = session_user") == [(True,)]
    query(direct, f"DROP OWNED BY {role} CASCADE")


def left_in_sessions(url: str) -> list[tuple[object, ...]]:
    """Return the settings that some sessions of a pool have and new ones have not."""
    # What PgBouncer itself keeps for each client.
    tracked = ["application_name", "client_encoding", "DateStyle", "IntervalStyle", "TimeZone"]
    tracked += ["standard_conforming_strings"]
    statement = (
        "SELECT name, setting FROM pg_settings WHERE source = 'session' AND name <> ALL (%s)"
        " ORDER BY name"
    )
    left = []
    with ExitStack() as clients:
        for _ in range(4):
            client = clients.enter_context(closing(psycopg2.connect(url)))
            with client.cursor() as cursor:
                cursor.execute(statement, (tracked,))
                left += cursor.fetchall()
    return left


def test_status_looks_through_a_transaction_pooler(
    pending: Project, transaction_pooler: Pooler
) -> None:
    pending.url = transaction_pooler.url(pending.url)
    assert "0004" in pending.run("status").succeeded().out


def test_migrations_run_through_a_session_pooler(
    project: Project, session_pooler: Pooler, server_url: str, database_name: str
) -> None:
    query(server_url, f"CREATE DATABASE {database_name}")
    project.table("0001", "one")
    project.table("0002", "two")
    direct = project.url
    project.url = session_pooler.url(direct)
    assert "2 revisions applied" in project.run("init").succeeded().out
    assert "nothing to do" in project.run("init").succeeded().out
    project.run("downgrade").succeeded()
    assert "1 revision applied" in project.run("upgrade").succeeded().out
    assert "up to date" in project.run("status").succeeded().out
    assert query(direct, "SELECT version_num FROM alembic_version") == [("0002",)]


def test_databases_come_and_go_through_a_session_pooler(
    project: Project, session_pooler: Pooler, server_url: str, database_name: str
) -> None:
    # Once a login has failed, the pooler tries none for a while, and lets clients wait meanwhile.
    project.env["DB_OPS_CONNECT_TIMEOUT"] = "2"
    project.table("0001", "one")
    project.url = session_pooler.url(project.url)
    assert "1 revision applied" in project.run("init").succeeded().out
    project.run("delete-db").succeeded()
    assert query(server_url, EXISTS, database_name) == []


def test_recreate_works_through_a_session_pooler_with_a_connected_service(
    pending: Project, session_pooler: Pooler
) -> None:
    pending.env["DB_OPS_CONNECT_TIMEOUT"] = "2"
    direct = pending.url
    pending.url = session_pooler.url(direct)
    with closing(psycopg2.connect(pending.url)) as service, service.cursor() as cursor:
        cursor.execute("SELECT id FROM one")
        pending.run("recreate").succeeded()
    pending.url = direct
    assert pending.tables == ["alembic_version", "four", "one", "three", "two"]
    assert pending.query("SELECT id FROM one") == []


@pytest.fixture
def small_pooler(server_url: str) -> Iterator[Pooler]:
    """PgBouncer with no more sessions than one command needs, each of them for one client."""
    pooler = Pooler(server_url, "session", size=3)
    yield pooler
    pooler.stop()


def test_a_small_pool_in_session_mode_is_recognised_in_time(
    pending: Project, small_pooler: Pooler
) -> None:
    # PgBouncer does not let a client that waits for a session cancel its statement.
    pending.env["DB_OPS_CONNECT_TIMEOUT"] = "2"
    pending.url = small_pooler.url(pending.url)
    outcome, seconds = timed(pending, "init")
    assert "1 revision applied" in outcome.succeeded().out
    assert seconds < PATIENCE


class Traffic:
    """Clients of a service that run short transactions until closed; errors do not stop them."""

    def __init__(self, url: str, clients: int) -> None:
        self._url = url
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._serve) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(20)

    def _serve(self) -> None:
        while not self._done.wait(0.01):
            try:
                with closing(psycopg2.connect(self._url, connect_timeout=5)) as connection:
                    while not self._done.wait(0.002):
                        with connection, connection.cursor() as cursor:
                            cursor.execute("SELECT pg_sleep(0.003)")
            except psycopg2.Error:
                continue


# Servers that take no writes


@pytest.fixture
def machines(original: Cluster) -> Iterator[ExitStack]:
    """Removes every machine that is pushed on it."""
    with ExitStack() as stack:
        yield stack


def replicated(original: Cluster, machines: ExitStack) -> tuple[Machine, Machine]:
    """Return a primary and its streaming standby, both running; *machines* will remove them."""
    primary = Machine.copy_of(original)
    machines.callback(primary.remove)
    primary.start().ready()
    standby = Machine.standby_of(original, primary)
    machines.callback(standby.remove)
    standby.start().ready()
    return primary, standby


@pytest.fixture(scope="module")
def pair(original: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Machine]]:
    """A primary and its standby, with a migrated database `app`, for tests that write nothing."""
    with ExitStack() as machines:
        primary, standby = replicated(original, machines)
        project = three_revisions(tmp_path_factory.mktemp("first"), primary.url("app"))
        project.prepare("init")
        standby.catch_up(primary)
        yield [primary, standby]


@pytest.fixture
def on_standby(pair: list[Machine], tmp_path: Path) -> Project:
    """A project with a pending revision that is pointed at the standby."""
    project = three_revisions(tmp_path, pair[1].url("app"))
    project.table("0004", "four")
    return project


def three_revisions(folder: Path, url: str) -> Project:
    """Return a project with the revisions of the fixture `migrated`, applied nowhere yet."""
    project = make_project(folder / "project", url)
    for number, name in enumerate(("one", "two", "three"), start=1):
        project.table(f"000{number}", name)
    return project


@pytest.mark.parametrize("command", WRITERS, ids=" ".join)
def test_writers_say_at_once_that_a_standby_takes_no_writes(
    on_standby: Project, command: tuple[str, ...]
) -> None:
    before = on_standby.fingerprint()
    outcome, seconds = timed(on_standby, *command)
    # Through a proxy, it may be the primary of a moment ago: to try again is no mistake.
    outcome.failed(5)
    assert "standby" in outcome.error
    assert "primary" in outcome.hint
    assert "run the same command again" in outcome.hint
    assert seconds < 10
    assert on_standby.fingerprint() == before


def test_init_on_a_standby_does_not_try_to_create_a_database(
    on_standby: Project, pair: list[Machine]
) -> None:
    on_standby.url = pair[1].url("other")
    outcome = on_standby.run("init").failed(5)
    assert "standby" in outcome.error


def test_looking_works_on_a_standby(on_standby: Project) -> None:
    assert "0004" in on_standby.run("status").succeeded().out


def test_a_standby_s_schema_is_that_of_its_primary(pair: list[Machine]) -> None:
    read = []
    for machine in pair:
        with closing(psycopg2.connect(machine.url("app"))) as connection:
            connection.autocommit = True
            read.append((read_schema(connection, grants=True), fingerprint(connection)))
    assert read[0] == read[1]


def test_a_standby_alone_is_waited_for_when_a_primary_is_asked_for(
    on_standby: Project, pair: list[Machine]
) -> None:
    on_standby.url = at_any_of(on_standby.url, pair[1])
    on_standby.env["DB_OPS_WAIT_TIMEOUT"] = "1"
    outcome = on_standby.run("init").failed(5)
    assert "read-write" in outcome.error


@pytest.mark.parametrize("command", WRITERS, ids=" ".join)
def test_writers_say_that_the_session_is_read_only(
    pending: Project, command: tuple[str, ...]
) -> None:
    direct, before = pending.url, pending.fingerprint()
    pending.url = f"{direct}?options=-c%20default_transaction_read_only%3Don"
    outcome = pending.run(*command).failed(1)
    assert "read-only" in outcome.error
    pending.url = direct
    assert pending.fingerprint() == before


@pytest.mark.parametrize("revisions", [0, 1])
def test_an_empty_database_of_a_read_only_session_is_named_as_that(
    project: Project, server_url: str, database_name: str, revisions: int
) -> None:
    query(server_url, f"CREATE DATABASE {database_name}")
    if revisions:
        project.table("0001", "one")
    project.url += "?options=-c%20default_transaction_read_only%3Don"
    said = "does not accept writes: its sessions are read-only"
    assert said in project.run("init").failed(1).error


def test_a_database_that_was_made_read_only_is_not_migrated(
    pending: Project, server_url: str, database_name: str
) -> None:
    query(server_url, f"ALTER DATABASE {database_name} SET default_transaction_read_only = on")
    before = pending.fingerprint()
    for command in ("init", "upgrade", "downgrade"):
        outcome = pending.run(command).failed(1)
        assert "read-only" in outcome.error
        assert "default_transaction_read_only" in outcome.hint
    assert pending.fingerprint() == before


# Several hosts


def test_several_hosts_find_the_primary_before_and_after_a_failover(
    original: Cluster, machines: ExitStack, tmp_path: Path
) -> None:
    primary, standby = replicated(original, machines)
    primary.query("CREATE DATABASE app")
    standby.catch_up(primary)
    project = three_revisions(tmp_path, at_any_of(standby.url("app"), standby, primary))
    assert "3 revisions applied" in project.run("init").succeeded().out
    standby.catch_up(primary)
    primary.stop(signal.SIGQUIT)
    standby.promote()
    project.table("0004", "four")
    assert "1 revision applied" in project.run("upgrade").succeeded().out
    assert query(standby.url("app"), "SELECT version_num FROM alembic_version") == [("0004",)]


def test_a_standby_that_does_not_have_the_new_database_yet_does_not_stop_init(
    original: Cluster, machines: ExitStack, tmp_path: Path
) -> None:
    primary, standby = replicated(original, machines)
    standby.stop()
    standby.settings["recovery_min_apply_delay"] = "3s"
    standby.start().ready()
    # libpq goes on to the next host when one is not writable, not when a database is missing there.
    project = three_revisions(tmp_path, at_any_of(standby.url("app"), standby, primary))
    assert "3 revisions applied" in project.run("init").succeeded().out


def test_a_failover_under_way_is_waited_for(
    original: Cluster, machines: ExitStack, tmp_path: Path
) -> None:
    primary, standby = replicated(original, machines)
    project = three_revisions(tmp_path, at_any_of(standby.url("app"), primary, standby))
    project.run("init").succeeded()
    standby.catch_up(primary)
    primary.stop(signal.SIGQUIT)
    project.table("0004", "four")
    with Command(project, "init") as command:
        command.wait_until_it_says("waiting")
        standby.promote()
        assert "1 revision applied" in command.outcome().succeeded().out
    assert query(standby.url("app"), "SELECT version_num FROM alembic_version") == [("0004",)]


def test_who_holds_the_lock_on_another_server_than_it_would_migrate_migrates_nothing(
    original: Cluster, machines: ExitStack, tmp_path: Path
) -> None:
    old, new = replicated(original, machines)
    project = three_revisions(tmp_path, old.url("app"))
    project.run("init").succeeded()
    new.catch_up(old)
    # What speaks of DISCARD runs in another session than that of the lock.
    project.revision("0004", "op.execute('ALTER TABLE one ADD COLUMN two integer -- DISCARD')")
    project.env["DB_OPS_LOCK_TIMEOUT"] = "1"
    ours = urlsplit(old.url("app"))
    proxy = machines.enter_context(Proxy(ours.hostname or "", ours.port or 0))
    project.url = proxy.url(project.url)
    # Whoever cannot get a table tries again, in a new session.
    with closing(psycopg2.connect(old.url("app"))) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT * FROM one")
        with Command(project, "upgrade") as command:
            command.wait_until_it_says("waits for")
            new.promote()
            proxy.lead_to(new.url("app"))
            outcome = command.outcome().failed(5)
    assert "the primary has changed" in outcome.error
    for machine in (old, new):
        recorded = query(machine.url("app"), "SELECT version_num FROM alembic_version")
        assert recorded == [("0003",)]
    assert "1 revision applied" in project.run("upgrade").succeeded().out


# Servers without a free connection


SMALL = {
    "max_connections": "8",
    "superuser_reserved_connections": "3",
    "max_wal_senders": "0",
    "wal_level": "minimal",
}


@pytest.fixture
def small(original: Cluster, machines: ExitStack) -> Machine:
    """A server with five connections for the role `clerk`, who may create databases."""
    machine = Machine.copy_of(original, **SMALL)
    machines.callback(machine.remove)
    machine.start().ready()
    machine.query("CREATE ROLE clerk LOGIN CREATEDB PASSWORD 'clerk_secret'")
    return machine


@pytest.fixture
def clerks(small: Machine, tmp_path: Path) -> Project:
    """A project of the role `clerk` on the small server."""
    return three_revisions(tmp_path, small.url("app", "clerk", "clerk_secret"))


def occupy(stack: ExitStack, url: str, number: int) -> None:
    """Hold *number* connections until *stack* closes; the server may still be clearing up."""
    deadline = time.monotonic() + 10
    while number:
        try:
            stack.enter_context(closing(psycopg2.connect(url)))
            number -= 1
        except psycopg2.OperationalError:
            assert time.monotonic() < deadline, "the server is full already"
            time.sleep(0.05)


@pytest.mark.parametrize("everything", [False, True], ids=["for_ordinary_roles", "for_everybody"])
def test_a_full_server_is_waited_for(small: Machine, clerks: Project, everything: bool) -> None:
    with ExitStack() as others:
        occupy(others, small.url("postgres", "clerk", "clerk_secret"), 5)
        if everything:
            occupy(others, small.url("postgres"), 3)
        with Command(clerks, "init") as command:
            command.wait_until_it_says("no free connection slot")
            time.sleep(1)
            others.close()
            assert "3 revisions applied" in command.outcome().succeeded().out


def test_a_server_that_stays_full_is_given_up_in_time(small: Machine, clerks: Project) -> None:
    clerks.env["DB_OPS_WAIT_TIMEOUT"] = "1"
    with ExitStack() as others:
        occupy(others, small.url("postgres", "clerk", "clerk_secret"), 5)
        outcome, seconds = timed(clerks, "init")
    outcome.failed(5)
    assert "slot" in outcome.error
    assert "DB_OPS_WAIT_TIMEOUT" in outcome.hint
    assert seconds < 15


def test_a_server_that_becomes_full_during_a_command_is_waited_for(
    small: Machine, clerks: Project
) -> None:
    small.query("CREATE DATABASE app OWNER clerk")
    with ExitStack() as others:
        # One is left: the first connection of `init` gets it, the next one has to wait.
        occupy(others, small.url("postgres", "clerk", "clerk_secret"), 4)
        with Command(clerks, "init") as command:
            command.wait_until_it_says("no free connection slot")
            others.close()
            assert "3 revisions applied" in command.outcome().succeeded().out


def test_a_role_that_has_used_up_its_connections_is_waited_for(
    small: Machine, clerks: Project
) -> None:
    small.query("ALTER ROLE clerk CONNECTION LIMIT 4")
    with ExitStack() as others:
        occupy(others, small.url("postgres", "clerk", "clerk_secret"), 4)
        with Command(clerks, "init") as command:
            command.wait_until_it_says("no free connection slot")
            others.close()
            assert "3 revisions applied" in command.outcome().succeeded().out


def test_what_a_server_says_in_words_is_not_taken_for_a_full_one(
    small: Machine, clerks: Project
) -> None:
    # The words may be in any language, and a name may be in them.
    small.query("CREATE ROLE \"too many connections\" LOGIN PASSWORD 'clerk_secret'")
    clerks.url = small.url("app", "too many connections", "wrong_secret")
    outcome = clerks.run("init").failed(1)
    assert "too many connections" in outcome.error
    assert "waiting" not in outcome.err


# Servers that come and go


@pytest.fixture
def stopped(original: Cluster, machines: ExitStack) -> Machine:
    """A server that is not running yet."""
    machine = Machine.copy_of(original)
    machines.callback(machine.remove)
    return machine


@pytest.fixture
def waiting(stopped: Machine, tmp_path: Path) -> Project:
    """A project on the server that is not running yet."""
    return three_revisions(tmp_path, stopped.url("app"))


def test_a_server_that_starts_after_the_command_is_waited_for(
    stopped: Machine, waiting: Project
) -> None:
    with Command(waiting, "init") as command:
        command.wait_until_it_says("no server answers")
        time.sleep(1)
        stopped.start()
        assert "3 revisions applied" in command.outcome().succeeded().out


def test_a_server_that_is_not_ready_yet_is_waited_for(stopped: Machine, waiting: Project) -> None:
    # A standby that nobody may read answers like any server that replays its log.
    stopped.settings["hot_standby"] = "off"
    (stopped.data / "standby.signal").touch()
    stopped.start()
    with Command(waiting, "init") as command:
        command.wait_until_it_says("starting up")
        stopped.promote()
        assert "3 revisions applied" in command.outcome().succeeded().out


def test_a_server_that_shuts_down_and_comes_back_is_waited_for(
    stopped: Machine, waiting: Project
) -> None:
    stopped.start().ready()
    with closing(psycopg2.connect(stopped.url("postgres"))) as service:
        stopped.shut_down_politely()
        with Command(waiting, "init") as command:
            command.wait_until_it_says("shutting down")
            service.close()
            command.wait_until_it_says("no server answers")
            stopped.stop()
            stopped.start()
            assert "3 revisions applied" in command.outcome().succeeded().out


def test_a_server_that_only_shuts_down_is_given_up_in_time(
    stopped: Machine, waiting: Project
) -> None:
    waiting.env["DB_OPS_WAIT_TIMEOUT"] = "1"
    stopped.start().ready()
    with closing(psycopg2.connect(stopped.url("postgres"))):
        stopped.shut_down_politely()
        outcome, seconds = timed(waiting, "init")
    outcome.failed(5)
    assert "shutting down" in outcome.error
    assert seconds < 15


@pytest.mark.parametrize("way", ["directly", "through_a_pooler", "to_a_primary"])
def test_a_wrong_password_is_not_waited_for(
    project: Project, session_pooler: Pooler, server_url: str, way: str
) -> None:
    # The pooler knows this role only.
    user = urlsplit(server_url).username or ""
    project.url = with_user(project.url, user, "wrong_secret")
    if way == "through_a_pooler":
        project.url = session_pooler.url(project.url)
    if way == "to_a_primary":
        project.url += "?target_session_attrs=read-write"
    project.env["DB_OPS_WAIT_TIMEOUT"] = "50"
    outcome, seconds = timed(project, "init")
    outcome.failed(1)
    assert "authentication failed" in outcome.error
    assert "waiting" not in outcome.err
    assert seconds < 15


# Cables


@pytest.fixture
def proxy(server_url: str) -> Iterator[Proxy]:
    """A proxy in front of the shared server."""
    server = urlsplit(server_url)
    with Proxy(server.hostname or "", server.port or 5432) as proxy:
        yield proxy


def wait_for_sleep(project: Project, server_url: str) -> None:
    """Wait until a session sleeps in the project's database, or in one that is being built."""
    sleeping = (
        "SELECT 1 FROM pg_stat_activity WHERE (datname = %s OR datname LIKE 'db_ops_scratch_%%')"
        " AND state = 'active' AND query LIKE '%%pg_sleep(60)%%'"
    )
    deadline = time.monotonic() + 30
    while not query(server_url, sleeping, database_of(project)):
        assert time.monotonic() < deadline, "no session sleeps"
        time.sleep(0.05)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_after_a_cut_in_the_middle_of_a_migration_the_next_init_ends_at_head(
    project: Project, proxy: Proxy, server_url: str, reset: bool
) -> None:
    project.table("0001", "one")
    slow = project.revision(
        "0002", "op.execute('CREATE TABLE two ()'); op.execute('SELECT pg_sleep(60)')"
    )
    project.table("0003", "three")
    direct = project.url
    query(server_url, f"CREATE DATABASE {database_of(project)}")
    project.url = proxy.url(direct)
    with Command(project, "init") as command:
        wait_for_sleep(project, server_url)
        proxy.cut(reset=reset)
        outcome = command.outcome(20).failed(5)
    assert "connection lost" in outcome.error
    assert "during upgrade of 0002, 1 of 3 applied" in outcome.error
    assert "status" in outcome.hint
    assert query(direct, "SELECT version_num FROM alembic_version") == [("0001",)]
    slow.write_text(slow.read_text().replace("pg_sleep(60)", "1"))
    # The server may not have noticed yet: its old session still holds the table.
    assert "2 revisions applied" in project.run("init").succeeded().out
    assert query(direct, "SELECT version_num FROM alembic_version") == [("0003",)]


def test_after_a_cut_in_the_middle_of_a_downgrade_it_can_be_run_again(
    project: Project, proxy: Proxy, server_url: str
) -> None:
    project.table("0001", "one")
    slow = project.revision(
        "0002",
        "op.execute('CREATE TABLE two ()')",
        "op.execute('DROP TABLE two'); op.execute('SELECT pg_sleep(60)')",
    )
    project.prepare("init")
    project.url = proxy.url(project.url)
    with Command(project, "downgrade") as command:
        wait_for_sleep(project, server_url)
        proxy.cut()
        outcome = command.outcome(20).failed(5)
    assert "connection lost" in outcome.error
    assert "during downgrade of 0002, 0 of 1 reverted" in outcome.error
    assert project.query("SELECT version_num FROM alembic_version") == [("0002",)]
    slow.write_text(slow.read_text().replace("pg_sleep(60)", "1"))
    project.run("downgrade").succeeded()
    assert project.tables == ["alembic_version", "one"]


def test_a_cut_while_waiting_for_the_migration_lock_is_a_clean_failure(
    project: Project, proxy: Proxy, server_url: str
) -> None:
    project.revision("0001", "op.execute('SELECT pg_sleep(60)')")
    direct = project.url
    with Command(project, "init") as holder:
        wait_for_sleep(project, server_url)
        project.url = proxy.url(direct)
        project.root.joinpath("stderr.txt").rename(project.root / "holder.txt")
        with Command(project, "init") as waiter:
            waiter.wait_until_it_says("waiting for")
            proxy.cut()
            outcome = waiter.outcome(20).failed(5)
        assert holder.process.poll() is None
    assert "connection lost" in outcome.error


def test_a_cut_at_any_moment_is_a_clean_failure_that_init_repairs(
    project: Project, proxy: Proxy, server_url: str, database_name: str
) -> None:
    for number in range(1, 4):
        project.table(f"000{number}", f"table_{number}")
    direct = project.url
    project.url = proxy.url(direct)
    project.run("init").succeeded()
    whole, moments, unclean = proxy.answered, 7, []
    for moment in range(moments):
        query(server_url, f"DROP DATABASE {database_name} WITH (FORCE)")
        proxy.answered = 0
        proxy.cut_after = whole * moment // moments
        outcome = project.run("init")
        # A cut while it connects is waited out, one while it works is reported.
        if outcome.code not in (0, 5) or "Traceback" in outcome.err:
            unclean.append(f"cut {moment}: exit {outcome.code}: {outcome.err}")
        project.url = direct
        project.prepare("init")
        assert project.query("SELECT version_num FROM alembic_version") == [("0003",)]
        assert [f"table_{number}" for number in range(1, 4)] == project.tables[1:]
        project.url = proxy.url(direct)
    assert not unclean, "\n".join(unclean)


def test_a_port_that_hangs_up_at_once_is_a_server_that_is_starting(
    project: Project, proxy: Proxy
) -> None:
    project.table("0001", "one")
    project.url = proxy.url(project.url)
    proxy.hangs_up = True
    with Command(project, "init") as command:
        command.wait_until_it_says("waiting")
        time.sleep(0.5)
        proxy.hangs_up = False
        assert "1 revision applied" in command.outcome().succeeded().out
    assert proxy.hung_up


@pytest.mark.parametrize("every", [1, 2, 3])
def test_a_server_that_becomes_ready_between_two_looks_is_waited_for(
    project: Project, proxy: Proxy, every: int
) -> None:
    project.table("0001", "one")
    project.url = proxy.url(project.url)
    proxy.not_yet = (number % every == 0 for number in range(8))
    assert "1 revision applied" in project.run("init").succeeded().out
