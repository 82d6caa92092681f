"""Kills at random moments: afterwards `init` reaches head, and nothing is lost or left over.

DB_OPS_TEST_KILLS says how many (200): half of them on the client, a twentieth on the whole server,
the rest on its sessions. Kinds, commands and delays come from fixed seeds; what a delay hits does
not.
"""

from __future__ import annotations

import random
import re
import signal
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import sql

from db_ops.settings import DatabaseUrl
from tests.conftest import drop, with_database
from tests.faults.crowd import Crowd, assert_clean, maintenance_of, say
from tests.faults.scale import KILLS
from tests.support.cluster import Cluster
from tests.support.launcher import Forked, Launcher
from tests.support.project import SCHEMA, Project, make_project, query

pytestmark = pytest.mark.faults

# So that several workers can share them.
PARTS = 5
ROWS = 300
BOUND = 60.0
COMMANDS = (("init",), ("upgrade",), ("recreate",), ("downgrade", "-s", "3"))
SIGNALS = {"SIGINT": (signal.SIGINT, 130), "SIGTERM": (signal.SIGTERM, 143)}
MARK = "db_ops environment: development"

_SLEEP = 'op.execute("SELECT pg_sleep(0.05)")'

MODELS = """
class Account(Base):
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(sa.Text, index=True)
    balance: Mapped[int]
    overdraft: Mapped[int] = mapped_column(server_default=sa.text("0"))
    __table_args__ = (sa.CheckConstraint("balance > 0", name="balance"),)


class Movement(Base):
    __tablename__ = "movement"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("account.id"))
"""


def write_revisions(project: Project) -> None:
    """Write four revisions, each long enough to be hit, one of them outside any transaction."""
    project.revision(
        "0001",
        f"""
        op.execute("CREATE TABLE account (id integer CONSTRAINT pk_account PRIMARY KEY,"
                   " name text NOT NULL, balance integer NOT NULL)")
        {_SLEEP}
        """,
        f"""
        {_SLEEP}
        op.execute("DROP TABLE account")
        """,
    )
    project.revision(
        "0002",
        f"""
        op.execute("CREATE TABLE movement (id integer CONSTRAINT pk_movement PRIMARY KEY,"
                   " account_id integer NOT NULL CONSTRAINT fk_movement_account_id_account"
                   " REFERENCES account)")
        {_SLEEP}
        op.execute("ALTER TABLE account ADD COLUMN overdraft integer NOT NULL DEFAULT 0")
        """,
        f"""
        op.execute("ALTER TABLE account DROP COLUMN overdraft")
        {_SLEEP}
        op.execute("DROP TABLE movement")
        """,
    )
    # Reverted inside its transaction: what a DROP INDEX CONCURRENTLY had done before a kill, the
    # version table could not know.
    project.revision(
        "0003",
        f"""
        with op.get_context().autocommit_block():
            op.execute("CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_account_name ON account (name)")
            {_SLEEP}
        """,
        f"""
        op.execute("DROP INDEX ix_account_name")
        {_SLEEP}
        """,
    )
    # Seen twice or never, this would show in every row.
    project.revision(
        "0004",
        f"""
        op.execute("UPDATE account SET balance = balance + 1")
        {_SLEEP}
        op.execute("ALTER TABLE account ADD CONSTRAINT ck_account_balance CHECK (balance > 0)")
        """,
        f"""
        op.execute("ALTER TABLE account DROP CONSTRAINT ck_account_balance")
        {_SLEEP}
        op.execute("UPDATE account SET balance = balance - 1")
        """,
    )


_PORTRAIT = (
    SCHEMA,
    "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid, indisready"
    " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
    "SELECT version_num FROM alembic_version",
    "SELECT shobj_description(oid, 'pg_database') FROM pg_database"
    " WHERE datname = current_database()",
)


def portrait(url: str) -> list[tuple[object, ...]]:
    """Return what an undisturbed database and a healed one must agree on."""
    return execute(url, *_PORTRAIT)


