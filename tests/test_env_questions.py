"""An env.py that asks the database something before it configures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cluster import free_port
from tests.support.foreign import KINDS, ForeignProject, copy_project
from tests.support.launcher import Launcher
from tests.support.project import query
from tests.test_known_env_py import loaded

_BY_NAME = {kind.name: kind for kind in reversed(KINDS)}
ENV_PY = """
import os
from alembic import context
from models import Base
import sqlalchemy as sa
from sqlalchemy import MetaData, Table, create_engine, inspect, text

metadata, schema = Base.metadata, None
connectable = create_engine(os.environ["BOOKS_URL"])
with connectable.connect() as connection:
{questions}
    context.configure(
        connection=connection, target_metadata=metadata, version_table_schema=schema
    )
    with context.begin_transaction():
        context.run_migrations()
"""
QUESTIONS = {
    "schemas": """
    assert "public" in inspect(connection).get_schema_names()
""",
    "reflection": """
    Table("pg_tables", MetaData(), autoload_with=connectable, schema="pg_catalog").c.tablename
""",
    "rows": """
    for name, in connection.execute(text("SELECT tablename FROM pg_tables")):
        name.upper()
    if inspect(connectable).has_table("tenants"):
        for number, in connection.execute(text("SELECT count(*) FROM tenants")):
            number + 1
""",
    "version": """
    if connection.dialect.server_version_info < (9, 6):
        raise RuntimeError("too old")
    if connectable.dialect.server_version_info < (9, 6):
        raise RuntimeError("too old")
""",
    "driver": """
    import psycopg2
    with psycopg2.connect(os.environ["BOOKS_URL"]) as direct, direct.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database ORDER BY 1")
        assert "postgres" in [name for name, in cursor.fetchall()]
    direct.close()
""",
}


@pytest.fixture
def books(tmp_path: Path, new_database_url: str, launcher: Launcher) -> ForeignProject:
    return copy_project(_BY_NAME["url_env"], tmp_path / "books", new_database_url, launcher)


def ask(project: ForeignProject, questions: str) -> None:
    text = ENV_PY.replace("{questions}", questions)
    (project.root / "alembic" / "env.py").write_text(text)
    project.env["BOOKS_URL"] = project.url


@pytest.mark.parametrize("questions", QUESTIONS.values(), ids=list(QUESTIONS))
def test_questions_are_answered_before_and_after_the_database_exists(
    books: ForeignProject, questions: str
) -> None:
    ask(books, questions)
    assert "does not exist" in books.run("status").succeeded().out
    assert "now at 0002" in books.run("init").succeeded().out
    query(books.url, "CREATE TABLE tenants (n int)")
    books.change_model()
    outcome = books.run("create-migration", "-m", "pages").succeeded()
    assert "add column books.pages" in outcome.out


def test_what_is_configured_by_an_answer_is_that_of_the_database_and_never_of_the_day_before(
    books: ForeignProject,
) -> None:
    ask(books, '    schema = "kept" if inspect(connection).has_schema("kept") else None\n')
    books.run("init").succeeded()
    query(books.url, "CREATE SCHEMA kept; ALTER TABLE alembic_version SET SCHEMA kept")
    assert "up to date" in books.run("status", "--check").succeeded().out
    query(books.url, "ALTER TABLE kept.alembic_version SET SCHEMA public; DROP SCHEMA kept")
    assert "up to date" in books.run("status", "--check").succeeded().out
    assert "answered by" in books.run("doctor").out


def test_env_py_is_not_run_again_while_the_database_answers_as_before(
    books: ForeignProject,
) -> None:
    schema = '    schema = "kept" if inspect(connection).has_schema("kept") else None\n'
    # Which databases there are, other tests change.
    driver = QUESTIONS["driver"].replace("datname FROM pg_database ORDER BY 1", "'postgres'")
    ask(books, schema + QUESTIONS["rows"] + driver)
    books.run("init").succeeded()
    books.run("init").succeeded()
    assert loaded(books) == []
    query(books.url, "CREATE SCHEMA kept; ALTER TABLE alembic_version SET SCHEMA kept")
    assert "sqlalchemy" in loaded(books)
    assert loaded(books) == []


def test_nothing_that_env_py_says_is_written_while_it_is_only_looked_at(
    books: ForeignProject,
) -> None:
    writes = (
        '    connection.execute(text("CREATE TABLE written (n int)"))\n'
        '    connection.execute(text("SET TRANSACTION READ WRITE"))\n'
        "    connection.commit()\n"
    )
    ask(books, QUESTIONS["schemas"])
    books.run("init").succeeded()
    ask(books, QUESTIONS["schemas"] + writes)
    books.run("status").succeeded()
    assert query(books.url, "SELECT to_regclass('written')::text") == [(None,)]


def test_an_unanswered_question_is_said_where_env_py_fails_on_it(
    tmp_path: Path, launcher: Launcher
) -> None:
    nobody = f"postgresql://app:mistaken@127.0.0.1:{free_port()}/shop"
    project = copy_project(_BY_NAME["url_env"], tmp_path / "books", nobody, launcher)
    ask(project, QUESTIONS["schemas"])
    error = project.run("status").failed(1).error
    assert "it asks the database, which could not be asked: 127.0.0.1:" in error
