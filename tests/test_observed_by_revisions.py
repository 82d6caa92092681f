"""What a revision can see of its session is what it sees under the plain `alembic` command."""

from __future__ import annotations

import pytest

from tests.conftest import with_database
from tests.support.project import Project, query
from tests.support.session_settings import OURS

STOCK_ENV_PY = """
import os, sys
from pathlib import Path

import sqlalchemy as sa
from alembic import context

sys.path.insert(0, str(Path(__file__).parents[1]))

url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://", 1)
with sa.create_engine(url).connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""
OBSERVER = """
import psycopg2.extensions
import sqlalchemy as sa

SEEN = '''
    SELECT name, setting FROM pg_settings
    UNION ALL SELECT 'schemas', current_schemas(true)::text
    UNION ALL SELECT 'roles', concat_ws(' ', current_user, session_user)
    UNION ALL SELECT 'version', string_agg(version_num, ' ') FROM alembic_version
'''


def observe(op, revision):
    connection = op.get_bind()
    driver = connection.connection.driver_connection
    op.execute("CREATE TABLE IF NOT EXISTS seen (revision text, name text, value text)")
    seen = dict(connection.exec_driver_sql(SEEN).all())
    first = connection.scalar(sa.text("SELECT pg_current_xact_id()::text"))
    again = connection.scalar(sa.text("SELECT pg_current_xact_id()::text"))
    done = connection.execute(sa.text("UPDATE seen SET value = value WHERE revision = :r"),
        {"r": revision})
    seen |= {
        "one transaction": first == again,
        "autocommit": driver.autocommit,
        "isolation": driver.isolation_level,
        "driver": isinstance(driver, psycopg2.extensions.connection),
        "status": driver.info.transaction_status,
        "row count": done.rowcount,
        "result": connection.exec_driver_sql("SELECT 7 AS seven").mappings().one()["seven"],
        "function": op.get_context().opts["fn"].__name__,
        "options": sorted(op.get_context().opts),
        "of another transaction": connection.scalar(
            sa.text("SELECT count(DISTINCT revision) FROM seen")),
    }
    for name, value in seen.items():
        connection.execute(
            sa.text("INSERT INTO seen VALUES (:r, :n, :v)"),
            {"r": revision, "n": name, "v": str(value)},
        )
"""


def observing(project: Project) -> Project:
    (project.root / "observer.py").write_text(OBSERVER)
    for number in range(1, 4):
        name = f"000{number}"
        leaves = "op.execute('SET search_path = public, pg_catalog')" if number == 2 else ""
        project.revision(name, f"import observer\nobserver.observe(op, {name!r})\n{leaves}")
    return project


def seen_by(project: Project) -> set[tuple[object, ...]]:
    return set(project.query("SELECT revision, name, value FROM public.seen"))


@pytest.mark.parametrize("env_py", ["ours", "theirs"])
def test_session_of_a_revision_is_that_of_the_plain_command(
    project: Project, env_py: str, server_url: str
) -> None:
    observing(project)
    path = project.root / "alembic" / "env.py"
    ours, first = path.read_text(), project.url
    path.write_text(STOCK_ENV_PY)
    project.url = with_database(first, f"{first.rpartition('/')[2]}_plain")
    plain_name = project.url.rpartition("/")[2]
    query(server_url, f"CREATE DATABASE {plain_name}")
    try:
        project.alembic("upgrade", "head").succeeded()
        plain = seen_by(project)
    finally:
        query(server_url, f"DROP DATABASE {plain_name} WITH (FORCE)")
    project.url = first
    if env_py == "ours":
        path.write_text(ours)
    project.run("init").succeeded()
    differ = {str(name): (revision, value) for revision, name, value in seen_by(project) ^ plain}
    if env_py == "ours":
        # What it compares by is configured as well.
        del differ["options"]
    assert differ.keys() <= OURS, differ
    assert "lock_timeout" in differ


def test_models_that_only_we_are_told_of_name_nothing_that_a_revision_makes(
    project: Project,
) -> None:
    (project.root / "alembic" / "env.py").write_text(STOCK_ENV_PY)
    (project.root / "pyproject.toml").write_text('[tool.db_ops]\nmodels = ["models"]\n')
    convention = 'metadata = sa.MetaData(naming_convention={"uq": "uq_%(table_name)s"})\n'
    (project.root / "models.py").write_text(
        "import sqlalchemy as sa\nfrom sqlalchemy.orm import DeclarativeBase\n"
        f"class Base(DeclarativeBase):\n    {convention}"
        "class One(Base):\n    __tablename__ = 'one'\n"
        "    id = sa.Column(sa.Integer, primary_key=True)\n"
    )
    project.revision(
        "0001",
        "op.create_table('one', sa.Column('id', sa.Integer, primary_key=True),"
        " sa.Column('two', sa.Integer), sa.UniqueConstraint('two'))",
    )
    project.run("init").succeeded()
    names = project.query(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'one'::regclass AND contype = 'u'"
    )
    assert names == [("one_two_key",)]
