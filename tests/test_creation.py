"""What keeps a database from being created, copied or dropped, on servers as people run them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest

from db_ops.settings import DatabaseUrl
from tests.conftest import drop, with_database, with_user
from tests.support.cluster import Cluster
from tests.support.project import Project, query


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A server whose template1 may be spoilt."""
    cluster = Cluster()
    yield cluster
    cluster.remove()


@pytest.fixture
def there(project: Project, cluster: Cluster, database_name: str) -> Project:
    """A project on that server, with one revision and no database yet."""
    project.url = with_database(cluster.url, database_name)
    project.table("0001", "one")
    return project


@pytest.fixture
def limited(project: Project, role: str, server_url: str) -> Project:
    """A project of a role that may create databases."""
    query(server_url, f"ALTER ROLE {role} CREATEDB")
    project.url = with_user(project.url, role, "role_secret")
    project.table("0001", "one")
    return project


@contextmanager
def session_in(url: str, seconds: float | None = None) -> Iterator[None]:
    """Keep a session, for a `with` block or so many seconds of it."""
    with closing(psycopg2.connect(url, application_name="the-monitor")) as session:
        timer = threading.Timer(seconds or 600, session.close)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def test_template1_in_use_is_told_with_whom_and_doctor_sees_it_before(
    there: Project, cluster: Cluster
) -> None:
    with session_in(with_database(cluster.url, "template1")):
        outcome = there.run("doctor")
        assert outcome.code == 3
        assert "template1 is in use by pid" in outcome.out
        outcome = there.run("init").failed(5)
        assert "template1 is in use by pid" in outcome.error
        assert "the-monitor" in outcome.error
        query(cluster.url, outcome.hint.partition("end them: ")[2])
        there.run("init").succeeded()
    assert "template1 is in use" not in there.run("doctor").out


def test_a_stale_collation_version_is_told_with_the_cure_and_doctor_sees_it_before(
    there: Project, cluster: Cluster
) -> None:
    if int(str(query(cluster.url, "SHOW server_version_num")[0][0])) < 150000:
        pytest.skip("this version of PostgreSQL records no collation versions")
    template1 = with_database(cluster.url, "template1")
    ((before,),) = query(
        cluster.url, "SELECT datcollversion FROM pg_database WHERE datname = 'template1'"
    )
    statement = "UPDATE pg_database SET datcollversion = %s WHERE datname = 'template1'"
    query(cluster.url, statement, "0.1")
    try:
        outcome = there.run("doctor")
        assert outcome.code == 3
        assert "template1 was made with collation version 0.1" in outcome.out
        outcome = there.run("init").failed(1)
        assert "template1 was made with collation version 0.1" in outcome.error
        cure = outcome.hint.partition("template1: ")[2]
        if before is not None:
            with closing(psycopg2.connect(template1)) as session:
                session.autocommit = True
                for one in cure.split("; "):
                    session.cursor().execute(one)
            there.run("init").succeeded()
    finally:
        query(cluster.url, statement, before)


def test_a_template1_that_is_none_is_not_told_as_a_lack_of_createdb(
    there: Project, cluster: Cluster
) -> None:
    role = "creator"
    query(cluster.url, f"CREATE ROLE {role} LOGIN CREATEDB PASSWORD 'role_secret'")
    query(cluster.url, "ALTER DATABASE template1 IS_TEMPLATE false")
    there.url = with_user(there.url, role, "role_secret")
    try:
        outcome = there.run("init").failed(1)
        assert "may not copy the database 'template1'" in outcome.error
        assert "IS_TEMPLATE true" in outcome.hint
    finally:
        query(cluster.url, "ALTER DATABASE template1 IS_TEMPLATE true")
        query(cluster.url, f"DROP ROLE {role}")


