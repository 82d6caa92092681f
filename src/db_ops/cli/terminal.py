"""Write to a terminal or a pipe: results to stdout, progress and errors to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TextIO

from db_ops.errors import OutputLost
from db_ops.frozen_data import FrozenData

# Select Graphic Rendition: ECMA-48, 8.3.117.
_CODES = {"bold": "1", "bold red": "1;31", "green": "32", "yellow": "33"}
_OFF = ("", "0", "false")


class OutputOptions(FrozenData):
    """The output options of every command: format and verbosity."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    log: str = "text"


options: ContextVar[OutputOptions] = ContextVar("options", default=OutputOptions())  # noqa: B039  # frozen
# How to take away the line that moves on this terminal, if one does.
erase: ContextVar[Callable[[], None] | None] = ContextVar("erase", default=None)
# How to keep it away, for a question or a result, until something else goes on.
pause: ContextVar[Callable[[], None] | None] = ContextVar("pause", default=None)


def stop_moving() -> None:
    """Take away the line that moves, if one does, until something else goes on."""
    keep_away = pause.get()
    if keep_away:
        keep_away()


def write(text: str, *, to_stderr: bool = False) -> None:
    """Write one line and flush it.

    What cannot be written to stderr is given up: nothing may stop half-way for it. Raises
    `OutputLost` for stdout, and `BrokenPipeError` where nobody reads it any more.
    """
    stream = sys.stderr if to_stderr else sys.stdout
    try:
        print(text, file=stream, flush=True)
    except (OSError, ValueError) as error:
        discard_output(stream)
        if to_stderr:
            return
        if isinstance(error, BrokenPipeError):
            raise
        raise OutputLost(getattr(error, "strerror", None) or str(error)) from None


def flush() -> None:
    """Flush what the project's own code has printed. Raises what `write` raises."""
    for stream in (sys.stderr, sys.stdout):
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            discard_output(stream)
            if stream is sys.stdout and not isinstance(error, BrokenPipeError):
                raise OutputLost(getattr(error, "strerror", None) or str(error)) from None


def discard_output(stream: TextIO) -> None:
    """Discard what is still in the buffer of *stream*.

    The interpreter would try to write it once more at its end, and complain.
    """
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def open_closed_streams() -> None:
    """Open the null device for standard streams that the caller has closed.

    A connection or a file of somebody's would get their descriptors, and what is printed would go
    there. Stdout is opened for reading, so that the attempt to write to it fails as it should.
    """
    for descriptor, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, flags)
            os.set_inheritable(opened, True)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def print_line(text: str, style: str = "", *, to_stderr: bool = False) -> None:
    """Print one line, in colour where the stream takes it; what it cannot encode is escaped."""
    stream = sys.stderr if to_stderr else sys.stdout
    text = replace_unencodable(text, stream)
    code = _CODES.get(style)
    if code and has_colour(stream):
        text = f"\x1b[{code}m{text}\x1b[0m"
    take_away = erase.get()
    if take_away:
        take_away()
    write(text, to_stderr=to_stderr)


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
    columns, lines = _number("COLUMNS"), _number("LINES")
    for measured in (stream, sys.__stdout__):
        if (not columns or not lines) and measured is not None:
            with suppress(OSError, ValueError):
                there = os.get_terminal_size(measured.fileno())
                columns, lines = columns or there.columns, lines or there.lines
    return columns or 80, lines or 24


def _number(variable: str) -> int:
    value = os.environ.get(variable, "")
    return int(value) if value.isdecimal() else 0


def replace_unencodable(text: str, stream: TextIO) -> str:
    """Return *text* with what the encoding of *stream* lacks as backslash escapes."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def seconds(seconds: float) -> str:
    return f"{seconds:.2f} s"


def short_path(directory: str) -> str:
    path, here = Path(directory), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else directory


def one_line(text: str) -> str:
    # Names and server messages may hold line breaks and control characters.
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _is_dumb() -> bool:
    return os.environ.get("TERM", "dumb") in ("dumb", "")
