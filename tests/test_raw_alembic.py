"""The plain `alembic` command works on the same database with the same settings."""

from __future__ import annotations

from contextlib import closing

import psycopg2

from tests.support.cluster import free_port
from tests.support.command import Command
from tests.support.launcher import Launcher
from tests.support.project import Project
from tests.test_migrating import WITH_NICKNAME, WITHOUT_NICKNAME


def test_alembic_upgrade_and_downgrade(migrated: Project) -> None:
    migrated.table("0004", "four")
    migrated.alembic("upgrade", "head").succeeded()
    assert "four" in migrated.tables
    migrated.alembic("downgrade", "-1").succeeded()
    assert "four" not in migrated.tables
    assert "0003" in migrated.alembic("current").succeeded().out


def test_alembic_waits_for_the_migration_lock_and_says_for_whom(
    migrated: Project, launcher: Launcher
) -> None:
    migrated.table("0004", "four")
    migrated.revision("0005", "op.execute('SELECT pg_advisory_xact_lock(5)')")
    with closing(psycopg2.connect(migrated.url)) as holder, Command(migrated, "upgrade") as ours:
        holder.cursor().execute("SELECT pg_advisory_xact_lock(5)")
        ours.wait_until_it_runs("pg_advisory_xact_lock(5)")
        plain = launcher.start(migrated.root, migrated.env, "alembic", "upgrade", "head")
        plain.wait_until_it_says("waiting for db_ops upgrade")
        holder.rollback()
        ours.outcome().succeeded()
        assert "pg_terminate_backend" in plain.finish(60).succeeded().err


def test_alembic_revision_autogenerate_and_check(project: Project) -> None:
    project.models(WITHOUT_NICKNAME)
    project.run("init").succeeded()
    project.alembic("revision", "--autogenerate", "-m", "create agents").succeeded()
    project.alembic("upgrade", "head").succeeded()
    project.alembic("check").succeeded()
    project.models(WITH_NICKNAME)
    assert project.alembic("check").code != 0


def test_alembic_check_creates_no_version_table(project: Project) -> None:
    project.models(WITHOUT_NICKNAME)
    project.run("init").succeeded()
    assert project.alembic("check").code != 0
    assert project.tables == []


def test_alembic_upgrade_sql_needs_no_server(migrated: Project) -> None:
    migrated.url = "postgresql://nobody@192.0.2.1/nowhere"
    outcome = migrated.alembic("upgrade", "head", "--sql").succeeded()
    assert "CREATE TABLE three" in outcome.out


def test_alembic_on_a_missing_database_is_told_what_to_run(project: Project) -> None:
    outcome = project.alembic("upgrade", "head")
    assert outcome.code != 0
    assert "does not exist" in outcome.err + outcome.out
    assert "db-ops init" in outcome.err + outcome.out
    assert "Traceback" not in outcome.err


def test_alembic_autogenerate_with_empty_metadata_is_refused(migrated: Project) -> None:
    outcome = migrated.alembic("revision", "--autogenerate", "-m", "drops everything")
    assert outcome.code != 0
    assert "metadata of the models is empty" in outcome.err + outcome.out
    assert len(migrated.revision_files) == 3


def test_a_revision_id_that_the_version_table_cannot_hold_is_refused(migrated: Project) -> None:
    migrated.models(WITHOUT_NICKNAME)
    outcome = migrated.alembic("revision", "--autogenerate", "--rev-id", "x" * 33, "-m", "long")
    assert outcome.code != 0
    assert "longer than 32" in outcome.err + outcome.out


def test_alembic_says_once_what_it_waits_for(migrated: Project) -> None:
    migrated.url = f"postgresql://u@127.0.0.1:{free_port()}/app"
    migrated.env["DB_OPS_WAIT_TIMEOUT"] = "2"
    outcome = migrated.alembic("stamp", "head")
    assert outcome.code != 0
    assert outcome.err.count("waiting") == 1
