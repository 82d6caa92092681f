"""Processes that start at once: forked off one that has imported the libraries already.

Importing them takes ten times as long as the commands of a small project, so a kill at a random
moment would mostly hit an import, and fifty processes would come one after the other. What runs is
the same script, in a process of its own, with an environment of its own.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import db_ops
from tests.support.doors import Outcome, command_line, forget_stale_bytecode, in_a_shell
from tests.support.project import REPOSITORY


@dataclass
class Forked:
    """A process that the launcher started."""

    launcher: Launcher
    pid: int
    output: Path
    started: float

    def poll(self) -> int | None:
        """Return the exit code, or the negated signal; None while it runs."""
        code: int | None = self.launcher.ask("poll", pid=self.pid)
        return code

    def kill(self) -> bool:
        """SIGKILL; False if it had ended already."""
        hit: bool = self.launcher.ask("kill", pid=self.pid)
        return hit

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        self.launcher.ask("send", pid=self.pid, number=int(number))

    def wait_until_it_says(self, text: str, timeout: float = 300) -> None:
        """Wait until *text* is on stderr."""
        deadline = time.monotonic() + timeout
        while text not in self._said("err"):
            assert self.poll() is None, f"ended without {text!r}:\n{self._said('err')}"
            assert time.monotonic() < deadline, f"no {text!r}:\n{self._said('err')}"
            time.sleep(0.02)

    def finish(self, within: float) -> Outcome:
        """Wait for the end; kill it and fail if that takes longer than *within* seconds."""
        deadline = time.monotonic() + within
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"not done within {within} s:\n{self._said('err')}")
            self._sleep_until_end(deadline - time.monotonic())
        return Outcome(code, self._said("out"), self._said("err"))

    def _sleep_until_end(self, at_most: float) -> None:
        if not hasattr(os, "pidfd_open"):  # only Linux tells
            time.sleep(0.005)
            return
        # Nobody reaps it but `poll`, so the number is still its own.
        descriptor = os.pidfd_open(self.pid)
        try:
            select.select([descriptor], [], [], max(at_most, 0))
        finally:
            os.close(descriptor)

    def _said(self, stream: str) -> str:
        path = self.output.with_suffix(f".{stream}")
        # A process that was killed at once has not even opened it.
        return path.read_text(errors="replace") if path.exists() else ""


class Launcher:
    """The process that forks; leaving the `with` block kills what still runs, and itself."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.count = 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.launcher"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Launcher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        # The launcher kills its children when its stdin ends.
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def start(
        self,
        root: Path,
        env: Mapping[str, str],
        *command: str,
        door: str = "manage_db",
        cwd: Path | None = None,
    ) -> Forked:
        """Open a door of the project in *root*, or of the plain Alembic for `alembic ...`."""
        forget_stale_bytecode(root)
        self.count += 1
        output = self.folder / f"{self.count:05}"
        if command[:1] == ("alembic",):
            door, *command = command
        argv = command_line(door, tuple(command), root)
        pid = self.ask(
            "start",
            cwd=str(cwd or root),
            env=in_a_shell(env),
            argv=argv[1:] if argv[0] == sys.executable else argv,
            output=str(output),
        )
        return Forked(self, pid, output, time.monotonic())

    def run(
        self,
        root: Path,
        env: Mapping[str, str],
        *arguments: str,
        door: str = "manage_db",
        cwd: Path | None = None,
    ) -> Outcome:
        """Do what `start` does, and wait for the end."""
        return self.start(root, env, *arguments, door=door, cwd=cwd).finish(300)

    def ask(self, action: str, **details: Any) -> Any:
        """Send one request and return the answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"action": action, **details}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the launcher has died"
        return json.loads(line)


def _serve() -> None:
    # Ignored where the tests run behind a shell, and then a command would not hear it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.collect()
    gc.freeze()
    running: set[int] = set()
    codes: dict[int, int] = {}
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        answer: Any
        if request["action"] == "start":
            answer = os.fork()
            if answer == 0:
                _become(request)
            running.add(answer)
            # The system has given the number out before, if processes are many.
            codes.pop(answer, None)
        else:
            pid = request["pid"]
            if pid in running and request["action"] != "poll":
                # Unreaped, so the number cannot be somebody else's.
                os.kill(pid, request.get("number", signal.SIGKILL))
            if pid in running:
                options = 0 if request["action"] == "kill" else os.WNOHANG
                found, status = os.waitpid(pid, options)
                if found:
                    running.remove(pid)
                    codes[pid] = os.waitstatus_to_exitcode(status)
            code = codes.get(pid)
            answer = code == -signal.SIGKILL if request["action"] == "kill" else code
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    for pid in running:
        os.kill(pid, signal.SIGKILL)


def _become(request: Mapping[str, Any]) -> None:
    """Be the child: run the script as the interpreter would, then leave without returning."""
    code = 70
    try:
        for descriptor, name in ((0, os.devnull), (1, "out"), (2, "err")):
            path = name if name == os.devnull else f"{request['output']}.{name}"
            opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(opened, descriptor)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        os.environ.clear()
        os.environ.update(request["env"])
        if not os.environ.keys() & {"LC_ALL", "LC_CTYPE", "LANG"}:
            # As a new interpreter does (PEP 538).
            os.environ["LC_CTYPE"] = "C.UTF-8"
        os.chdir(request["cwd"])
        sys.argv = list(request["argv"])
        if sys.argv[0] == "-m":
            module = sys.argv.pop(1)
            sys.path[0] = request["cwd"]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        else:
            sys.path[0] = str(Path(sys.argv[0]).parent)
            runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    import alembic.autogenerate
    import alembic.command
    import alembic.config  # noqa: F401
    import sqlalchemy.dialects.postgresql.psycopg2
    import sqlalchemy.orm  # noqa: F401

    for module in pkgutil.walk_packages(db_ops.__path__, "db_ops."):
        # The one runs, the other needs what pytest has set up.
        if module.name not in ("db_ops.__main__", "db_ops.pytest_plugin"):
            importlib.import_module(module.name)

    _serve()
