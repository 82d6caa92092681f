"""Histories that rest on a schema which no revision creates, and who makes it."""

from __future__ import annotations

import pytest

from tests.support.project import Project, query

MODELS = """
class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(sa.String(40))
    email: Mapped[str | None] = mapped_column(sa.String(80))
"""
STAMPS = """
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from models import Base

ENGINE = create_engine("postgresql+psycopg2://nobody@192.0.2.1/elsewhere")


def make():
    Base.metadata.create_all(ENGINE)
    command.stamp(Config("alembic.ini"), "head")
"""
RETURNS = """
from models import Base


def make(connection):
    Base.metadata.create_all(connection)
    return "head"
"""
DUMP = """
from sqlalchemy import text

USERS = "CREATE TABLE users (id serial CONSTRAINT pk_users PRIMARY KEY, name varchar(40))"


def make(connection):
    connection.execute(text(USERS))
"""
COROUTINE = """
from sqlalchemy.ext.asyncio import create_async_engine

from models import Base

ENGINE = create_async_engine("postgresql+asyncpg://nobody@192.0.2.1/elsewhere")


async def make():
    async with ENGINE.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    return ["0002"]
"""


@pytest.fixture
def legacy(project: Project) -> Project:
    """A project whose first revision changes a table that `create_all` once made."""
    project.models(MODELS)
    project.revision(
        "0001",
        "op.add_column('users', sa.Column('email', sa.String(80)))",
        "op.drop_column('users', 'email')",
    )
    project.revision("0002")
    return project


def name_bootstrap(project: Project, source: str) -> None:
    (project.root / "setup_database.py").write_text(source)
    (project.root / "pyproject.toml").write_text(
        '[tool.db_ops]\nbootstrap = "setup_database:make"\n'
    )


def columns(project: Project) -> list[str]:
    rows = project.query(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'users'"
    )
    return sorted(str(row[0]) for row in rows)


def is_planned_on_a_copy(project: Project) -> bool:
    """Tell whether the revision that adds the column is measured, and where is said."""
    said = project.run("upgrade", "--plan").succeeded().out
    sql = project.run("upgrade", "--sql").succeeded().out
    return "measured in a copy of the schema" in said and "phone" in said and "phone" in sql


def test_init_says_that_the_history_does_not_start_from_empty_and_leaves_nothing(
    legacy: Project,
) -> None:
    outcome = legacy.run("init").failed(1)
    assert "the revisions do not start from an empty database: 0001 needs users" in outcome.error
    assert "which no revision creates (alembic/versions/0001.py:" in outcome.error
    assert 'bootstrap = "package.module:function"' in outcome.hint
    assert "does not exist" in legacy.run("status").succeeded().out


@pytest.mark.parametrize("source", [STAMPS, COROUTINE], ids=["stamps", "coroutine"])
def test_engines_and_environments_of_the_bootstrap_use_the_database_that_is_built(
    legacy: Project, source: str
) -> None:
    name_bootstrap(legacy, source)
    outcome = legacy.run("init").succeeded()
    assert "bootstrap  setup_database:make" in outcome.err
    assert "at 0002" in outcome.out
    assert columns(legacy) == ["email", "id", "name"]
    assert legacy.query("SELECT version_num FROM alembic_version") == [("0002",)]


def test_a_bootstrap_that_makes_the_head_serves_every_command(legacy: Project) -> None:
    name_bootstrap(legacy, RETURNS)
    legacy.run("init").succeeded()
    for _ in range(3):
        outcome = legacy.run("verify").succeeded()
        assert "the migrations were left out" in outcome.out
    outcome = legacy.run("create-migration", "-m", "nothing").succeeded()
    assert "the migrations were left out" in outcome.out
    assert "migrations agree" not in outcome.out
    assert "from a template" in legacy.run("recreate").succeeded().out
    legacy.models(MODELS + "    phone: Mapped[str | None] = mapped_column(sa.String(9))\n")
    outcome = legacy.run("verify")
    assert outcome.code == 3
    assert "users.phone: models and database differ" in outcome.out
    assert "migrations " not in outcome.out.partition("next:")[0].partition("users.phone")[2]
    outcome = legacy.run("create-migration", "-m", "p").succeeded()
    assert "the migrations were left out" in outcome.out
    assert "add column users.phone" in outcome.out
    assert is_planned_on_a_copy(legacy)
    legacy.run("upgrade").succeeded()
    assert columns(legacy) == ["email", "id", "name", "phone"]
    legacy.run("verify").succeeded()
    assert "drop column" in legacy.run("downgrade", "--plan").succeeded().out.lower()
    legacy.run("downgrade", "-s", "1").succeeded()
    assert columns(legacy) == ["email", "id", "name"]


