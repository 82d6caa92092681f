"""The doors: one program behind `inv db.*`, `scripts/manage_db.py` and `python -m db_ops`."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.support.doors import BIN, run
from tests.support.project import Project

FLEET = ("downgrade", "history", "init", "status", "upgrade", "verify")
COMMANDS = {
    "branches",
    "cache",
    "check-models",
    "create-migration",
    "delete-db",
    "doctor",
    "diagram",
    "downgrade",
    "dump",
    "history",
    "init",
    "load",
    "new",
    "recreate",
    "restore",
    "seed",
    "shell",
    "snapshot",
    "snapshots",
    "squash",
    "stamp",
    "start",
    "status",
    "stop",
    "undo",
    "upgrade",
    "url",
    "verify",
}


@pytest.mark.parametrize("door", ["inv", "manage_db", "module"])
@pytest.mark.parametrize(
    ("chain", "dropped"),
    [
        (("delete-db", "init"), 0),
        (("init", "delete-db", "init"), 1),
        (("init", "delete-db", "init", "delete-db", "init"), 2),
    ],
)
def test_every_command_of_a_chain_runs_in_the_order_written(
    project: Project, door: str, chain: tuple[str, ...], dropped: int
) -> None:
    project.table("0001", "one")
    outcome = project.run(*chain, door=door).succeeded()
    said = [line.partition(": ")[2] for line in outcome.out.splitlines() if "marked" not in line]
    assert len(said) == len(chain)
    assert len([line for line in said if line == "dropped"]) == dropped
    assert project.tables == ["alembic_version", "one"]


def test_a_failing_command_ends_the_chain(project: Project, door: str) -> None:
    project.run("upgrade", "init", door=door).failed(1)
    assert "does not exist" in project.run("status").succeeded().out


@pytest.mark.parametrize("door", ["manage_db", "module"])
def test_an_unknown_option_is_misuse(project: Project, door: str) -> None:
    outcome = project.run("init", "--bogus", door=door).failed(2)
    assert "--bogus" in outcome.error
    assert "init --help" in outcome.hint


@pytest.mark.parametrize("door", ["manage_db", "module"])
def test_an_unknown_command_is_misuse(project: Project, door: str) -> None:
    assert "frobnicate" in project.run("frobnicate", door=door).failed(2).error


@pytest.mark.parametrize("door", ["manage_db", "module"])
def test_help_lists_every_command_and_only_options_that_mean_something(
    project: Project, door: str
) -> None:
    text = project.run("--help", door=door).succeeded().out
    assert set(re.findall(r"^  ([a-z-]{3,})  ", text, re.MULTILINE)) - {"-x"} >= COMMANDS
    for foreign in ("--pty", "--prompt-for-sudo-password", "--echo", "--warn-only", "--dry"):
        assert foreign not in text


def test_inv_lists_the_same_commands(project: Project) -> None:
    text = run([str(BIN / "inv"), "--list"], cwd=project.root, env={}).succeeded().out
    fleet = {f"fleet.{name}" for name in (*FLEET, "run")}
    assert set(re.findall(r"^  db\.(\S+)", text, re.MULTILINE)) == {*COMMANDS, *fleet, "help"}


def test_hints_name_the_door_that_was_used(project: Project) -> None:
    assert "inv db.init" in project.run("upgrade", door="inv").failed(1).hint
    assert "manage_db.py init" in project.run("upgrade", door="manage_db").failed(1).hint
    assert "python -m db_ops init" in project.run("upgrade", door="module").failed(1).hint


def test_the_completion_script_of_inv_completes_commands_and_flags(project: Project) -> None:
    inv = str(BIN / "inv")
    script = run([inv, "--print-completion-script", "bash"], cwd=project.root, env={}).out
    assert "complete -F" in script
    names = run([inv, "--complete", "--", "inv db."], cwd=project.root, env={}).succeeded().out
    assert {f"db.{command}" for command in COMMANDS} <= set(names.split())
    flags = run([inv, "--complete", "--", "inv db.downgrade --"], cwd=project.root, env={}).out
    assert {"--steps", "--confirm", "--json"} <= set(flags.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import db_ops",
        "import db_ops; db_ops.Settings",
        "import db_ops; db_ops.init",
    ],
)
def test_importing_db_ops_imports_nothing_heavy(statement: str) -> None:
    code = f"{statement}; import sys; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    roots = {name.partition(".")[0] for name in done.stdout.split()}
    assert not roots & {"sqlalchemy", "alembic", "invoke", "rich"}


def test_importing_the_commands_changes_nothing_of_the_process() -> None:
    code = """
import gc, os, signal, sys
from importlib.machinery import SourceFileLoader

def state():
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    return (gc.get_threshold(), gc.get_freeze_count(), gc.isenabled(), handlers, dict(os.environ),
        SourceFileLoader.set_data, sys.dont_write_bytecode, sys.excepthook, sys.meta_path[:])

import invoke
before = state()
import db_ops, db_ops.cli, db_ops.commands.init, db_ops.builds.worker
db_ops.cli.collection
assert state() == before
"""
    subprocess.run([sys.executable, "-c", code], check=True)
