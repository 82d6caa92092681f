"""The neighbours' programs, installed into the run's own folder when they are first needed."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

BIN = Path(sys.executable).parent


class NotInstalled(Exception):
    """A tool that this machine does not get; says why."""


class Tools:
    """Where each program is, and of which version; what could not be had, and why."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: dict[str, Path] = {}
        self.absent: dict[str, str] = {}
        self.versions = {
            "Python": platform.python_version(),
            **{name: version(name) for name in ("alembic", "SQLAlchemy", "psycopg2-binary")},
        }

    def path(self, program: str) -> Path:
        """Return the path of *program*. Raises `NotInstalled`."""
        if program in self.absent:
            raise NotInstalled(self.absent[program])
        if program not in self._found:
            try:
                self._found[program] = _INSTALLERS.get(program, _ours)(self, program)
            except NotInstalled as error:
                self.absent[program] = str(error)
                raise
        return self._found[program]

    def _environment(self, name: str, *packages: str) -> Path:
        """Return a virtual environment with *packages* in it, and note their versions."""
        folder = self._folder / name
        _run(sys.executable, "-m", "venv", folder)
        _run(folder / "bin" / "pip", "install", "--quiet", "psycopg2-binary", *packages)
        for package in packages:
            shown = _run(folder / "bin" / "pip", "show", package)
            self.versions[package] = shown.partition("Version: ")[2].partition("\n")[0]
        return folder / "bin"


def _ours(tools: Tools, program: str) -> Path:
    return Path(sys.executable) if program == "python" else BIN / program


def _flask(tools: Tools, program: str) -> Path:
    return tools._environment("flask", "Flask-Migrate") / "flask"


def _django(tools: Tools, program: str) -> Path:
    return tools._environment("django", "Django") / "python"


def _dbmate(tools: Tools, program: str) -> Path:
    """Return the program itself: what npm links would start Node.js first."""
    folder = tools._folder / "dbmate"
    if not shutil.which("npm"):
        raise NotInstalled("npm is not on this machine")
    _run("npm", "install", "--no-fund", "--no-audit", "--prefix", folder, "dbmate")
    for path in folder.glob("node_modules/@dbmate/*/bin/dbmate"):
        tools.versions["dbmate"] = _run(path, "--version").split()[-1]
        return path
    raise NotInstalled("the npm package dbmate has no program for this machine")


def _psql(tools: Tools, program: str) -> Path:
    from db_ops.postgres.embedded.programs import find_programs

    installed = shutil.which("psql")
    for path in (Path(find_programs().path("psql")), Path(installed or "/nowhere")):
        if os.access(path, os.X_OK):
            tools.versions["psql"] = _run(path, "--version").split()[2]
            return path
    raise NotInstalled("psql is not on this machine")


def _run(*command: object) -> str:
    line = [str(part) for part in command]
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"{line[0]}: {error}") from None
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise NotInstalled(f"{' '.join(line[1:4])} failed: {''.join(last)}")
    return done.stdout


_INSTALLERS: dict[str, Callable[[Tools, str], Path]] = {
    "flask": _flask,
    "django": _django,
    "dbmate": _dbmate,
    "psql": _psql,
}
