"""Lines on a terminal or in a pipe: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

# Select Graphic Rendition: ECMA-48, 8.3.117.
_CODES = {"bold": "1", "bold red": "1;31", "green": "32", "yellow": "33"}
_OFF = ("", "0", "false")


@dataclass(frozen=True)
class Options:
    """What every command takes: the form of its answer, and how much is told on the way."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    log: str = "text"


options: ContextVar[Options] = ContextVar("options", default=Options())  # noqa: B039  # frozen
# How to take away the line that moves on this terminal, if one does.
erase: ContextVar[Callable[[], None] | None] = ContextVar("erase", default=None)


def say(text: str, style: str = "", *, to_stderr: bool = False) -> None:
    """Print one line, in colour where the stream takes it; what it cannot encode is escaped."""
    stream = sys.stderr if to_stderr else sys.stdout
    text = encodable(text, stream)
    code = _CODES.get(style)
    if code and has_colour(stream):
        text = f"\x1b[{code}m{text}\x1b[0m"
    take_away = erase.get()
    if take_away:
        take_away()
    print(text, file=stream, flush=True)


def has_colour(stream: TextIO) -> bool:
    """Tell whether *stream* gets colours: a terminal does, `NO_COLOR` and `FORCE_COLOR` decide.

    Sources: no-color.org, force-color.org.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "").lower() not in _OFF:
        return True
    return stream.isatty() and not _is_dumb()


def is_interactive(stream: TextIO) -> bool:
    """Tell whether somebody sits before *stream*, and lines on it may be rewritten."""
    in_ci = os.environ.get("CI", "").lower() not in _OFF
    return stream.isatty() and not _is_dumb() and not in_ci


def size(stream: TextIO) -> tuple[int, int]:
    """Return the columns and lines of the terminal, as `COLUMNS` and `LINES` or the system say."""
    columns, lines = shutil.get_terminal_size((0, 0))
    if not columns or not lines:
        try:
            columns, lines = os.get_terminal_size(stream.fileno())
        except (OSError, ValueError):
            columns, lines = 0, 0
    return columns or 80, lines or 24


def encodable(text: str, stream: TextIO) -> str:
    """Return *text* with what the encoding of *stream* lacks as backslash escapes."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def seconds(seconds: float) -> str:
    return f"{seconds:.2f} s"


def short(directory: str) -> str:
    path, here = Path(directory), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else directory


def door() -> str:
    """Return how this process was called, up to the name of a command."""
    program = Path(sys.argv[0]).name
    if program == "__main__.py":
        return "python -m db_ops "
    if program.endswith(".py") and program != "tasks.py":
        return f"python {sys.argv[0]} "
    return "db-ops " if program == "db-ops" else "inv db."


def as_called(text: str) -> str:
    """Return *text* with the commands in it as this process would be called for them."""
    return text.replace("inv db.", door())


def one_line(text: str) -> str:
    # Names and server messages may hold line breaks and control characters.
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _is_dumb() -> bool:
    return os.environ.get("TERM", "dumb") in ("dumb", "")
