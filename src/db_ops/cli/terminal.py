"""Lines on a terminal or in a pipe: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import sys
from pathlib import Path

from db_ops.errors import DbOpsError


def show_error(error: DbOpsError) -> None:
    """Print *error* on stderr: one line what happened, one line what to do."""
    say(f"error: {one_line(error.message)}", "bold red", to_stderr=True)
    hint = one_line(error.hint).replace("inv db.", door())
    say(f"hint: {hint}", to_stderr=True)


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


def one_line(text: str) -> str:
    # Names and server messages may hold line breaks and control characters.
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def say(text: str, style: str = "", *, to_stderr: bool = False) -> None:
    stream = sys.stderr if to_stderr else sys.stdout
    if style and stream.isatty():
        # Only colour needs rich, and only a terminal colour.
        from rich.console import Console
        from rich.text import Text

        Console(file=stream, highlight=False).print(Text(text, style), soft_wrap=True)
    else:
        print(text, file=stream, flush=True)
