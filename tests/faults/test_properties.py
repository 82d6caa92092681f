"""Whatever is typed: no traceback, a documented exit code, no password, no statement injected."""

from __future__ import annotations

import ast
import string
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db_ops.errors import ExitCode, MisuseError
from db_ops.settings import DatabaseUrl
from tests.conftest import drop, with_database
from tests.faults.scale import scaled
from tests.support.cluster import Cluster, free_port
from tests.support.doors import Outcome
from tests.support.launcher import Launcher
from tests.support.project import Project, query

pytestmark = pytest.mark.faults

# Deterministic, so that a failure here is the same failure there.
ONCE = settings(
    max_examples=scaled(300, 20),
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

SECRET = "hunter2"
Look = Callable[[], list[tuple[object, ...]]]
storable = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
# What would end a literal, an identifier, a line, a template or a docstring, and go on as code.
BREAKOUTS = st.sampled_from(
    (
        *(
            "'",
            '"',
            "''",
            '""',
            "$$",
            "\\",
            "%",
            "%s",
            "%(x)s",
            ";",
            "--",
            "/*",
            "*/",
            "\n",
            "\r\n",
        ),
        *(
            '"""',
            "${",
            "<%",
            "%>",
            "## ",
            "{",
            "}",
            "{0}",
            "{location}",
            ":x",
            "\x1b[31m",
            "\u2028",
        ),
        *("'; DROP TABLE canary; --", '"; DROP TABLE canary; --', "'); DROP ROLE canary; --"),
        *("'||(SELECT 1/0)||'", "; COMMIT; DROP TABLE canary", "$x$; DROP TABLE canary; $x$"),
        *("host=192.0.2.1", "postgresql://192.0.2.1/x", " dbname=postgres", "' password='x"),
        *("\nimport os\n", "\\N{BULLET}", "\\x41", "\\", "f'{x}'"),
    )
)
hostile = st.one_of(
    st.text(storable, min_size=1, max_size=20),
    st.lists(st.one_of(BREAKOUTS, st.text(storable, max_size=3)), min_size=1, max_size=4).map(
        "".join
    ),
)
names = hostile.filter(
    lambda name: 0 < len(name.encode()) <= 63 and name not in ("template0", "template1")
)
# What a shell can hand over: also bytes that are not UTF-8, which Python shows as lone surrogates.
typed = st.one_of(hostile, st.sampled_from(("\udcff", "x\udc80'; --", "\udce9t\udce9")))
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


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    """A server of these tests' own, on which nothing changes but by them."""
    cluster = Cluster()
    yield cluster.url
    cluster.remove()


@pytest.fixture
def migrated(project: Project) -> Project:
    """A project with three applied revisions, on that server."""
    for number, name in enumerate(("one", "two", "three"), start=1):
        project.table(f"000{number}", name)
    project.prepare("init")
    return project


@pytest.fixture
def canary(server_url: str) -> Iterator[Look]:
    """A function that returns what an injected statement could change, our own databases aside."""
    statements = (
        "CREATE ROLE canary",
        "CREATE TABLE IF NOT EXISTS canary AS SELECT 1 AS alive",
    )
    for statement in statements:
        query(server_url, statement)

    def look() -> list[tuple[object, ...]]:
        return [
            *query(server_url, "SELECT datname, shobj_description(oid, 'pg_database')"
                   " FROM pg_database WHERE datname !~ '^db_ops_(template|scratch)_' ORDER BY 1"),
            *query(server_url, "SELECT rolname, rolsuper, rolconfig FROM pg_roles ORDER BY 1"),
            *query(server_url, "SELECT relname, xmin::text FROM pg_class"
                   " WHERE relnamespace = 'public'::regnamespace ORDER BY 1"),
            *query(server_url, "SELECT setdatabase, setrole, setconfig FROM pg_db_role_setting"),
            *query(server_url, "SELECT alive FROM canary"),
        ]  # fmt: skip

    yield look
    for statement in ("DROP TABLE canary", "DROP ROLE canary"):
        query(server_url, statement)


@settings(ONCE, max_examples=scaled(50, 20))
@given(name=names, environment=st.sampled_from(("development", "staging")))
def test_any_name_that_postgresql_allows_is_created_marked_and_dropped(
    project: Project, server_url: str, canary: Look, name: str, environment: str
) -> None:
    before = canary()
    project.url = with_database(server_url, name)
    project.env["DB_OPS_ENVIRONMENT"] = environment
    project.prepare("init")
    assert set(canary()) - set(before) == {(name, f"db_ops environment: {environment}")}
    project.prepare("delete_db", confirm=name)
    assert canary() == before


@settings(ONCE, max_examples=scaled(60, 20))
@given(message=hostile)
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
    assert path.parent == project.root / "alembic" / "versions"
    tree = ast.parse(path.read_text())
    docstring = ast.get_docstring(tree, clean=False) or ""
    assert docstring.splitlines()[0] == " ".join(message.split())
    kinds = {type(statement) for statement in tree.body}
    assert kinds <= {ast.Expr, ast.Import, ast.ImportFrom, ast.AnnAssign, ast.FunctionDef}
    assert sum(isinstance(statement, ast.Expr) for statement in tree.body) == 1


@settings(ONCE, max_examples=scaled(300, 20))
@given(arguments=st.lists(st.one_of(st.sampled_from(TOKENS), typed), max_size=5))
def test_any_command_line_ends_in_a_documented_exit_code(
    project: Project, launcher: Launcher, arguments: list[str]
) -> None:
    env = {
        "DATABASE_URL": f"postgresql://u:{SECRET}@127.0.0.1:{free_port()}/app",
        "DB_OPS_WAIT_TIMEOUT": "0",
    }
    outcome = launcher.start(project.root, env, *arguments).finish(20)
    ends_as_documented(outcome)


@settings(ONCE, max_examples=scaled(100, 20))
@given(
    command=st.sampled_from(("init", "upgrade -r", "downgrade -s", "recreate --confirm",
                             "delete-db --confirm", "downgrade --confirm", "create-migration -m",
                             "status", "verify", "url")),
    value=typed,
)  # fmt: skip
def test_no_argument_is_taken_for_sql_or_for_another_database(
    migrated: Project, launcher: Launcher, canary: Look, command: str, value: str
) -> None:
    before, tables = canary(), migrated.tables
    outcome = launcher.start(migrated.root, migrated.env, *command.split(), value).finish(20)
    ends_as_documented(outcome)
    assert canary() == before
    assert migrated.tables == tables
    for path in migrated.revision_files[3:]:
        path.unlink()


@settings(ONCE, max_examples=scaled(200, 20))
@given(
    st.dictionaries(
        st.sampled_from(
            (
                *("DATABASE_URL", "DB_OPS_ENVIRONMENT", "DB_OPS_CONNECT_TIMEOUT"),
                *("DB_OPS_WAIT_TIMEOUT", "DB_OPS_LOCK_RETRIES", "DB_OPS_MAINTENANCE_DATABASE"),
                *("DB_OPS_MIGRATION_LOCK_TIMEOUT", "DB_OPS_LOCK_TIMEOUT", "DB_OPS_ALEMBIC_INI"),
                *("DB_OPS_STATEMENT_TIMEOUT", "DATABASE_URL_FILE", "PGHOST", "PGPORT", "PGUSER"),
                *("PGPASSWORD", "PGOPTIONS", "PGSERVICE", "PGSSLMODE", "PGTARGETSESSIONATTRS"),
            )
        ),
        st.one_of(
            st.sampled_from(("", "0", "-1", "nan", "inf", "1e999", "production", "require")),
            typed,
        ),
        max_size=4,
    )
)
def test_any_environment_ends_in_a_documented_exit_code(
    project: Project, launcher: Launcher, environment: dict[str, str]
) -> None:
    env = {
        "DATABASE_URL": f"postgresql://u:{SECRET}@127.0.0.1:{free_port()}/app",
        "DB_OPS_WAIT_TIMEOUT": "0",
        **environment,
    }
    outcome = launcher.start(project.root, env, "status").finish(20)
    ends_as_documented(outcome)
    assert outcome.code


@settings(ONCE, max_examples=scaled(60, 20))
@given(
    st.dictionaries(
        st.sampled_from(
            (
                *("DB_OPS_ENVIRONMENT", "DB_OPS_MAINTENANCE_DATABASE", "DB_OPS_LOCK_TIMEOUT"),
                *("DB_OPS_STATEMENT_TIMEOUT", "DB_OPS_LOCK_RETRIES"),
            )
        ),
        st.one_of(st.sampled_from(("1", "0.5", "staging", "postgres", "prod-eu_1")), typed),
        min_size=1,
    )
)
def test_no_setting_is_taken_for_sql(
    project: Project,
    launcher: Launcher,
    canary: Look,
    database_name: str,
    environment: dict[str, str],
) -> None:
    if not project.revision_files:
        project.table("0001", "one")
    before = canary()
    env = {**project.env, "DB_OPS_WAIT_TIMEOUT": "0", **environment}
    outcome = launcher.start(project.root, env, "init").finish(20)
    ends_as_documented(outcome)
    mark = f"db_ops environment: {environment.get('DB_OPS_ENVIRONMENT', 'development')}"
    made = {(database_name, mark)} if outcome.code == 0 else set()
    assert set(canary()) - set(before) == made
    drop(project.url.rpartition("/")[0] + "/postgres", database_name)
    assert canary() == before


def ends_as_documented(outcome: Outcome) -> None:
    """Assert a documented exit code, no traceback, no password."""
    assert outcome.code in set(ExitCode), outcome
    said = outcome.out + outcome.err
    assert "Traceback" not in said, said
    assert SECRET not in said
