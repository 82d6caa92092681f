"""Projects that have never heard of us: every kind with every command, from its own folder."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import pytest

from tests.conftest import drop, with_database
from tests.support.doors import Outcome
from tests.support.foreign import KINDS, ForeignProject, Kind, copy_project

COMMANDS = ("status", "init", "downgrade", "upgrade", "verify", "create-migration")


@dataclass
class Walk:
    """What a newcomer types, in this order, each once; later steps need the earlier ones."""

    project: ForeignProject
    said: dict[str, Outcome] = field(default_factory=dict)

    def __getitem__(self, step: str) -> Outcome:
        _ = self._done
        return self.said[step]

    @cached_property
    def _done(self) -> bool:
        branch = self.project.kind.branch
        self._type("status before", "status")
        self._type("init", "init")
        self._type("status", "status", "--check", "--json")
        self._type("downgrade", "downgrade", *branch)
        self._type("status below", "status", "--check", "--json")
        self._type("upgrade", "upgrade")
        self._type("upgrade again", "upgrade", "--json")
        self._type("verify", "verify")
        self.project.change_model()
        self._type("verify changed", "verify")
        self._type("create-migration", "create-migration", "-m", "count pages", *branch)
        self._type("upgrade to it", "upgrade")
        self._type("verify at last", "verify")
        return True

    def _type(self, step: str, *arguments: str) -> None:
        self.said[step] = self.project.run(*arguments)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: "-".join((kind.name, *kind.options)))
def walk(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, server_url: str
) -> Iterator[Walk]:
    kind: Kind = request.param
    database = f"t_{uuid.uuid4().hex[:12]}"
    root = tmp_path_factory.mktemp("foreign") / kind.name
    yield Walk(copy_project(kind, root, with_database(server_url, database)))
    drop(server_url, database)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_works_from_the_projects_own_configuration(walk: Walk, command: str) -> None:
    heads = walk.project.kind.heads
    if command == "status":
        before = walk["status before"].succeeded().out
        assert "the database does not exist" in before
        assert ", ".join(heads) in before
        assert json.loads(walk["status"].succeeded().out)["current"] == list(heads)
    elif command == "init":
        out = walk["init"].succeeded().out
        assert f"now at {', '.join(heads)}" in out
        assert "marked as development" in out
    elif command == "downgrade":
        assert "1 revision" in walk["downgrade"].succeeded().out or (
            "2 revisions reverted" in walk["downgrade"].out
        )
        assert json.loads(walk["status below"].out)["pending"]
        assert walk["status below"].code == 3
    elif command == "upgrade":
        assert f"now at {', '.join(heads)}" in walk["upgrade"].succeeded().out
        assert json.loads(walk["upgrade again"].succeeded().out)["steps"] == []
    elif command == "verify":
        assert walk.project.kind.agreed in walk["verify"].succeeded().out
        assert walk["verify changed"].code == 3
        assert "pages" in walk["verify changed"].out
    elif not walk.project.kind.writes:
        assert "alembic revision" in walk["create-migration"].failed(2).hint
    else:
        assert "pages" in walk["create-migration"].succeeded().out
        assert "1 revision" in walk["upgrade to it"].succeeded().out or (
            "2 revisions applied" in walk["upgrade to it"].out
        )
        assert walk.project.kind.agreed in walk["verify at last"].succeeded().out
