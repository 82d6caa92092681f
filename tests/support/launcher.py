"""Processes that start at once: forked off one that has imported the libraries already.

Importing them takes ten times as long as the commands of a small project, so a kill at a random
moment would mostly hit an import, and fifty processes would come one after the other. What runs is
the same script, in a process of its own, with an environment of its own.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.doors import BIN, Outcome, in_a_shell
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

    def finish(self, within: float) -> Outcome:
        """Wait for the end; kill it and fail if that takes longer than *within* seconds."""
        deadline = time.monotonic() + within
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"not done within {within} s:\n{self._said('err')}")
            time.sleep(0.005)
        return Outcome(code, self._said("out"), self._said("err"))

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

    def start(self, root: Path, env: Mapping[str, str], *arguments: str) -> Forked:
        """Run `manage_db.py` of the project in *root*, or the plain Alembic after `alembic`."""
        self.count += 1
        output = self.folder / f"{self.count:05}"
        pid = self.ask(
            "start",
            root=str(root),
            env=in_a_shell(env),
            arguments=arguments,
            output=str(output),
        )
        return Forked(self, pid, output, time.monotonic())

    def run(self, root: Path, env: Mapping[str, str], *arguments: str) -> Outcome:
        """Do what `start` does, and wait for the end."""
        return self.start(root, env, *arguments).finish(60)

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
        os.chdir(request["root"])
        arguments = list(request["arguments"])
        script = Path(request["root"]) / "scripts" / "manage_db.py"
        if arguments[:1] == ["alembic"]:
            script = BIN / arguments.pop(0)
        sys.argv = [str(script), *arguments]
        sys.path[0] = str(script.parent)
        runpy.run_path(str(script), run_name="__main__")
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

    import db_ops.cli
    import db_ops.cli.program
    import db_ops.commands  # noqa: F401

    _serve()
