"""What a revision does beside its own connection: a second one is a session of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.project import Project, query

STOCK_ENV_PY = """
import os, sys
from pathlib import Path

import sqlalchemy as sa
from alembic import context

sys.path.insert(0, str(Path(__file__).parents[1]))

from models import Base

url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://", 1)
with sa.create_engine(url).connect() as connection:
    context.configure(
        connection=connection, target_metadata=Base.metadata, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()
"""
ENGINE = """
import os
url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://", 1)
engine = sa.create_engine(url)
"""
_COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = 'one'::regclass"
# Each opens and closes a second connection.
SECOND = {
    "engine of the connection": "with op.get_bind().engine.connect() as second:\n"
    "    assert second.scalar(sa.text('SELECT 1')) == 1",
    "inspector": "sa.inspect(op.get_bind().engine).get_table_names()",
    "raw connection": "raw = op.get_bind().engine.raw_connection()\n"
    "raw.cursor().execute('SELECT 1')\nraw.close()",
    "engine of its URL": "engine = sa.create_engine(op.get_bind().engine.url)\n"
    "with engine.connect() as second:\n"
    "    assert second.scalar(sa.text('SELECT current_database()')) == engine.url.database",
    "result read after it": "with op.get_bind().engine.begin() as second:\n"
    "    found = second.execute(sa.text('SELECT 7 AS seven'))\n"
    "assert found.mappings().one()['seven'] == 7",
    "disposed engine": "op.get_bind().engine.dispose()",
}


@pytest.fixture(params=["ours", "theirs", "alembic"])
def upgrade(request: pytest.FixtureRequest, project: Project, server_url: str) -> Callable[[], str]:
    """A function that applies all revisions: by our command or the plain one."""
    if request.param == "theirs":
        (project.root / "alembic" / "env.py").write_text(STOCK_ENV_PY)

    def run() -> str:
        if request.param == "alembic":
            name = project.url.rpartition("/")[2]
            query(server_url, f'CREATE DATABASE "{name}"')
            outcome = project.alembic("upgrade", "head")
        else:
            outcome = project.run("init")
        return outcome.out + outcome.err

    return run


@pytest.mark.parametrize("second", SECOND.values(), ids=SECOND)
def test_what_a_revision_has_done_stays_when_it_closes_a_second_connection(
    project: Project, upgrade: Callable[[], str], second: str
) -> None:
    project.revision("0001", f"op.execute('CREATE TABLE one (id integer)')\n{second}")
    said = upgrade()
    assert project.tables == ["alembic_version", "one"], said


def test_a_session_of_the_service_ends_without_what_the_revision_has_done(
    project: Project,
) -> None:
    (project.root / "alembic" / "env.py").write_text(STOCK_ENV_PY)
    project.revision(
        "0001",
        f"op.execute('CREATE TABLE one (id integer)'){ENGINE}"
        "from sqlalchemy.orm import Session\n"
        "with Session(engine) as session:\n"
        "    assert session.scalar(sa.text(\"SELECT to_regclass('one')\")) is None",
    )
    project.run("init").succeeded()
    assert project.tables == ["alembic_version", "one"]


def test_a_second_connection_commits_by_itself_and_sees_what_is_committed(
    project: Project, upgrade: Callable[[], str]
) -> None:
    project.table("0001", "one")
    project.revision(
        "0002",
        "op.execute('CREATE TABLE two (id integer)')\n"
        "with op.get_bind().engine.begin() as second:\n"
        "    assert sa.inspect(second).get_table_names() == ['alembic_version', 'one']\n"
        "    second.execute(sa.text('INSERT INTO one VALUES (1)'))\n"
        "raise RuntimeError('half way')",
    )
    said = upgrade()
    assert "half way" in said
    assert project.query("SELECT id FROM one") == [(1,)]
    assert project.tables == ["alembic_version", "one"]


def test_sessions_beside_a_revision_are_few_and_end_with_it(project: Project) -> None:
    (project.root / "alembic" / "env.py").write_text(STOCK_ENV_PY)
    count = (
        "count = op.get_bind().scalar(sa.text('SELECT count(*) FROM pg_stat_activity'\n"
        "    ' WHERE datname = current_database()'))\n"
    )
    project.revision(
        "0001",
        f"results = []\nfor number in range(12):{ENGINE.replace(chr(10), chr(10) + '    ')}\n"
        "    with engine.begin() as second:\n"
        "        results.append(second.execute(sa.text('SELECT 1')))\n"
        "    assert second.closed and results[-1].scalar() == 1\n"
        f"{count}assert count < 10, count",
    )
    # A session's process ends a moment after it was told to.
    project.revision(
        "0002",
        f"import time\nfor _ in range(100):\n    {count.replace(chr(10), chr(10) + '    ')}\n"
        "    if count < 4:\n        break\n    time.sleep(0.1)\n"
        "assert count < 4, count",
    )
    project.run("init").succeeded()


def test_a_second_connection_keeps_no_transaction_open(
    project: Project, upgrade: Callable[[], str]
) -> None:
    project.table("0001", "one")
    project.revision(
        "0002",
        "with op.get_bind().engine.connect() as second:\n"
        "    second.execute(sa.text('LOCK TABLE one'))\n"
        "op.execute('ALTER TABLE one ADD COLUMN two integer')",
    )
    said = upgrade()
    assert "two" in {name for (name,) in project.query(_COLUMNS)}, said


def test_a_result_that_is_closed_is_no_lost_connection(project: Project) -> None:
    project.revision(
        "0001",
        "cursor = op.get_bind().connection.cursor()\ncursor.close()\ncursor.execute('SELECT 1')",
    )
    error = project.run("init").failed(1).error
    assert "cursor already closed" in error
    assert "versions/0001" in error


def test_a_second_connection_has_the_timeouts_of_the_first_and_is_closed(
    project: Project, upgrade: Callable[[], str]
) -> None:
    project.revision(
        "0001",
        "op.execute('CREATE TABLE one (name text)')\n"
        "asked = sa.text(\"SELECT current_setting('statement_timeout')\")\n"
        "with op.get_bind().engine.connect() as second:\n"
        "    assert second.scalar(asked) == op.get_bind().scalar(asked)\n"
        "    session = second.connection.driver_connection\n"
        "    assert session is not op.get_bind().connection.driver_connection\n"
        "import builtins\n"
        "builtins.beside = session",
    )
    # Under the plain command one run is all of them.
    is_plain = "sys.argv[0].endswith('alembic')"
    project.revision("0002", f"import builtins, sys\nassert builtins.beside.closed or {is_plain}")
    said = upgrade()
    assert project.tables == ["alembic_version", "one"], said
    assert project.query("SELECT version_num FROM alembic_version") == [("0002",)], said


def test_the_name_of_the_database_is_what_its_engine_says(
    project: Project, upgrade: Callable[[], str]
) -> None:
    project.revision(
        "0001",
        "name = op.get_bind().engine.url.database\n"
        'op.execute(f\'ALTER DATABASE "{name}" SET work_mem = "5MB"\')',
    )
    said = upgrade()
    assert project.query("SHOW work_mem") == [("5MB",)], said


def test_a_second_engine_of_the_project_keeps_its_isolation_level_and_its_listeners(
    project: Project,
) -> None:
    (project.root / "alembic" / "env.py").write_text(STOCK_ENV_PY)
    made = ENGINE.replace("engine(url)", "engine(url, isolation_level='AUTOCOMMIT')")
    project.table("0001", "one")
    project.revision(
        "0002",
        f"op.execute('CREATE TABLE two (id integer)')\n{made}"
        "@sa.event.listens_for(engine, 'connect')\n"
        "def set_schema(connection, record):\n"
        "    connection.cursor().execute('SET search_path = pg_temp')\n"
        "    connection.commit()\n"
        "with engine.connect() as second:\n"
        "    assert second.scalar(sa.text('SHOW search_path')) == 'pg_temp'\n"
        "    second.execute(sa.text('CREATE INDEX CONCURRENTLY by_id ON public.one (id)'))\n"
        "assert op.get_bind().scalar(sa.text('SHOW search_path')) != 'pg_temp'\n"
        "raise RuntimeError('half way')",
    )
    outcome = project.run("init")
    assert "half way" in outcome.err
    assert project.tables == ["alembic_version", "one"]
    found = project.query("SELECT tablename FROM pg_indexes WHERE indexname = 'by_id'")
    assert found == [("one",)]


def test_a_plan_of_a_revision_with_a_second_connection_shows_its_statements(
    project: Project,
) -> None:
    project.table("0001", "one")
    project.run("init").succeeded()
    project.revision(
        "0002",
        "op.execute('ALTER TABLE one ADD COLUMN two integer')\n"
        "sa.inspect(op.get_bind().engine).get_table_names()\n"
        "op.execute('ALTER TABLE one ADD COLUMN three integer')",
    )
    outcome = project.run("upgrade", "--plan").succeeded()
    assert "ADD COLUMN two" in outcome.out
    assert "ADD COLUMN three" in outcome.out
