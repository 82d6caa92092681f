"""Who asks Invoke for a dry run loses nothing: what writes refuses, what only looks may run."""

from __future__ import annotations

import pytest

from db_ops.cli.commands import BY_NAME, COMMANDS
from tests.support.doors import BIN, Outcome, run
from tests.support.project import Project


def inv(project: Project, *arguments: str, **env: str) -> Outcome:
    return run([str(BIN / "inv"), *arguments], cwd=project.root, env={**project.env, **env})


@pytest.mark.parametrize("way", ["before", "short", "after", "file", "variable"])
def test_a_dry_run_deletes_no_database(migrated: Project, way: str) -> None:
    if way == "file":
        (migrated.root / "invoke.yaml").write_text("run:\n  dry: true\n")
    flags = {"before": ["--dry"], "short": ["-R"]}.get(way, [])
    after = ["--dry"] if way == "after" else []
    env = {"INVOKE_RUN_DRY": "1"} if way == "variable" else {}
    outcome = inv(migrated, *flags, "db.delete-db", *after, **env).failed(2)
    assert "delete-db refused: Invoke was asked for a dry run" in outcome.error
    assert outcome.hint.endswith("inv db.status")
    assert len(migrated.tables) == 4


def test_every_command_that_writes_refuses_and_says_what_shows(migrated: Project) -> None:
    before = migrated.fingerprint()
    for arguments, shows in (
        (["recreate"], "status"),
        (["upgrade"], "upgrade --plan"),
        (["downgrade"], "downgrade --plan"),
        (["snapshot", "one"], "snapshots"),
        (["snapshots", "--drop", "one"], "snapshots"),
        (["undo"], "undo --list"),
        (["history", "--record"], "history"),
        (["create-migration", "-m", "more"], "check-models"),
    ):
        outcome = inv(migrated, "--dry", f"db.{arguments[0]}", *arguments[1:]).failed(2)
        assert outcome.hint.endswith(f"inv db.{shows}"), arguments
    assert migrated.fingerprint() == before
    assert len(migrated.revision_files) == 3


def test_what_only_looks_runs(migrated: Project) -> None:
    before = migrated.fingerprint()
    looks = ["db.status", "db.upgrade", "--sql", "db.downgrade", "--plan", "db.snapshots"]
    outcome = inv(migrated, "--dry", *looks).succeeded()
    assert "up to date" in outcome.out
    assert "revert 1/1" in outcome.out
    assert migrated.fingerprint() == before


def test_every_command_that_may_need_to_be_confirmed_is_declared_to_write() -> None:
    for command in COMMANDS:
        if any(option.name == "confirm" for option in command.options):
            assert command.writes({}), command.name
        if command.shows is not None:
            name, *words = command.shows.split()
            shown = BY_NAME[name]
            flags = {word.removeprefix("--"): True for word in words if word.startswith("--")}
            values = [word for word in words if not word.startswith("--")]
            positionals = [one.parameter for one in shown.positionals]
            # What is named instead must not refuse in its turn.
            given = flags | dict(zip(positionals, values, strict=False))
            assert not shown.writes(given), command.name
