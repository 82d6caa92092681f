"""What whoever waits is told: for whom, since when, what runs there, and what would end it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import with_user
from tests.faults.crowd import Crowd, maintenance_of
from tests.faults.test_locks import FREE_IT, connect, holding, sleeping_once
from tests.support.project import Project, make_project, query

pytestmark = pytest.mark.faults

INDEX = """
with op.get_context().autocommit_block():
    op.execute("CREATE INDEX CONCURRENTLY ix_log ON log (revision)")
"""


@pytest.fixture
def logged(project: Project) -> Project:
    """A project at its second revision, which makes a table `log` for the others."""
    project.revision("0000")
    project.revision(
        "0001", "op.execute('CREATE TABLE log (revision text)')", "op.execute('DROP TABLE log')"
    )
    project.prepare("init")
    return project


def test_every_writer_waits_for_the_lock_and_says_so(logged: Project) -> None:
    logged.env["DB_OPS_MIGRATION_LOCK_TIMEOUT"] = "1.5"
    ours = [("init",), ("upgrade",), ("upgrade", "-r", "0002"), ("downgrade",)]
    plain = [("upgrade", "head"), ("downgrade", "-1"), ("stamp", "0000")]
    with Crowd(logged) as crowd, holding(crowd) as holder:
        before = logged.fingerprint()
        waiters = [crowd.start(*command) for command in ours]
        others = [crowd.start("alembic", *command) for command in plain]
        for one in waiters:
            outcome = crowd.finish(one).failed(5)
            assert f":{holder.process.pid}" in outcome.error, one.command
        for one in others:
            outcome = crowd.finish(one)
            assert outcome.code not in (0, None), one.command
            assert "locked by db_ops init" in outcome.err + outcome.out, one.command
            assert "Traceback" not in outcome.err
        assert logged.fingerprint() == before


def test_two_histories_in_one_database_have_a_lock_each(logged: Project, tmp_path: Path) -> None:
    other = make_project(tmp_path / "other", logged.url)
    other.env["DB_OPS_MIGRATION_LOCK_TIMEOUT"] = "1"
    other.revision("a001")
    ini = other.root / "alembic.ini"
    ini.write_text(ini.read_text().replace("[alembic]", "[alembic]\nversion_table = other_version"))
    with Crowd(logged) as crowd, holding(crowd):
        other.alembic("stamp", "head").succeeded()
    assert logged.query("SELECT version_num FROM other_version") == [("a001",)]


def test_a_waiter_is_told_how_far_an_index_is(logged: Project) -> None:
    logged.revision("0002", INDEX)
    with closing(connect(logged, "nightly-import")) as busy, busy.cursor() as cursor:
        cursor.execute("INSERT INTO log VALUES ('open')")
        with Crowd(logged) as crowd:
            crowd.start("init", env={"DB_OPS_LOCK_TIMEOUT": "60"})
            crowd.wait_for_statement("INDEX CONCURRENTLY")
            waiter = crowd.start("init")
            told = crowd.wait_for_output(waiter, r"waiting for db_ops init .*").group()
            assert "CREATE INDEX CONCURRENTLY ix_log ON log (revision)" in told
            assert "waiting for writers before build" in told
            busy.rollback()
            for outcome in crowd.finish_all(within=60):
                outcome.succeeded()


def test_a_waiter_is_told_where_a_holder_between_two_statements_is(logged: Project) -> None:
    logged.revision(
        "0002", "op.execute(\"INSERT INTO log VALUES ('last')\"); import time; time.sleep(4)"
    )
    with Crowd(logged) as crowd:
        holder = crowd.start("init")
        crowd.wait_for_output(holder, "apply 1/1")
        waiter = crowd.start("init")
        told = crowd.wait_for_output(waiter, r"waiting for db_ops init .*").group()
        assert "idle in transaction after: INSERT INTO log VALUES ('last')" in told
        for outcome in crowd.finish_all(within=60):
            outcome.succeeded()


def test_a_waiter_of_another_role_is_told_what_the_server_shows_it(
    role: str, logged: Project
) -> None:
    logged.query(f"GRANT SELECT ON alembic_version TO {role}")
    with Crowd(logged) as crowd, holding(crowd) as holder:
        url = with_user(logged.url, role, "role_secret")
        env = {"DATABASE_URL": url, "DB_OPS_MIGRATION_LOCK_TIMEOUT": "1"}
        outcome = crowd.finish(crowd.start("init", env=env)).failed(5)
    assert f":{holder.process.pid} (pid" in outcome.error
    assert "of role db_ops_admin" in outcome.error
    assert FREE_IT.search(outcome.hint)


def test_a_blocker_of_another_role_is_named(role: str, logged: Project) -> None:
    logged.env |= {"DB_OPS_LOCK_TIMEOUT": "0.6", "DB_OPS_LOCK_RETRIES": "1"}
    logged.query(f"ALTER TABLE log OWNER TO {role}")
    logged.query(f"GRANT ALL ON alembic_version TO {role}")
    logged.revision("0002", "op.execute('ALTER TABLE log ADD COLUMN note text')")
    with closing(connect(logged, "nightly-report")) as blocker, blocker.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM log")
        pid = blocker.info.backend_pid
        logged.url = with_user(logged.url, role, "role_secret")
        outcome = logged.run("init").failed(5)
    assert f"pid {pid} (nightly-report, of role db_ops_admin" in outcome.error


def test_a_prepared_transaction_that_blocks_is_named(logged: Project) -> None:
    logged.env |= {"DB_OPS_LOCK_TIMEOUT": "0.6", "DB_OPS_LOCK_RETRIES": "1"}
    logged.revision("0002", "op.execute('ALTER TABLE log ADD COLUMN note text')")
    with closing(connect(logged, "two-phase")) as forgotten:
        transaction = forgotten.xid(1, "forgotten", "branch")
        forgotten.tpc_begin(transaction)
        with forgotten.cursor() as cursor:
            cursor.execute("INSERT INTO log VALUES ('prepared')")
        forgotten.tpc_prepare()
        forgotten.reset()
        try:
            outcome = logged.run("init").failed(5)
        finally:
            forgotten.tpc_rollback(transaction)
    assert "pg_prepared_xacts" in outcome.error
    logged.run("init").succeeded()


def test_a_waiter_that_is_interrupted_leaves_the_holder_alone(logged: Project) -> None:
    sleeping_once(logged, "0002", 3)
    with Crowd(logged) as crowd:
        holder = crowd.start("init")
        crowd.wait_for_statement("pg_sleep(3)")
        waiter = crowd.start("init")
        crowd.wait_for_output(waiter, "waiting for")
        waiter.process.terminate()
        assert "nothing was applied" in crowd.finish(waiter, within=20).failed(143).error
        crowd.finish(holder).succeeded()


def test_at_head_one_connection_is_enough_and_nobody_is_waited_for(
    role: str, logged: Project
) -> None:
    # With the only connection that it may have, it can neither hold a lock beside its work nor
    # look twice; an env.py that fails is one that was not run.
    query(maintenance_of(logged), f"ALTER ROLE {role} CONNECTION LIMIT 1")
    logged.query(f"GRANT SELECT ON alembic_version TO {role}")
    logged.env["DB_OPS_WAIT_TIMEOUT"] = "0"
    logged.url = with_user(logged.url, role, "role_secret")
    env_py = logged.root / "alembic" / "env.py"
    env_py.write_text(f"1 / 0\n{env_py.read_text()}")
    assert "nothing to do" in logged.run("init").succeeded().out
    assert "nothing to do" in logged.run("upgrade").succeeded().out
