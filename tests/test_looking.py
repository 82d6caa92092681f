"""`status` and `url`, and what all commands print as JSON."""

from __future__ import annotations

import json

import pytest

from tests.support.project import Project, query


def test_status_tells_where_the_database_stands(migrated: Project, door: str) -> None:
    migrated.table("0004", "four")
    outcome = migrated.run("status", door=door).succeeded()
    assert "marked development" in outcome.out
    assert "current      0003" in outcome.out
    assert "pending      0004  create four" in outcome.out
    assert outcome.out.rstrip().endswith("upgrade")


def test_status_check_exits_3_unless_the_database_is_at_head(project: Project) -> None:
    project.table("0001", "one")
    assert project.run("status", "--check").code == 3
    project.run("init").succeeded()
    project.run("status", "--check").succeeded()
    project.table("0002", "two")
    assert project.run("status", "--check").code == 3
    project.run("status").succeeded()


def test_status_creates_nothing(project: Project, server_url: str, database_name: str) -> None:
    project.table("0001", "one")
    assert "does not exist" in project.run("status").succeeded().out
    assert not query(server_url, "SELECT 1 FROM pg_database WHERE datname = %s", database_name)


def test_status_names_a_revision_that_the_checkout_lacks(migrated: Project) -> None:
    migrated.revision_files[-1].unlink()
    migrated.query("DROP SCHEMA db_ops CASCADE")
    outcome = migrated.run("status", "--check")
    assert outcome.code == 3
    assert "unknown      0003" in outcome.out


def test_url_shows_the_password_only_when_asked(project: Project, door: str) -> None:
    shown = project.run("url", door=door).succeeded().out.strip()
    assert "@" in shown
    full = project.run("url", "--with-password", door=door).succeeded().out.strip()
    assert query(full.replace(full.rpartition("/")[2], "postgres"), "SELECT 1") == [(1,)]
    assert shown == full.replace(":" + full.split("://")[1].split(":", 1)[1].split("@")[0], "", 1)


@pytest.mark.parametrize("command", ["init", "status", "verify", "upgrade", "url", "recreate"])
def test_json_is_one_document_alone_on_stdout(migrated: Project, command: str) -> None:
    migrated.models(
        "class One(Base):\n    __tablename__ = 'one'\n    id: Mapped[int] = "
        "mapped_column(primary_key=True)\n"
    )
    result = json.loads(migrated.run(command, "--json").out)
    assert result["location"]
