"""Views of the server that show another role's sessions in part: NULL is not an answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import psycopg2
import pytest

from db_ops.settings import DatabaseUrl
from tests.conftest import with_user
from tests.support.project import Project, query


@pytest.fixture
def theirs(role: str, project: Project, server_url: str, database_name: str) -> Iterator[Project]:
    """A database of an ordinary role, in which a superuser builds `ix_busy` without an end."""
    query(server_url, f"CREATE DATABASE {database_name} OWNER {role}")
    admin = project.url
    project.url = with_user(admin, role, "role_secret")
    project.table("0001", "mine")
    project.prepare("init")
    project.query("CREATE INDEX ix_left ON mine (id)")
    project.query("CREATE TABLE busy (id int)")
    query(admin, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_left'::regclass")
    parameters = DatabaseUrl.parse(admin).parameters
    with (
        closing(psycopg2.connect(**parameters)) as open_transaction,  # type: ignore[call-overload]  # the stubs want each parameter
        closing(psycopg2.connect(**parameters)) as building,  # type: ignore[call-overload]  # as above
    ):
        open_transaction.cursor().execute("INSERT INTO busy VALUES (1)")
        building.autocommit = True

        def build() -> None:
            with suppress(psycopg2.Error):
                building.cursor().execute("CREATE INDEX CONCURRENTLY ix_busy ON busy (id)")

        thread = threading.Thread(target=build)
        thread.start()
        try:
            deadline = time.monotonic() + 30
            while not query(admin, "SELECT 1 FROM pg_class WHERE relname = 'ix_busy'"):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield project
        finally:
            open_transaction.rollback()
            thread.join()


def test_a_left_index_is_seen_while_another_role_builds_one(theirs: Project) -> None:
    theirs.revision("0002", "op.execute('CREATE INDEX ix_left ON mine (id)')", summary="no ix_busy")
    outcome = theirs.run("upgrade").succeeded()
    assert "dropped ix_left, left INVALID by a failed build" in outcome.err
    assert theirs.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_left'::regclass")
    assert "ix_busy is INVALID" not in outcome.err
    assert theirs.query("SELECT 1 FROM pg_class WHERE relname = 'ix_busy'")


def test_sessions_of_a_role_that_is_shown_in_part_do_not_keep_a_database_from_being_rebuilt(
    project: Project, role: str, server_url: str, database_name: str
) -> None:
    """`recreate` gives the present database another name, which takes that nobody is in it."""
    other = f"{role}_other"
    query(server_url, f"ALTER ROLE {role} CREATEDB")
    query(server_url, f"GRANT pg_signal_backend TO {role}")
    query(server_url, f"CREATE ROLE {other} LOGIN PASSWORD 'role_secret'")
    try:
        theirs = with_user(project.url, other, "role_secret")
        project.url = with_user(project.url, role, "role_secret")
        project.table("0001", "one")
        project.prepare("init")
        parameters = DatabaseUrl.parse(theirs).parameters
        with closing(psycopg2.connect(**parameters)):  # type: ignore[call-overload]  # the stubs want each parameter
            project.run("recreate").succeeded()
    finally:
        query(server_url, f"DROP ROLE {other}")
