"""Whatever is typed: no traceback, a documented exit code, no password, no statement injected."""

from __future__ import annotations

import ast
import string
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db_ops.errors import ExitCode, MisuseError
from db_ops.settings import DatabaseUrl
from tests.conftest import with_database
from tests.support.cluster import free_port
from tests.support.doors import command_line, run
from tests.support.project import Project, query

pytestmark = pytest.mark.faults

# Deterministic, so that a failure here is the same failure there.
ONCE = settings(
    max_examples=300,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
FEW = settings(ONCE, max_examples=25)

SECRET = "hunter2"
storable = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
names = st.text(storable, min_size=1, max_size=20).filter(
    lambda name: len(name.encode()) <= 63 and name not in ("template0", "template1")
)
passwords = st.text(storable, max_size=12).map(lambda text: SECRET + text)
hosts = st.sampled_from(("localhost", "db.example.com", "10.0.0.1", "[::1]", "a:1,b:2", "h:5433"))
drivers = st.sampled_from(("postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg2"))
ONE_TABLE = """
class Agent(Base):
    __tablename__ = "agents"
    id: Mapped[int] = mapped_column(primary_key=True)
"""
TOKENS = (
    *("init", "recreate", "delete-db", "create-migration", "upgrade", "downgrade", "verify"),
    *("status", "url", "-m", "-s", "-r", "--confirm", "--json", "--check", "--steps", "--help"),
    *("", " ", "-", "--", "-1", "0", "x", "--bogus", "-z", "--steps=", "--steps=3", "🦆", "'; --"),
)


@ONCE
@given(drivers, names, passwords, hosts, names)
def test_an_escaped_url_keeps_every_part_and_shows_no_password(
    driver: str, user: str, password: str, host: str, database: str
) -> None:
    credentials = f"{quote(user, safe='')}:{quote(password, safe='')}"
    url = DatabaseUrl.parse(f"{driver}://{credentials}@{host}/{quote(database, safe='')}")
    assert url.database == database
    assert url.parameters["user"] == user
    assert url.parameters["password"] == password
    again = DatabaseUrl.parse(url.render(with_password=True))
    assert again.parameters == url.parameters
    for shown in (repr(url), url.server, url.render()):
        assert SECRET not in shown or SECRET in user + database


def said_of(text: str) -> str:
    """Return everything that we would ever say about *text* as a URL."""
    try:
        url = DatabaseUrl.parse(text)
    except MisuseError as error:
        return error.message + error.hint
    return url.location + url.render() + repr(url)


@ONCE
@given(st.text(max_size=12), st.text(string.printable, max_size=12))
def test_an_unescaped_password_is_never_repeated(before: str, after: str) -> None:
    text = f"postgresql://user:{before}{SECRET}{after}@host/database"
    assert SECRET not in said_of(text)


@ONCE
@given(st.text(max_size=60))
def test_any_text_for_a_url_is_parsed_or_is_misuse(text: str) -> None:
    assert said_of(text)


@FEW
@given(name=names)
def test_any_name_that_postgresql_allows_is_created_marked_and_dropped(
    project: Project, server_url: str, name: str
) -> None:
    project.url = with_database(server_url, name)
    project.prepare("init")
    found = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
    assert query(server_url, found, name) == [("db_ops environment: development",)]
    project.prepare("delete_db")
    assert query(server_url, found, name) == []


@FEW
@given(message=st.text(storable, min_size=1, max_size=80))
def test_any_message_becomes_the_docstring_and_nothing_else(project: Project, message: str) -> None:
    project.models(ONE_TABLE)
    for path in project.revision_files:
        path.unlink()
    project.prepare("init")
    try:
        project.prepare("create_migration", message)
    except MisuseError:
        assert not " ".join(message.split()).isprintable() or not message.split()
        return
    (path,) = project.revision_files
    tree = ast.parse(path.read_text())
    docstring = ast.get_docstring(tree, clean=False) or ""
    assert docstring.splitlines()[0] == " ".join(message.split())
    kinds = {type(statement) for statement in tree.body}
    assert kinds <= {ast.Expr, ast.Import, ast.ImportFrom, ast.AnnAssign, ast.FunctionDef}


@settings(ONCE, max_examples=60)
@given(arguments=st.lists(st.sampled_from(TOKENS), max_size=5))
def test_any_command_line_ends_in_a_documented_exit_code(
    project: Project, arguments: list[str]
) -> None:
    environment = {
        "DATABASE_URL": f"postgresql://u:{SECRET}@127.0.0.1:{free_port()}/app",
        "DB_OPS_WAIT_TIMEOUT": "0",
    }
    argv = command_line("manage_db", tuple(arguments), project.root)
    outcome = run(argv, cwd=project.root, env=environment)
    assert outcome.code in set(ExitCode), outcome
    assert "Traceback" not in outcome.err
    assert SECRET not in outcome.out + outcome.err


@settings(ONCE, max_examples=40)
@given(
    st.dictionaries(
        st.sampled_from(
            (
                *("DATABASE_URL", "DB_OPS_ENVIRONMENT", "DB_OPS_CONNECT_TIMEOUT"),
                *("DB_OPS_WAIT_TIMEOUT", "DB_OPS_LOCK_RETRIES", "DB_OPS_MAINTENANCE_DATABASE"),
            )
        ),
        st.one_of(
            st.sampled_from(("", "0", "-1", "nan", "inf", "1e999", "production", SECRET)),
            st.text(storable, max_size=10),
        ),
        max_size=4,
    )
)
def test_any_environment_ends_in_a_documented_exit_code(
    project: Project, environment: dict[str, str]
) -> None:
    env = {
        "DATABASE_URL": f"postgresql://u:{SECRET}@127.0.0.1:{free_port()}/app",
        "DB_OPS_WAIT_TIMEOUT": "0",
        **environment,
    }
    argv = command_line("manage_db", ("delete-db",), project.root)
    outcome = run(argv, cwd=project.root, env=env)
    assert outcome.code in set(ExitCode) - {ExitCode.DONE}, outcome
    assert "Traceback" not in outcome.err
