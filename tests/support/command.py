"""A command that runs while the test does something to the server."""

from __future__ import annotations

import signal
import subprocess
import time
from types import TracebackType
from urllib.parse import unquote, urlsplit

import pytest

from tests.support.doors import (
    Outcome,
    command_line,
    forget_stale_bytecode,
    in_a_shell,
    listen_to_interrupts,
)
from tests.support.project import Project, query


class Command:
    """A command in a process of its own, for a `with` block; killed if it is still there then.

    *wrapper* is a program that becomes it.
    """

    def __init__(
        self,
        project: Project,
        *arguments: str,
        door: str = "manage_db",
        ignored: tuple[signal.Signals, ...] = (),
        wrapper: tuple[str, ...] = (),
    ) -> None:
        self._project, self.arguments = project, arguments
        self._out, self._err = (project.root / name for name in ("stdout.txt", "stderr.txt"))
        forget_stale_bytecode(project.root)
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [*wrapper, *command_line(door, arguments, project.root)],
                cwd=project.root,
                env=in_a_shell(project.env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                preexec_fn=lambda: listen_to_interrupts(except_for=ignored),
            )

    @property
    def said(self) -> str:
        """What is on stderr by now."""
        return self._err.read_text()

    def wait_until_it_says(self, text: str, timeout: float = 30) -> None:
        """Wait until *text* is on stderr."""
        deadline = time.monotonic() + timeout
        while text not in self._err.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                state = f"exit {self.process.poll()}\n{self._out.read_text()}"
                pytest.fail(f"{text!r} was not said; {state}\n{self._err.read_text()}")
            time.sleep(0.03)

    def wait_until_it_runs(self, text: str, timeout: float = 30) -> str:
        """Wait until a session of it runs a statement with *text*; return the database's name."""
        maintenance = self._project.url.rpartition("/")[0] + "/postgres"
        statement = (
            "SELECT datname FROM pg_stat_activity"
            " WHERE application_name LIKE %s AND state = 'active' AND query LIKE %s"
        )
        deadline = time.monotonic() + timeout
        while True:
            found = query(maintenance, statement, f"db_ops %:{self.process.pid}", f"%{text}%")
            if found:
                ((database,),) = found
                return str(database)
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{text!r} was not run\n{self._err.read_text()}")
            time.sleep(0.05)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait for the end of the process; the server may not have noticed yet."""
        self.process.kill()
        self.process.wait(10)

    def outcome(self, timeout: float = 60) -> Outcome:
        """Wait for the end; what was printed must not hold the password."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {timeout} s\n{self._err.read_text()}")
        outcome = Outcome(code, self._out.read_text(), self._err.read_text())
        password = unquote(urlsplit(self._project.url).password or "")
        assert not password or password not in outcome.out + outcome.err
        return outcome

    def __enter__(self) -> Command:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
