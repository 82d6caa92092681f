"""Connections that hang: a route that discards every packet, and tells neither side.

Every command ends within what docs/failover.md says: 25 s after the last packet of a server that
has let it in, and what DB_OPS_CONNECT_TIMEOUT and DB_OPS_WAIT_TIMEOUT say where none does.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

from tests.faults.support.machine import Machine
from tests.faults.support.network import Route
from tests.faults.support.service import until
from tests.support.cluster import Cluster
from tests.support.command import Command
from tests.support.foreign import KINDS, copy_project
from tests.support.launcher import Launcher
from tests.support.project import Project, make_project, query

pytestmark = pytest.mark.faults

# Far above the 25 s, for a busy machine, and far below what TCP allows itself.
BOUND = 120
COMMANDS = (
    ("init",),
    ("upgrade",),
    ("downgrade",),
    ("recreate",),
    ("status",),
    ("verify",),
    ("verify", "--quick"),
    ("history",),
    ("stamp", "head"),
    ("snapshot", "one"),
    ("dump", "dumped.dump"),
    ("create-migration", "-m", "next"),
    ("doctor",),
    ("shell", "-c", "SELECT pg_sleep(900)"),
)


# What says in its own way that the server does not answer.
CODES = {"doctor": 3, "shell -c SELECT pg_sleep(900)": 1}
ACTIVE = (
    "SELECT 1 FROM pg_stat_activity"
    " WHERE state = 'active' AND datname = current_database() AND pid <> pg_backend_pid()"
)
SLEEPS = f"{ACTIVE} AND query = 'SELECT pg_sleep(900)'"
SLEEPING_REVISION = """
from alembic import op

revision, down_revision = "0003", "0002"


def upgrade():
    op.execute("SELECT pg_sleep(900)")


def downgrade():
    pass
