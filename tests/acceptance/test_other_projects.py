"""Projects that have never heard of us: every kind with every command, from its own folder."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import drop, with_database
from tests.support.foreign import KINDS, ForeignProject, Kind, copy_project
from tests.support.launcher import Launcher


@pytest.fixture(params=KINDS, ids=lambda kind: "-".join((kind.name, *kind.options)))
def foreign(
    request: pytest.FixtureRequest, tmp_path: Path, server_url: str, launcher: Launcher
) -> Iterator[ForeignProject]:
    kind: Kind = request.param
    database = f"t_{uuid.uuid4().hex[:12]}"
    url = with_database(server_url, database)
    yield copy_project(kind, tmp_path / kind.name, url, launcher)
    drop(server_url, database)


def test_every_command_works_from_the_projects_own_configuration(foreign: ForeignProject) -> None:
    walk_through_every_command(foreign)


def walk_through_every_command(foreign: ForeignProject) -> None:
    walk_to_head_and_back(foreign)
    assert foreign.kind.agreed in foreign.run("verify").succeeded().out
    foreign.change_model()
    changed = foreign.run("verify")
    assert changed.code == 3
    assert "pages" in changed.out
    write_the_migration(foreign)


def walk_to_head_and_back(foreign: ForeignProject) -> None:
    """Type what a newcomer types first."""
    heads, branch = foreign.kind.heads, foreign.kind.branch
    before = foreign.run("status").succeeded().out
    assert "the database does not exist" in before
    assert ", ".join(heads) in before
    out = foreign.run("init").succeeded().out
    assert f"now at {', '.join(heads)}" in out
    assert "marked as development" in out
    status = foreign.run("status", "--check", "--json").succeeded().out
    assert json.loads(status)["current"] == list(heads)
    reverted = foreign.run("downgrade", *branch).succeeded().out
    assert "1 revision" in reverted or "2 revisions reverted" in reverted
    below = foreign.run("status", "--check", "--json")
    assert below.code == 3
    assert json.loads(below.out)["pending"]
    assert f"now at {', '.join(heads)}" in foreign.run("upgrade").succeeded().out
    assert json.loads(foreign.run("upgrade", "--json").succeeded().out)["steps"] == []


def write_the_migration(foreign: ForeignProject) -> None:
    """Type what a newcomer types once a model has changed."""
    created = foreign.run("create-migration", "-m", "count pages", *foreign.kind.branch)
    if not foreign.kind.writes:
        assert "alembic revision" in created.failed(2).hint
        return
    assert "pages" in created.succeeded().out
    applied = foreign.run("upgrade").succeeded().out
    assert "1 revision" in applied or "2 revisions applied" in applied
    assert foreign.kind.agreed in foreign.run("verify").succeeded().out
