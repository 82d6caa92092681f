"""A real PostgreSQL for the whole run, and a database name, a project, a role for each test."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import pytest
from psycopg2 import sql

from db_ops.postgres.embedded import EmbeddedServer
from tests.support.cluster import Cluster
from tests.support.doors import DOORS
from tests.support.launcher import Launcher
from tests.support.memory import keep_temporary_files_in_memory
from tests.support.project import Project, make_project, query

SERVER_URL = "DB_OPS_TEST_URL"
# Each line names a part of the tests and one of them; those that it does not name are quick, but
# what walks through everything.
LEFT_OUT = Path(__file__).with_name("left_out_of_quick.txt")
ACCEPTANCE = Path(__file__).with_name("acceptance")
Template = Callable[[Callable[[Project], None]], Project]
_cluster = pytest.StashKey[Cluster]()

keep_temporary_files_in_memory()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare `--quick` and `--rest`."""
    named = f"that {LEFT_OUT.name} does not name"
    parser.addoption("--quick", action="store_true", help=f"run the tests {named}")
    reached = "lines or branches that the quick tests do not, and tests/acceptance"
    parser.addoption("--rest", action="store_true", help=f"run the tests that reach {reached}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep, with `--quick` and `--rest`, the parts that are named; all tests without."""
    wanted = {part for part in ("quick", "rest") if config.getoption(f"--{part}")}
    if not wanted:
        return
    lines = (line.split(" ", 1) for line in LEFT_OUT.read_text().splitlines())
    parts = {name: part for part, name in lines}
    kept, left = [], []
    for item in items:
        unnamed = "rest" if ACCEPTANCE in item.path.parents else "quick"
        # All cases of a test have one line, without the cases.
        whole = parts.get(item.nodeid.partition("[")[0], unnamed)
        (kept if parts.get(item.nodeid, whole) in wanted else left).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = kept


def pytest_configure(config: pytest.Config) -> None:
    """Start the server once, before any xdist worker, unless one is given."""
    if not os.environ.get(SERVER_URL) and not hasattr(config, "workerinput"):
        config.stash[_cluster] = Cluster()
        os.environ[SERVER_URL] = config.stash[_cluster].url


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop and remove the server that `pytest_configure` started."""
    cluster = config.stash.get(_cluster, None)
    if cluster is not None:
        cluster.remove()
        del os.environ[SERVER_URL]


class FailureNames:
    """Names each failing test at once, where pytest prints a letter and the rest at the end."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._terminal.write_line("")
            self._terminal.write_line(f"FAILED {report.nodeid} ({report.when})", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Let the process that writes to the terminal, which is no xdist worker, name what fails."""
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if isinstance(terminal, pytest.TerminalReporter):
        session.config.pluginmanager.register(FailureNames(terminal))


@pytest.fixture(scope="session")
def server_url() -> str:
    """The URL of a superuser of the test server."""
    return os.environ[SERVER_URL]


def with_database(url: str, database: str) -> str:
    """Return *url* with another database in it."""
    return urlunsplit(urlsplit(url)._replace(path="/" + quote(database, safe="")))


def with_user(url: str, user: str, password: str) -> str:
    """Return *url* with other credentials in it."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    credentials = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return urlunsplit(urlsplit(url)._replace(netloc=f"{credentials}@{host}"))


@pytest.fixture
def database_name() -> str:
    """The name of a database that no other test uses."""
    return f"t_{uuid.uuid4().hex[:12]}"


@pytest.fixture
def new_database_url(server_url: str, database_name: str) -> Iterator[str]:
    """The URL of a database that does not exist yet, and will not after the test."""
    yield with_database(server_url, database_name)
    drop(server_url, database_name)


def drop(server_url: str, database: str) -> None:
    """Drop *database* whatever is in it, if it exists."""
    statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database))
    query(server_url, statement)


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """A process that has imported the libraries and forks commands."""
    with Launcher(tmp_path_factory.mktemp("launcher")) as launcher:
        yield launcher


@pytest.fixture
def project(tmp_path: Path, new_database_url: str, launcher: Launcher) -> Iterator[Project]:
    """An empty project whose database does not exist yet."""
    project = make_project(tmp_path / "project", new_database_url, launcher.run)
    yield project
    # One that was asked for scratch databases outlives the command.
    EmbeddedServer(project.root / ".db_ops").stop()


@pytest.fixture(scope="session")
def template(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """Builds what a test begins with once in a session, for `Project.copy_from` to copy."""
    built: dict[Callable[[Project], None], Project] = {}

    def build(write: Callable[[Project], None]) -> Project:
        if write not in built:
            name = f"template_{uuid.uuid4().hex[:12]}"
            url = with_database(server_url, name)
            built[write] = make_project(tmp_path_factory.mktemp(name) / "project", url)
            write(built[write])
        return built[write]

    yield build
    for project in built.values():
        drop(server_url, project.url.rpartition("/")[2])


def _three_revisions(project: Project) -> None:
    for number, name in enumerate(("one", "two", "three"), start=1):
        project.table(f"000{number}", name)
    project.prepare("init")


@pytest.fixture
def migrated(project: Project, template: Template) -> Project:
    """A project with three applied revisions that create tables one, two and three."""
    project.copy_from(template(_three_revisions))
    return project


@pytest.fixture
def role(server_url: str) -> Iterator[str]:
    """A role that may log in with the password `role_secret` and nothing else."""
    name = f"r_{uuid.uuid4().hex[:12]}"
    identifier = sql.Identifier(name)
    query(server_url, sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'role_secret'").format(identifier))
    yield name
    owned = query(
        server_url,
        "SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = %s",
        name,
    )
    for (database,) in owned:
        drop(server_url, str(database))
    query(server_url, sql.SQL("DROP ROLE {}").format(identifier))


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> str:
    """Each door of the program in turn."""
    name: str = request.param
    return name