def test_revisions_are_compared_where_the_bootstrap_makes_only_their_start(
    legacy: Project,
) -> None:
    name_bootstrap(legacy, DUMP)
    assert "2 revisions applied" in legacy.run("init").succeeded().out
    assert "models, migrations and database agree" in legacy.run("verify").succeeded().out
    legacy.models(MODELS + "    phone: Mapped[str | None] = mapped_column(sa.String(9))\n")
    assert "add column users.phone" in legacy.run("create-migration", "-m", "p").succeeded().out
    plan = legacy.run("upgrade", "--plan").succeeded().out
    assert "phone" in plan
    assert "CREATE TABLE users" not in plan
    legacy.run("upgrade").succeeded()
    legacy.run("verify").succeeded()


def test_without_a_bootstrap_the_models_are_compared_with_the_database(legacy: Project) -> None:
    server, _, name = legacy.url.rpartition("/")
    query(f"{server}/postgres", f'CREATE DATABASE "{name}"')
    legacy.query("CREATE TABLE users (id serial CONSTRAINT pk_users PRIMARY KEY, name varchar(40))")
    legacy.query("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    legacy.alembic("upgrade", "head").succeeded()
    outcome = legacy.run("verify")
    assert "the migrations were left out, models were compared with the database" in outcome.out
    legacy.query("CREATE VIEW by_hand AS SELECT 1 AS one")
    outcome = legacy.run("create-migration", "-m", "nothing")
    assert outcome.code == 3
    assert "not proven: the migrations were left out" in outcome.out
    assert "agree" not in outcome.out
    legacy.query("DROP VIEW by_hand")
    legacy.models(MODELS + "    phone: Mapped[str | None] = mapped_column(sa.String(9))\n")
    outcome = legacy.run("verify")
    assert outcome.code == 3
    assert "column public.users.phone: models and database differ" in outcome.out
    legacy.run("history", "--record").succeeded()
    outcome = legacy.run("create-migration", "-m", "phone").succeeded()
    assert "add column users.phone" in outcome.out
    assert "the migrations were left out" in outcome.out
    assert is_planned_on_a_copy(legacy)
    legacy.run("upgrade").succeeded()
    assert columns(legacy) == ["email", "id", "name", "phone"]
    assert "the migrations were left out" in legacy.run("verify").succeeded().out


def test_an_empty_database_that_is_there_already_is_bootstrapped_too(legacy: Project) -> None:
    name_bootstrap(legacy, RETURNS)
    server, _, name = legacy.url.rpartition("/")
    query(f"{server}/postgres", f'CREATE DATABASE "{name}"')
    assert "at 0002" in legacy.run("upgrade").succeeded().out
    assert "nothing to do" in legacy.run("init").succeeded().out


def test_a_bootstrap_that_fails_is_named_with_its_line(legacy: Project) -> None:
    name_bootstrap(legacy, "def make():\n    raise RuntimeError('no dump here')\n")
    outcome = legacy.run("init").failed(1)
    assert "setup_database.py:2: the bootstrap of an empty database failed" in outcome.error
    assert "no dump here" in outcome.error
    (legacy.root / "setup_database.py").unlink()
    outcome = legacy.run("init").failed(1)
    assert "setup_database:make: ModuleNotFoundError" in outcome.error
    assert "bootstrap" in outcome.hint


def test_a_bootstrap_that_makes_what_revisions_make_is_told_to_name_the_revision(
    legacy: Project,
) -> None:
    name_bootstrap(legacy, RETURNS.replace('    return "head"\n', ""))
    outcome = legacy.run("init").failed(1)
    assert "let it return the revision that its schema is at" in outcome.hint


def test_a_slip_of_the_pen_is_still_the_revisions(project: Project) -> None:
    project.table("0001", "users")
    project.revision("0002", "op.execute('ALTER TABLE usres ADD COLUMN n int')")
    outcome = project.run("init").failed(1)
    assert "upgrade of 0002 failed" in outcome.error


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE users RENAME CONSTRAINT users_pkey TO pk_users",
        "ALTER TABLE users DISABLE TRIGGER touched",
        "DROP POLICY own ON users",
    ],
)
def test_what_a_table_of_the_same_revision_lacks_is_no_base(
    project: Project, statement: str
) -> None:
    project.models(MODELS)
    create = "op.create_table('users', sa.Column('id', sa.Integer, primary_key=True))"
    project.revision("0001", f"{create}\nop.execute('{statement}')")
    outcome = project.run("init").failed(1)
    assert "upgrade of 0001 failed" in outcome.error


def test_a_misspelt_bootstrap_is_refused_before_anything_runs(legacy: Project) -> None:
    (legacy.root / "pyproject.toml").write_text('[tool.db_ops]\nbootstrap = "setup_database"\n')
    outcome = legacy.run("init").failed(2)
    assert "[tool.db_ops] bootstrap: not written as package.module:function" in outcome.error
