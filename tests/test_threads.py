"""No thread of ours outlives the command: one inside libpq while Python ends can crash it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator

import psycopg2
import pytest

from tests.support.doors import Outcome, run
from tests.support.project import Project

_LEFT = "threads left: "
# Handlers of `atexit` run when Python has waited for all threads but the daemons.
_PROGRAM = f"""
import atexit, runpy, sys, threading
atexit.register(lambda: print({_LEFT!r}, threading.enumerate()[1:], file=sys.stderr))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run_counting(project: Project, *arguments: str) -> Outcome:
    """Run a command, and let its process say which threads it leaves behind."""
    script = project.root / "scripts" / "manage_db.py"
    argv = [sys.executable, "-c", _PROGRAM, str(script), *arguments]
    return run(argv, cwd=project.root, env=project.env)


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of somebody who takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    "command",
    [("status",), ("init",), ("upgrade", "-r", "nosuch"), ("verify",), ("downgrade", "-s", "9")],
    ids=" ".join,
)
def test_a_command_leaves_no_thread_behind(migrated: Project, command: tuple[str, ...]) -> None:
    migrated.table("0004", "four")
    assert f"{_LEFT} []" in run_counting(migrated, *command).err


def test_no_thread_is_left_where_the_files_are_wrong_and_the_server_is_slow(
    migrated: Project, silent: int
) -> None:
    # What an earlier command has kept says that the files are in order.
    migrated.run("status").succeeded()
    migrated.run("status").succeeded()
    migrated.revision("0004", down_revision="0009")
    migrated.url = f"postgresql://app@127.0.0.1:{silent}/app"
    outcome = run_counting(migrated, "init")
    assert f"{_LEFT} []" in outcome.err
    assert "0009" in outcome.failed(2).error


def test_no_thread_is_left_by_a_revision_that_was_blocked(migrated: Project) -> None:
    migrated.env["DB_OPS_LOCK_TIMEOUT"], migrated.env["DB_OPS_LOCK_RETRIES"] = "0.6", "0"
    migrated.revision("0004", "op.execute('ALTER TABLE one ADD COLUMN two integer')")
    holder = psycopg2.connect(migrated.url)
    try:
        with holder.cursor() as cursor:
            cursor.execute("LOCK TABLE one")
        outcome = run_counting(migrated, "upgrade")
    finally:
        holder.close()
    assert f"{_LEFT} []" in outcome.err
    assert "lock" in outcome.failed(5).error