def execute(url: str, *statements: str | sql.Composable) -> list[tuple[object, ...]]:
    """Run *statements* on one connection, in autocommit mode; return the rows of all."""
    rows: list[tuple[object, ...]] = []
    with closing(psycopg2.connect(**DatabaseUrl.parse(url).parameters)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
                rows += cursor.fetchall() if cursor.description else []
    return rows


class Victim:
    """One database, killed again and again; templates of it bring it back to a known state."""

    def __init__(self, server_url: str, folder: Path, launcher: Launcher, seed: int) -> None:
        self.server_url, self.launcher = server_url, launcher
        self.random = random.Random(seed)
        self.name = f"kill_{uuid.uuid4().hex[:12]}"
        self.project = make_project(folder / "project", with_database(server_url, self.name))
        write_revisions(self.project)
        self.project.models(MODELS)
        self.landed: Counter[str] = Counter()
        self.missed = self.healed = 0
        self.failures: list[str] = []
        self.prepare_templates()
        self.durations = {command: self.measure(command) for command in COMMANDS}

    def prepare_templates(self) -> None:
        """Build the two states to begin with, by undisturbed runs."""
        self.run("init")
        self.portrait = portrait(self.project.url)
        assert (MARK,) in self.portrait
        query(self.server_url, self._sql("DROP DATABASE {} WITH (FORCE)"))
        query(self.server_url, self._sql("CREATE DATABASE {}"))
        self.run("upgrade", "-r", "0001")
        self.project.query(
            "INSERT INTO account SELECT n, 'account ' || n, n FROM generate_series(1, %s) n", ROWS
        )
        query(self.server_url, self._sql("CREATE DATABASE {at_first} TEMPLATE {}"))
        self.run("upgrade")
        query(self.server_url, self._sql("CREATE DATABASE {at_head} TEMPLATE {}"))

    def remove(self) -> None:
        for name in (self.name, f"{self.name}_first", f"{self.name}_head"):
            drop(self.server_url, name)

    def begin(self, command: tuple[str, ...]) -> int:
        """Bring the database to where *command* has work to do; return its rows of data."""
        gone = self._sql("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        if command[0] == "init" and self.random.random() < 0.5:
            execute(self.server_url, gone)
            return 0
        at = "at_first" if command[0] in ("init", "upgrade") else "at_head"
        execute(
            self.server_url,
            gone,
            self._sql(f"CREATE DATABASE {{}} TEMPLATE {{{at}}}"),
            self._sql(f"COMMENT ON DATABASE {{}} IS '{MARK}'"),
        )
        return ROWS

    def measure(self, command: tuple[str, ...]) -> float:
        """Return the seconds of an undisturbed run, forked like those that will be killed."""
        self.begin(command)
        started = time.monotonic()
        self.run(*command)
        return time.monotonic() - started

    def start(self, *command: str) -> Forked:
        return self.launcher.start(self.project.root, self.project.env, *command)

    def run(self, *command: str) -> str:
        """Run *command* to its good end; return all that it said."""
        outcome = self.start(*command).finish(BOUND).succeeded()
        return outcome.out + outcome.err

    def kill_once(self, how: str, cluster: Cluster | None = None) -> None:
        """Kill one random command at a random moment, sometimes the next too; then heal."""
        command = self.random.choice(COMMANDS)
        rows = self.begin(command)
        told = [self.disturb(command, how, cluster)]
        while self.random.random() < 0.25:
            # What was left by a kill is killed again on its way back.
            told.append(self.disturb(("init",), how, cluster))
        try:
            self.heal(rows, may_be_empty=command[0] == "recreate")
        except (AssertionError, psycopg2.Error) as error:
            self.failures.append(f"not healed after {how} of {' '.join(told)}\n{error}")
        # All are told together, because which of them comes first is chance.
        assert len(self.failures) < 20, self.told()

    def told(self) -> str:
        """Return the failures and figures so far."""
        figures = f"{dict(self.landed)}, {self.missed} too late, {self.healed} healed"
        return "\n".join([*self.failures, f"{len(self.failures)} failures; {figures}"])

    def disturb(self, command: tuple[str, ...], how: str, cluster: Cluster | None) -> str:
        """Run *command*, and kill it or the server's side of it; return what happened."""
        delay = self.random.uniform(0, self.durations[command])
        process = self.start(*command)
        if how in SIGNALS:
            # Before it is at work, a signal does what it does to any Python program.
            self.wait_for_session(process)
        time.sleep(delay)
        if how in SIGNALS:
            process.send(SIGNALS[how][0])
            hit = process.poll() is None
        elif how == "client":
            hit = process.kill()
        elif how == "terminate":
            hit = self.terminate(process)
        else:
            hit = process.poll() is None
            assert cluster is not None
            crash(cluster, signal.SIGQUIT if how == "quit" else signal.SIGKILL)
        if hit:
            self.landed[how] += 1
        else:
            self.missed += 1
        # A machine is not as fast as when it was measured; one kill in four may come too late.
        self.durations[command] *= 1.03 if hit else 0.9
        outcome = process.finish(BOUND)
        told = f"`{' '.join(command)}` at {delay:.3f} s (exit {outcome.code})"
        if how != "client":
            try:
                # Done, or "try again"; never "the server rejects you", never a traceback.
                assert_clean(outcome, 0, SIGNALS[how][1] if how in SIGNALS else 5)
            except AssertionError as error:
                self.failures.append(f"{how} during {told}\n{error}")
        return told

    def wait_for_session(self, process: Forked) -> None:
        """Wait until *process* has a session, or has ended."""
        mine = "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE %s"
        while process.poll() is None and not query(
            self.server_url, mine, f"db_ops %:{process.pid}"
        ):
            time.sleep(0.002)

    def terminate(self, process: Forked) -> bool:
        """End all sessions of *process*, or one of them; wait for one if it has none yet."""
        several = self.random.random() < 0.5
        while process.poll() is None:
            ended = query(
                self.server_url,
                "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity"
                " WHERE application_name LIKE %s ORDER BY random() LIMIT %s) mine",
                f"db_ops %:{process.pid}",
                100 if several else 1,
            )
            if ended:
                return True
            time.sleep(0.002)
        return False

    def heal(self, rows: int, *, may_be_empty: bool) -> None:
        """Let one `init` bring the database to head; then look at everything."""
        self.run("init")
        self.healed += 1
        assert portrait(self.project.url) == self.portrait
        assert "agree" in self.run("verify")
        account = self.project.query(
            "SELECT count(*), coalesce(sum(balance - id), 0),"
            " count(*) FILTER (WHERE name <> 'account ' || id) FROM account"
        )
        allowed = [[(rows, rows, 0)]] + ([[(0, 0, 0)]] if may_be_empty else [])
        assert account in allowed
        assert self.leftovers() == []
        if self.healed % 10 == 0:
            assert "up to date" in self.run("status", "--check")
            assert "nothing to do" in self.run("init")

    def leftovers(self) -> list[tuple[object, ...]]:
        """Return locks and sessions that remain in the database, once they had time to end."""
        deadline = time.monotonic() + 3
        while True:
            left = query(
                self.server_url,
                "SELECT application_name, state, query, l.mode, l.locktype FROM pg_stat_activity a"
                " LEFT JOIN pg_locks l ON l.pid = a.pid AND l.locktype = 'advisory'"
                " WHERE datname = %s AND a.backend_type = 'client backend'",
                self.name,
            )
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.01)

    def _sql(self, statement: str) -> sql.Composed:
        return sql.SQL(statement).format(
            sql.Identifier(self.name),
            at_first=sql.Identifier(f"{self.name}_first"),
            at_head=sql.Identifier(f"{self.name}_head"),
        )


def crash(cluster: Cluster, number: signal.Signals) -> None:
    """End the server without a checkpoint, then start it again."""
    cluster.process.send_signal(number)
    cluster.process.wait(30)
    deadline = time.monotonic() + 30
    while True:
        try:
            cluster.start()
        except psycopg2.OperationalError:
            # After SIGKILL its children hold the shared memory until they notice.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


@contextmanager
def victim(server_url: str, folder: Path, seed: int) -> Iterator[Victim]:
    with Launcher(folder / "output") as launcher:
        one = Victim(server_url, folder, launcher, seed)
        try:
            yield one
        finally:
            one.remove()


def kill_many(server_url: str, folder: Path, seed: int, client: int, server: int) -> str:
    """Kill until so many kills of both kinds have landed; return the figures."""
    started = time.monotonic()
    with victim(server_url, folder, seed) as one:
        wanted = Counter(client=client, terminate=server)
        while missing := wanted - one.landed:
            one.kill_once(one.random.choice(sorted(missing.elements())))
        assert not one.failures, one.told()
        return f"{one.told()}, {time.monotonic() - started:.0f} s"


@pytest.mark.parametrize("part", range(PARTS))
def test_after_a_kill_at_any_moment_init_reaches_head(
    server_url: str, tmp_path: Path, part: int
) -> None:
    client, server = KILLS // 2, KILLS - KILLS // 2 - restarts()
    say(kill_many(server_url, tmp_path, part, -(-client // PARTS), -(-server // PARTS)))


def restarts() -> int:
    """Return how many of the kills are those of the whole server."""
    return max(2, KILLS // 20)


def test_after_a_crash_of_the_server_at_any_moment_init_reaches_head(tmp_path: Path) -> None:
    cluster = Cluster()
    started = time.monotonic()
    try:
        with victim(cluster.url, tmp_path, 7) as one:
            while one.landed.total() < restarts():
                one.kill_once(one.random.choice(("quit", "kill")), cluster)
            assert not one.failures, one.told()
            say(f"{one.told()}, {time.monotonic() - started:.0f} s")
    finally:
        cluster.remove()


def test_a_signal_at_any_moment_is_told_and_init_reaches_head(
    server_url: str, tmp_path: Path
) -> None:
    with victim(server_url, tmp_path, 11) as one:
        wanted = Counter({name: max(2, KILLS // 20) for name in SIGNALS})
        while missing := wanted - one.landed:
            one.kill_once(one.random.choice(sorted(missing.elements())))
        assert not one.failures, one.told()
        say(one.told())


@pytest.mark.parametrize("killed", ["session", "client"])
@pytest.mark.parametrize(
    "statement",
    [
        'op.execute("CREATE INDEX CONCURRENTLY ix_one_note ON one (note)")',
        'op.execute("CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_one_note ON one (note)")',
        'op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_one_note");'
        ' op.execute("CREATE INDEX CONCURRENTLY ix_one_note ON one (note)")',
        'op.create_index("ix_one_note", "one", ["note"], postgresql_concurrently=True)',
    ],
    ids=["plain", "if-not-exists", "dropped-first", "operation"],
)
def test_an_index_left_invalid_by_a_kill_is_named_and_built_again(
    indexed: Project, statement: str, killed: str
) -> None:
    indexing(indexed, statement)
    with closing(transaction(indexed, "INSERT INTO one VALUES (1, 'open')")), Crowd(indexed) as run:
        process = run.start("init", env={"DB_OPS_LOCK_TIMEOUT": "60"})
        pid = run.wait_for_statement("INDEX CONCURRENTLY")
        wait_for_index(indexed)
        if killed == "client":
            process.kill()
            run.wait_for_end(pid)
        else:
            query(maintenance_of(indexed), "SELECT pg_terminate_backend(%s)", pid)
            assert_clean(run.finish(process), 5)
    assert validity(indexed) == [("ix_one_note", False)]
    outcome = indexed.run("init").succeeded()
    assert validity(indexed) == [("ix_one_note", True)]
    assert re.search(r"ix_one_note.*(invalid|INVALID)|(invalid|INVALID).*ix_one_note", outcome.err)


def test_an_index_left_invalid_by_a_lock_timeout_is_built_again_by_the_next_attempt(
    indexed: Project,
) -> None:
    indexing(
        indexed, 'op.execute("CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_one_note ON one (note)")'
    )
    blocker = transaction(indexed, "INSERT INTO one VALUES (1, 'open')")
    with closing(blocker), Crowd(indexed) as run:
        process = run.start("init", env={"DB_OPS_LOCK_TIMEOUT": "0.5"})
        run.wait_for_output(process, "attempt 2")
        assert ("ix_one_note", True) not in validity(indexed)
        blocker.close()
        run.finish(process).succeeded()
    assert validity(indexed) == [("ix_one_note", True)]


def test_dropping_an_invalid_index_waits_no_longer_than_for_any_other_lock(
    indexed: Project,
) -> None:
    indexed.env |= {"DB_OPS_LOCK_TIMEOUT": "0.5", "DB_OPS_LOCK_RETRIES": "2"}
    indexed.query("INSERT INTO one SELECT n, 'same' FROM generate_series(1, 2) n")
    with pytest.raises(psycopg2.errors.UniqueViolation):
        indexed.query("CREATE UNIQUE INDEX CONCURRENTLY ix_one_note ON one (note)")
    indexing(indexed, 'op.execute("CREATE INDEX CONCURRENTLY ix_one_note ON one (note)")')
    with closing(transaction(indexed, "INSERT INTO one VALUES (7, 'open')")), Crowd(indexed) as run:
        assert_clean(run.finish(run.start("init"), within=20), 5)
    indexed.run("init").succeeded()
    assert validity(indexed) == [("ix_one_note", True)]


def test_invalid_indexes_that_no_pending_revision_names_are_left_alone(indexed: Project) -> None:
    indexed.query("INSERT INTO one SELECT n, 'same' FROM generate_series(1, 2) n")
    for name in ("ix_one_note_other", "one_note", "ix_one_not"):
        with pytest.raises(psycopg2.errors.UniqueViolation):
            indexed.query(f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON one (note)")
    before = validity(indexed)
    assert len(before) == 3
    indexing(indexed, 'op.execute("CREATE INDEX CONCURRENTLY ix_one_note ON one (note)")')
    outcome = indexed.run("init").succeeded()
    assert validity(indexed) == sorted([*before, ("ix_one_note", True)])
    for name, _ in before:
        assert f"REINDEX INDEX CONCURRENTLY {name}" in outcome.err


def test_an_invalid_index_whose_name_is_not_in_the_revision_is_told(indexed: Project) -> None:
    # Not found in the file, and kept by IF NOT EXISTS: nobody would ever know.
    indexed.query("INSERT INTO one SELECT n, 'same' FROM generate_series(1, 2) n")
    with pytest.raises(psycopg2.errors.UniqueViolation):
        indexed.query("CREATE UNIQUE INDEX CONCURRENTLY ix_one_note ON one (note)")
    indexing(
        indexed,
        "op.execute('CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_' + 'one_note ON one (note)')",
    )
    told = re.findall(r"REINDEX INDEX CONCURRENTLY \S+", indexed.run("init").succeeded().err)
    assert told == ["REINDEX INDEX CONCURRENTLY ix_one_note"]
    indexed.query("DELETE FROM one")
    indexed.query(told[0])
    assert validity(indexed) == [("ix_one_note", True)]


def test_a_database_whose_drop_was_interrupted_is_created_anew(
    migrated: Project, server_url: str, database_name: str
) -> None:
    # What DROP DATABASE leaves when the server stops in its middle: PostgreSQL calls it invalid,
    # lets nobody in, and everything but dropping it is forbidden.
    query(server_url, "UPDATE pg_database SET datconnlimit = -2 WHERE datname = %s", database_name)
    outcome = migrated.run("init").succeeded()
    assert "3 revisions applied" in outcome.out
    migrated.run("status", "--check").succeeded()


@pytest.fixture
def indexed(project: Project) -> Project:
    """A project whose table `one` exists, and waits for an index."""
    project.revision(
        "0001",
        "op.execute('CREATE TABLE one (id integer PRIMARY KEY, note text)')",
        "op.execute('DROP TABLE one')",
    )
    project.prepare("init")
    return project


def indexing(project: Project, statement: str) -> None:
    project.revision(
        "0002",
        f"""
        with op.get_context().autocommit_block():
            {statement}
        """,
    )


def transaction(project: Project, statement: str) -> psycopg2.extensions.connection:
    """Return a connection that has run *statement* in a transaction which stays open."""
    connection = psycopg2.connect(**DatabaseUrl.parse(project.url).parameters)
    with connection.cursor() as cursor:
        cursor.execute(statement)
    return connection


def wait_for_index(project: Project) -> None:
    """Wait until the unfinished index shows in the catalog."""
    deadline = time.monotonic() + 20
    while not validity(project):
        assert time.monotonic() < deadline, "the index never showed"
        time.sleep(0.02)


def validity(project: Project) -> list[tuple[object, ...]]:
    """Return the indexes of table `one` but its key, and whether they are valid."""
    return project.query(
        "SELECT indexrelid::regclass::text, indisvalid FROM pg_index"
        " WHERE indrelid = 'one'::regclass AND NOT indisprimary ORDER BY 1"
    )