"""


@pytest.fixture(scope="module")
def route() -> Iterator[Route]:
    """A route that lets through what comes, so far."""
    with Route() as route:
        yield route


@pytest.fixture(scope="module")
def machine(route: Route) -> Iterator[Machine]:
    """A server at the end of the route, and at 127.0.0.1."""
    cluster = Cluster()
    cluster.stop()
    addresses = f"127.0.0.1,{route.server}"
    machine = Machine.copy_of(cluster, listen_addresses=addresses, max_connections="100")
    with (machine.data / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all {route.network} scram-sha-256\n")
    try:
        machine.start().ready()
        yield machine
    finally:
        machine.remove()
        cluster.remove()


@pytest.fixture
def open_route(route: Route) -> Iterator[Route]:
    """The route, which lets everything through before and after the test."""
    route.discard(False)
    yield route
    route.discard(False)


@pytest.fixture
def distant(machine: Machine, open_route: Route, tmp_path: Path, launcher: Launcher) -> Project:
    """A project with an applied revision and a pending one, at the end of the route."""
    database = f"t_{time.monotonic_ns()}"
    project = make_project(tmp_path / "project", machine.url(database), launcher.run)
    project.env["DB_OPS_ENVIRONMENT"] = "development"
    project.table("0001", "one")
    project.run("init").succeeded()
    project.revision("0002", "op.execute('SELECT pg_sleep(900)')")
    project.url = far(machine, open_route, database)
    return project


def far(machine: Machine, route: Route, database: str) -> str:
    """Return the URL of *database* for those who come from the other end of the route."""
    return machine.url(database).replace("@127.0.0.1:", f"@{route.server}:")


def near(project: Project, route: Route) -> str:
    """Return the URL of its database for this process."""
    return project.url.replace(f"@{route.server}:", "@127.0.0.1:")


def waits(url: str, command: Command) -> bool:
    """Tell whether a session of *command* is at a statement, or it says for whom it waits."""
    statement = (
        "SELECT 1 FROM pg_stat_activity"
        " WHERE application_name ~ %s AND wait_event_type IN ('Lock', 'Timeout')"
    )
    # `shell` has become psql; some work in a process of their own.
    who = "psql" if command.arguments[0] == "shell" else f"^db_ops {command.arguments[0]} "
    return "waiting for" in command.said or bool(query(url, statement, who))


def until_it_sleeps(url: str, command: Command) -> None:
    """Wait until the revision of *command* sleeps in the database at *url*."""
    until(lambda: bool(query(url, SLEEPS)), lambda: command.said)


def started(
    several: Sequence[tuple[str, ...]],
    project: Project,
    route: Route,
    folder: Path,
    stack: ExitStack,
) -> dict[str, Command]:
    """Start *several* commands beyond *route*, each in a copy of *project* in *folder*."""
    commands = {}
    for number, arguments in enumerate(several):
        copy = make_project(folder / str(number), project.url)
        copy.env |= project.env
        copy.copy_files_from(project)
        command = Command(copy, *arguments, wrapper=route.wrapper)
        commands[" ".join(arguments)] = stack.enter_context(command)
    return commands


def test_every_command_ends_when_packets_are_discarded_while_it_waits_for_an_answer(
    distant: Project, machine: Machine, open_route: Route, tmp_path: Path
) -> None:
    # Nothing else ends them.
    for name in ("LOCK_TIMEOUT", "MIGRATION_LOCK_TIMEOUT"):
        distant.env[f"DB_OPS_{name}"] = "900"
    with ExitStack() as stack:
        blocker = stack.enter_context(closing(psycopg2.connect(near(distant, open_route))))
        with blocker.cursor() as cursor:
            cursor.execute("LOCK TABLE alembic_version")
        commands = started(COMMANDS, distant, open_route, tmp_path, stack)
        url = machine.url("postgres")
        # Who waits for another of them before it has said so hangs all the same.
        until(
            lambda: sum(waits(url, command) for command in commands.values()) > len(commands) - 3,
            lambda: f"no wait: {[c.said for c in commands.values() if not waits(url, c)]}",
        )
        open_route.discard()
        ended = {name: command.outcome(BOUND) for name, command in commands.items()}
    for name, outcome in ended.items():
        assert "Traceback" not in outcome.out + outcome.err, name
        assert outcome.code == CODES.get(name, 5), (name, outcome)


def test_every_command_ends_when_packets_are_discarded_before_it_connects(
    distant: Project, open_route: Route, tmp_path: Path
) -> None:
    distant.env |= {"DB_OPS_CONNECT_TIMEOUT": "2", "DB_OPS_WAIT_TIMEOUT": "1"}
    open_route.discard()
    with ExitStack() as stack:
        commands = started((*COMMANDS[:-1], ("delete-db",)), distant, open_route, tmp_path, stack)
        for name, command in commands.items():
            outcome = command.outcome(BOUND)
            assert "Traceback" not in outcome.out + outcome.err, name
            assert outcome.code == CODES.get(name, 5), (name, outcome)
            assert "no answer within 2 s" in outcome.out + outcome.err, name


def test_a_host_whose_packets_are_discarded_is_one_of_several(
    distant: Project, open_route: Route
) -> None:
    # Nobody is there, and nobody says so.
    url = near(distant, open_route)
    here = f"127.0.0.1:{urlsplit(url).port}"
    several = here.replace("127.0.0.1", open_route.client)
    distant.url = url.replace(f"@{here}", f"@{several},{here}")
    distant.env["DB_OPS_CONNECT_TIMEOUT"] = "2"
    open_route.discard()
    assert "0001" in distant.run("status").succeeded().out


def test_a_migrator_out_of_reach_keeps_the_lock_no_longer_than_the_server_waits_for_it(
    distant: Project, open_route: Route, tmp_path: Path, launcher: Launcher
) -> None:
    # The server has something to send, and asks nobody meanwhile whether he is there.
    rows = "SELECT repeat('x', 8000), pg_sleep(0.001) FROM generate_series(1, 900000)"
    sends = f"op.execute('CREATE TABLE two ()')\nop.execute(\"{rows}\")"
    distant.revision("0002", sends, down_revision="0001")
    distant.env["DB_OPS_MIGRATION_LOCK_TIMEOUT"] = str(BOUND)
    other = make_project(tmp_path / "other", near(distant, open_route), launcher.run)
    other.copy_files_from(distant)
    other.env |= {**distant.env, "DATABASE_URL": other.url}
    other.revision("0002", "op.execute('CREATE TABLE two ()')", down_revision="0001")
    with Command(distant, "upgrade", wrapper=open_route.wrapper) as command:
        until(
            lambda: bool(other.query(f"{ACTIVE} AND query LIKE 'SELECT repeat%%' LIMIT %s", 1)),
            lambda: command.said,
        )
        open_route.discard()
        assert "1 revision applied" in other.run("init").succeeded().out
        command.outcome(BOUND).failed(5)
    assert other.query("SELECT version_num FROM alembic_version") == [("0002",)]


def test_ctrl_c_leaves_a_connection_that_hangs(distant: Project, open_route: Route) -> None:
    here = near(distant, open_route)
    distant.url += "?keepalives_idle=900&tcp_user_timeout=900000"
    with Command(distant, "upgrade", wrapper=open_route.wrapper) as command:
        until_it_sleeps(here, command)
        open_route.discard()
        command.send(signal.SIGINT)
        # The request to cancel the statement waits for an answer as well.
        time.sleep(1)
        command.send(signal.SIGINT)
        assert command.outcome(30).code == 130


def test_a_driver_of_the_project_s_own_ends_too(
    machine: Machine, open_route: Route, tmp_path: Path, launcher: Launcher
) -> None:
    kind = next(kind for kind in KINDS if kind.name == "async_asyncpg")
    with ExitStack() as stack:
        commands = []
        for driver in ("asyncpg", "psycopg"):
            here = machine.url(f"t_{time.monotonic_ns()}")
            shop = copy_project(kind, tmp_path / driver, here, launcher)
            shop.env["DB_OPS_ENVIRONMENT"] = "development"
            shop.run("init").succeeded()
            (shop.root / "alembic" / "versions" / "0003.py").write_text(SLEEPING_REVISION)
            url = shop.env["SHOP_DATABASE_URL"].replace("asyncpg", driver)
            shop.env["SHOP_DATABASE_URL"] = url.replace("@127.0.0.1", f"@{open_route.server}")
            command = Command(shop, "upgrade", door="module", wrapper=open_route.wrapper)
            commands.append(stack.enter_context(command))
            until_it_sleeps(here, command)
        open_route.discard()
        for command in commands:
            outcome = command.outcome(BOUND).failed(5)
            assert "during upgrade of 0003, 0 of 1 applied" in outcome.error
