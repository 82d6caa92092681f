"""The service of this repository: its models and its history, on a real server."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.launcher import Launcher
from tests.support.project import REPOSITORY, Project


@pytest.fixture
def service(tmp_path: Path, new_database_url: str, launcher: Launcher) -> Project:
    """A copy of this project, so that nothing here writes into the checkout."""
    root = tmp_path / "checkout"
    root.mkdir()
    for name in ("alembic", "scripts"):
        shutil.copytree(REPOSITORY / name, root / name)
    for name in ("alembic.ini", "tasks.py"):
        shutil.copy(REPOSITORY / name, root)
    return Project(root, {"DATABASE_URL": new_database_url}, runner=launcher.run)


def catalog(project: Project) -> list[tuple[object, ...]]:
    """Return every table, constraint, index, type and comment of the service's schema."""
    return project.schema() + project.query(
        "SELECT indexdef, '', '', '' FROM pg_indexes WHERE schemaname = 'public'"
        " UNION ALL SELECT t.typname, e.enumlabel, e.enumsortorder::text, ''"
        " FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid"
        " UNION ALL SELECT c.relname, d.objsubid::text, d.description, ''"
        " FROM pg_description d JOIN pg_class c ON c.oid = d.objoid"
        " WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1, 2, 3"
    )


def test_models_migrations_and_database_agree(service: Project, door: str) -> None:
    service.run("init", door=door).succeeded()
    outcome = service.run("verify", door=door).succeeded()
    assert "models, migrations and database agree" in outcome.out
    assert "agents" in service.tables


def test_nothing_is_left_to_autogenerate(service: Project) -> None:
    service.run("init").succeeded()
    outcome = service.run("create-migration", "-m", "nothing").succeeded()
    assert "no file written" in outcome.out


def test_two_steps_back_and_forth_return_to_the_same_schema(service: Project, door: str) -> None:
    service.run("init").succeeded()
    before = catalog(service)
    service.run("downgrade", "-s", "2", door=door).succeeded()
    assert catalog(service) != before
    service.run("upgrade", door=door).succeeded()
    assert sorted(map(str, catalog(service))) == sorted(map(str, before))


def test_every_revision_goes_back_and_forth(service: Project) -> None:
    outcome = service.run("init", "--from-migrations", "--json").succeeded()
    result = json.loads(outcome.out)
    revisions = [step["revision"]["id"] for step in result["steps"]]
    assert len(revisions) >= 4
    after = {revisions[-1]: catalog(service)}
    for revision in reversed(revisions[:-1]):
        service.run("downgrade").succeeded()
        after[revision] = catalog(service)
    service.run("downgrade").succeeded()
    assert service.tables == ["alembic_version"]
    assert not service.query("SELECT typname FROM pg_type WHERE typtype = 'e'")
    for revision in revisions:
        service.run("upgrade", "-r", revision).succeeded()
        assert sorted(map(str, catalog(service))) == sorted(map(str, after[revision]))


def test_the_plain_alembic_command_agrees(service: Project) -> None:
    service.run("init").succeeded()
    service.alembic("check").succeeded()
    assert "CREATE TABLE agents" in service.alembic("upgrade", "head", "--sql").succeeded().out
    service.alembic("downgrade", "base").succeeded()
    service.alembic("upgrade", "head").succeeded()
    service.run("verify").succeeded()


def test_the_seeds_write_a_hundred_agents_and_ten_thousand_events_once(service: Project) -> None:
    shutil.copy(REPOSITORY / "pyproject.toml", service.root)
    service.run("init").succeeded()
    counts = "SELECT (SELECT count(*) FROM agents), (SELECT count(*) FROM run_events)"
    assert service.query(counts) == [(100, 10_000)]
    assert "nothing to write" in service.run("seed").succeeded().out
    assert service.query(counts) == [(100, 10_000)]
