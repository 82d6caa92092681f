"""Processes that run at the same time: started together, all bounded, none left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

from tests.support.doors import BIN, Outcome, command_line, in_a_shell
from tests.support.project import Project, query


def database_of(project: Project) -> str:
    """Return the name of the project's database."""
    return project.url.rpartition("/")[2]


def maintenance_of(project: Project) -> str:
    """Return the URL of the database `postgres` on the project's server."""
    return project.url.rpartition("/")[0] + "/postgres"


@dataclass
class Running:
    """One command in a process of its own; its output goes to files, so that no pipe fills."""

    process: subprocess.Popen[bytes]
    command: str
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self._ended = False

    def poll(self) -> bool:
        """Tell whether the process has ended, and note when that was first seen."""
        if not self._ended and self.process.poll() is not None:
            self.seconds = time.monotonic() - self.started
            self._ended = True
        return self._ended

    def kill(self) -> None:
        """SIGKILL, to this process alone."""
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(10)
        self.poll()


class Crowd:
    """Runs commands of one project side by side; leaving the `with` block kills what still runs."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.running: list[Running] = []
        self._files: dict[int, tuple[object, object]] = {}

    def __enter__(self) -> Crowd:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for one in self.running:
            if not one.poll():
                one.kill()
        for out, err in self._files.values():
            out.close()  # type: ignore[attr-defined]
            err.close()  # type: ignore[attr-defined]

    def start(self, *arguments: str, env: dict[str, str] | None = None) -> Running:
        """Start `manage_db.py` with *arguments*, or the plain Alembic after `alembic`."""
        if arguments[0] == "alembic":
            argv = [str(BIN / "alembic"), *arguments[1:]]
        else:
            argv = command_line("manage_db", arguments, self.project.root)
        # Processes that write the same cache at once prove nothing and cost seconds.
        quiet = {"PYTHONDONTWRITEBYTECODE": "1"}
        out, err = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")  # noqa: SIM115
        process = subprocess.Popen(
            argv,
            cwd=self.project.root,
            env=in_a_shell({**quiet, **self.project.env, **(env or {})}),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
        one = Running(process, " ".join(arguments))
        self.running.append(one)
        self._files[id(one)] = (out, err)
        return one

    def finish(self, one: Running, within: float = 60) -> Outcome:
        """Wait for *one*; kill it and fail if it takes longer than *within* seconds in all."""
        while not one.poll():
            if time.monotonic() - one.started > within:
                said = self._read(one)
                one.kill()
                raise AssertionError(f"{one.command}: not done within {within} s\n{said.err}")
            time.sleep(0.01)
        return self._read(one)

    def finish_all(self, within: float) -> list[Outcome]:
        """Wait for everybody; fail if one process takes longer than *within* seconds."""
        while any(not one.poll() for one in self.running):
            late = [
                one
                for one in self.running
                if not one.poll() and time.monotonic() - one.started > within
            ]
            assert not late, f"{len(late)} not done within {within} s\n{self._read(late[0]).err}"
            time.sleep(0.02)
        return [self._read(one) for one in self.running]

    def wait_for_output(self, one: Running, pattern: str, within: float = 20) -> re.Match[str]:
        """Wait until the stderr of *one* matches *pattern*."""
        deadline = time.monotonic() + within
        while True:
            ended = one.poll()
            found = re.search(pattern, self._read(one).err)
            if found:
                return found
            assert not ended, f"ended without {pattern!r}:\n{self._read(one)}"
            assert time.monotonic() < deadline, f"no {pattern!r} in:\n{self._read(one).err}"
            time.sleep(0.02)

    def wait_for_statement(self, text: str, within: float = 20) -> int:
        """Wait until a session of the project's database runs *text*; return its process id."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            rows = query(
                maintenance_of(self.project),
                "SELECT pid FROM pg_stat_activity WHERE datname = %s AND state = 'active'"
                " AND query LIKE %s",
                database_of(self.project),
                f"%{text}%",
            )
            if rows:
                return int(str(rows[0][0]))
            time.sleep(0.05)
        raise AssertionError(f"no session runs {text}: {[self._read(one) for one in self.running]}")

    def wait_for_end(self, pid: int, within: float = 20) -> None:
        """Wait until the server has ended the session *pid*."""
        deadline = time.monotonic() + within
        running = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
        while query(maintenance_of(self.project), running, pid):
            assert time.monotonic() < deadline, f"session {pid} does not end"
            time.sleep(0.05)

    def _read(self, one: Running) -> Outcome:
        texts = []
        for file in self._files[id(one)]:
            # The child shares the offset, and so must not be moved: read by position.
            descriptor = file.fileno()  # type: ignore[attr-defined]
            texts.append(os.pread(descriptor, 1_000_000, 0).decode("utf-8", "replace"))
        code = one.process.returncode
        return Outcome(code if code is not None else -1, texts[0], texts[1])


def assert_clean(outcome: Outcome, *codes: int) -> None:
    """Assert one of *codes*, no traceback, and for a failure one error line and one hint."""
    assert outcome.code in codes, f"exit {outcome.code}\n{outcome.out}\n{outcome.err}"
    assert "Traceback" not in outcome.out + outcome.err, outcome.err
    if outcome.code:
        assert outcome.error
        assert outcome.hint


def say(text: str) -> None:
    """Print a figure; `pytest -s`, or a failure, shows it."""
    print(text, file=sys.stderr, flush=True)


KILLED = -signal.SIGKILL
