"""Run commands as a user does: in a process of their own, with an environment of their own."""

from __future__ import annotations

import marshal
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent
DOORS = ("inv", "manage_db")
MODULES = {"module": "db_ops", "pytest": "pytest"}


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one `error:` line."""
        return _only(self.err, "error: ")

    @property
    def hint(self) -> str:
        """The one `hint:` line."""
        return _only(self.err, "hint: ")

    def succeeded(self) -> Outcome:
        """Return this outcome, or fail with everything that the command printed."""
        assert self.code == 0, f"exit {self.code}\n{self.out}\n{self.err}"
        return self

    def failed(self, code: int) -> Outcome:
        """Return this outcome if it is a clean failure: its code, two lines, no traceback."""
        assert self.code == code, f"exit {self.code}, not {code}\n{self.out}\n{self.err}"
        assert "Traceback" not in self.err + self.out, self.err
        assert self.error
        assert self.hint
        return self


def in_a_shell(env: Mapping[str, str]) -> dict[str, str]:
    """Return *env* and what a shell needs, with nothing else of this process's environment."""
    return {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": os.environ["HOME"],
        # What measures the tests, where it does.
        **{name: value for name, value in os.environ.items() if name.startswith("REACH_")},
        **env,
    }


def forget_stale_bytecode(root: Path) -> None:
    """Remove what Python compiled in *root* of a text that has been replaced within the second.

    It tells a stale copy by size and whole second, and a test changes a file more quickly than
    anybody types: what it wrote first would be imported again.
    """
    tag = f".{sys.implementation.cache_tag}.pyc"
    for compiled in (*root.glob(f"__pycache__/*{tag}"), *root.glob(f"*/__pycache__/*{tag}")):
        source = compiled.parents[1] / f"{compiled.name.removesuffix(tag)}.py"
        with suppress(FileNotFoundError):
            written = int(compiled.stat().st_mtime), int(source.stat().st_mtime)
            if written[0] <= written[1] and not _is_compiled_of(compiled, source):
                compiled.unlink()


def _is_compiled_of(compiled: Path, source: Path) -> bool:
    try:
        code = compile(source.read_text(), "", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return bool(marshal.loads(compiled.read_bytes()[16:]) == code)


def listen_to_interrupts(except_for: tuple[signal.Signals, ...] = ()) -> None:
    """Let a child hear SIGINT, which a process behind a shell or `nohup` ignores and hands down."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for number in except_for:
        signal.signal(number, signal.SIG_IGN)


def run(argv: list[str], *, cwd: Path, env: Mapping[str, str], timeout: float = 300) -> Outcome:
    """Run *argv* in *cwd* with nothing in the environment but *env* and what a shell needs."""
    forget_stale_bytecode(cwd)
    done = subprocess.run(
        argv, cwd=cwd, env=in_a_shell(env), capture_output=True, text=True, timeout=timeout
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def command_line(door: str, arguments: tuple[str, ...], root: Path) -> list[str]:
    """Return what a user types for *arguments* (bare command names and options) at *door*."""
    if door == "inv":
        return [str(BIN / "inv"), *map(_as_inv, _two_words(arguments))]
    if door == "alembic":
        return [str(BIN / "alembic"), *arguments]
    if door in MODULES:
        return [sys.executable, "-m", MODULES[door], *arguments]
    return [sys.executable, str(root / "scripts" / "manage_db.py"), *arguments]


_COMMANDS = frozenset(
    (
        "init", "recreate", "delete-db", "create-migration", "upgrade", "downgrade", "verify",
        "status", "history", "start", "stop", "url", "cache", "snapshot", "restore", "snapshots",
        "diagram", "check-models", "doctor", "new", "shell", "stamp", "dump", "load", "seed",
        "squash", "undo", "fleet",
    )
)  # fmt: skip


def _two_words(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Write the commands of two words as Invoke names them."""
    if arguments[:1] == ("fleet",) and len(arguments) > 1:
        return (f"db.fleet.{arguments[1]}", *arguments[2:])
    return arguments


def _as_inv(argument: str) -> str:
    return f"db.{argument}" if argument in _COMMANDS else argument


def _only(text: str, prefix: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith(prefix)]
    assert len(lines) == 1, f"{len(lines)} lines begin with {prefix!r} in:\n{text}"
    return lines[0].removeprefix(prefix)
