"""A program of Debian's that a test starts on loopback, and ends with everything it has started."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

# Debian keeps some of them out of an ordinary user's PATH.
_PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))


def as_nobody() -> dict[str, Any]:
    """Return what makes `subprocess` give up root, as which PostgreSQL and others do not run."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": ()}


def program(name: str, package: str) -> str:
    """Return the path of a program; the test fails, and names Debian's *package*, without it."""
    found = shutil.which(name, path=_PLACES)
    if found is None:
        pytest.fail(f"{name} is not installed: apt-get install {package}")
    return found


def new_home(prefix: str) -> Path:
    """Return a new folder that belongs to the user of `as_nobody`."""
    home = Path(tempfile.mkdtemp(prefix=f"db_ops-{prefix}-"))
    home.chmod(0o755)
    who = as_nobody()
    if who:
        os.chown(home, who["user"], who["group"])
    return home


def until(reached: Callable[[], bool], what: Callable[[], str], timeout: float = 120) -> None:
    """Poll until *reached*; fail with what *what* says then, where errors mean not yet."""
    deadline = time.monotonic() + timeout
    while True:
        with suppress(Exception):
            if reached():
                return
        if time.monotonic() > deadline:
            pytest.fail(what())
        time.sleep(0.05)


class Service:
    """A running program that writes to a log in *home*."""

    def __init__(self, home: Path, name: str, *argv: str, **options: Any) -> None:
        self.log = home / f"{name}.log"
        self._argv = argv
        self._options = {**as_nobody(), **options}
        self._environment = {
            "PATH": "/usr/bin:/bin:/usr/sbin",
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
        }
        self.process = self._started()

    def start(self) -> None:
        """Start it again."""
        self.process = self._started()

    def kill(self) -> None:
        """End it at once, and every process of its group."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def last_words(self) -> str:
        """Return the end of its log."""
        return f"{self.log}:\n{self.log.read_text(errors='replace')[-3000:]}"

    def _started(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=self._environment,
                start_new_session=True,
                **self._options,
            )