def test_limits_that_a_role_has_for_services_end_no_command_of_ours(
    there: Project, cluster: Cluster
) -> None:
    limited, role = there, "limited"
    query(cluster.url, f"CREATE ROLE {role} LOGIN CREATEDB PASSWORD 'role_secret'")
    limited.url = with_user(limited.url, role, "role_secret")
    for setting in (
        "statement_timeout = '400ms'",
        "idle_session_timeout = '300ms'",
        "idle_in_transaction_session_timeout = '300ms'",
        "lock_timeout = '1ms'",
    ):
        query(cluster.url, f"ALTER ROLE {role} SET {setting}")
    limited.revision("0002", "import time\ntime.sleep(1)\nop.execute('SELECT pg_sleep(0.6)')")
    template1 = with_database(cluster.url, "template1")
    for arguments in (("init",), ("recreate",), ("recreate", "--from-migrations")):
        with session_in(template1, 1.0):
            limited.run(*arguments).succeeded()
    limited.env["DB_OPS_TEST_URL"] = limited.url
    limited.models(
        "class One(Base):\n    __tablename__ = 'one'\n    id: Mapped[int] = "
        "mapped_column(primary_key=True)"
    )
    with session_in(template1, 1.0):
        # It came to the end of its comparison.
        assert "alembic check: no new operations" in limited.run("check-models").out
    limited.run("snapshot", "base").succeeded()
    limited.run("restore", "base").succeeded()
    limited.run("snapshots", "--drop", "base").succeeded()
    limited.run("cache", "--clear").succeeded()


def test_two_roles_have_snapshots_of_one_name(limited: Project, role: str, server_url: str) -> None:
    limited.run("init").succeeded()
    own_url = limited.url
    limited.run("snapshot", "base").succeeded()
    limited.url = with_database(server_url, DatabaseUrl.parse(own_url).database)
    limited.run("snapshot", "base").succeeded()
    limited.run("snapshot", "base").failed(1)
    limited.run("snapshots", "--drop", "base").succeeded()
    limited.url = own_url
    assert "base" in limited.run("snapshots").succeeded().out
    limited.run("snapshots", "--drop", "base").succeeded()


def test_two_roles_have_spares_of_one_database(
    limited: Project, role: str, server_url: str, database_name: str
) -> None:
    limited.env["DB_OPS_SPARE"] = "1"
    own_url = limited.url
    for url in (with_database(server_url, database_name), own_url):
        limited.url = url
        limited.run("init").succeeded()
        owner = DatabaseUrl.parse(url).parameters["user"]
        statement = (
            "SELECT datname FROM pg_database WHERE datname LIKE 'db\\_ops\\_spare%%'"
            " AND pg_get_userbyid(datdba) = %s"
            " AND shobj_description(oid, 'pg_database') LIKE %s"
        )
        deadline = time.monotonic() + 60
        while not query(server_url, statement, owner, f'%"{database_name}"%'):
            assert time.monotonic() < deadline, f"no spare of {owner}"
            time.sleep(0.05)
        limited.run("delete-db").succeeded()
    limited.url = with_database(server_url, database_name)
    limited.run("cache", "--clear").succeeded()
    limited.url = own_url


def test_a_template_that_is_cleared_before_it_is_copied_is_done_without(
    limited: Project, server_url: str, database_name: str
) -> None:
    stop, cleared = threading.Event(), []

    def clear() -> None:
        statement = (
            "SELECT datname FROM pg_database WHERE datname LIKE 'db\\_ops\\_template%%'"
            " AND shobj_description(oid, 'pg_database') LIKE %s"
        )
        with closing(psycopg2.connect(**DatabaseUrl.parse(server_url).parameters)) as session:
            session.autocommit = True
            with session.cursor() as cursor:
                while not stop.is_set():
                    cursor.execute(statement, (f'%"{database_name}"%',))
                    for (name,) in cursor.fetchall():
                        try:
                            cursor.execute(f"DROP DATABASE {name}")
                            cleared.append(name)
                        except psycopg2.Error:
                            pass

    thread = threading.Thread(target=clear)
    thread.start()
    try:
        for command in ("init", "recreate"):
            said = json.loads(limited.run(command, "--json").succeeded().out)
            assert said["origin"]["source"] == "migrations"
    finally:
        stop.set()
        thread.join()
    assert cleared
    assert limited.tables == ["alembic_version", "one"]


def test_a_database_whose_session_may_not_be_ended_is_not_replaced(
    limited: Project, server_url: str, database_name: str
) -> None:
    limited.run("init").succeeded()
    with session_in(with_database(server_url, database_name)):
        outcome = limited.run("recreate", "--from-migrations").failed(1)
        assert "end the sessions that other roles have in it" in outcome.error
    assert limited.tables == ["alembic_version", "one"]
    drop(server_url, database_name)
