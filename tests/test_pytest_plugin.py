"""The pytest plugin, in a project that has nothing but its own migrations and tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from tests.support.doors import Outcome
from tests.support.project import Project, query

TESTS = """
    import pytest
    from sqlalchemy import text

    @pytest.mark.parametrize("number", range(6))
    def test_alone(engine, number):
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO one VALUES (1)"))

    def test_session(session):
        assert session.execute(text("SELECT version_num FROM alembic_version")).all() == [("0001",)]
"""


@pytest.fixture
def tested(project: Project, server_url: str) -> Project:
    """A project with a table, tests that use the fixtures, and no database of its own."""
    project.table("0001", "one")
    write_tests(project, TESTS)
    project.env["DB_OPS_TEST_URL"] = server_url
    return project


def write_tests(project: Project, source: str) -> None:
    (project.root / "test_it.py").write_text(textwrap.dedent(source))


def run_tests(project: Project, *arguments: str) -> Outcome:
    # The workers of xdist are new interpreters, and learn from the one that starts them.
    alone = "--numprocesses=2" in arguments
    options = ("-q", "-p", "no:cacheprovider", *arguments)
    return project.run(*options, door="pytest", new_interpreter=alone)


def test_databases(server_url: str) -> list[tuple[object, ...]]:
    return query(server_url, "SELECT datname FROM pg_database WHERE datname LIKE 'db_ops_test_%%'")


test_databases.__test__ = False  # type: ignore[attr-defined]  # pytest's way to say so


@pytest.mark.parametrize("arguments", [(), ("--numprocesses=2",)])
def test_each_test_has_a_migrated_database_of_its_own_and_that_of_the_url_is_never_touched(
    tested: Project, server_url: str, database_name: str, arguments: tuple[str, ...]
) -> None:
    assert "7 passed" in run_tests(tested, *arguments).succeeded().out
    assert not query(server_url, "SELECT 1 FROM pg_database WHERE datname = %s", database_name)


def test_production_settings_do_not_matter(tested: Project) -> None:
    tested.env["DB_OPS_ENVIRONMENT"] = "production"
    tested.env["DATABASE_URL"] = "postgresql://nobody@db.invalid/precious"
    assert "7 passed" in run_tests(tested).succeeded().out


def test_a_changed_revision_is_seen_by_the_next_run(tested: Project) -> None:
    run_tests(tested).succeeded()
    tested.table("0002", "two")
    write_tests(
        tested,
        """
        from sqlalchemy import text

        def test_two(session):
            assert session.execute(text("SELECT count(*) FROM two")).scalar() == 0
        """,
    )
    assert "1 passed" in run_tests(tested).succeeded().out


def test_migrations_that_allow_no_template_run_for_each_test(tested: Project) -> None:
    tested.revision("0002", "op.execute('CREATE TABLE d AS SELECT current_database() AS n')")
    write_tests(
        tested,
        """
        from sqlalchemy import text

        def test_one(session):
            assert session.execute(text("SELECT count(*) FROM one")).scalar() == 0
        """,
    )
    assert "1 passed" in run_tests(tested).succeeded().out


def test_a_broken_migration_fails_in_two_lines(tested: Project) -> None:
    tested.revision("0002", "op.execute('SELECT 1/0')")
    outcome = run_tests(tested, "-k", "session")
    assert outcome.code == 1
    assert "upgrade of 0002 failed: division by zero" in outcome.out
    assert "hint: correct alembic/versions/0002.py" in outcome.out
    assert "Traceback" not in outcome.out


def test_a_server_that_is_not_there_fails_and_never_skips(tested: Project) -> None:
    tested.env["DB_OPS_TEST_URL"] = "postgresql://nobody:secret@127.0.0.1:1/none"
    tested.env["DB_OPS_WAIT_TIMEOUT"] = "0"
    outcome = run_tests(tested)
    assert outcome.code == 1
    assert "7 errors" in outcome.out
    assert "127.0.0.1:1/test: no server answers" in outcome.out
    assert "secret" not in outcome.out


def test_what_a_killed_run_leaves_is_swept_by_the_next(tested: Project, server_url: str) -> None:
    write_tests(
        tested,
        """
        import time
        from pathlib import Path

        def test_hangs(database_url):
            Path("name").write_text(database_url.partition("db_ops_test_")[2][:16])
            time.sleep(60)
        """,
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q"],
        cwd=tested.root,
        env={**os.environ, **tested.env},
        stdout=subprocess.DEVNULL,
    )
    said = tested.root / "name"
    deadline = time.monotonic() + 60
    while not (said.exists() and said.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = (f"db_ops_test_{said.read_text()}",)
    assert left in test_databases(server_url)
    write_tests(tested, TESTS)
    run_tests(tested).succeeded()
    assert left not in test_databases(server_url)
