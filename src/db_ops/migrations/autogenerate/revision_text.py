"""A new revision file as a whole: its docstring and its layout."""

from __future__ import annotations

import ast
import subprocess
import sysconfig
import textwrap
from collections.abc import Sequence
from pathlib import Path

_WIDTH = 79


def list_in_docstring(path: Path, changes: Sequence[str]) -> None:
    """List *changes* in the docstring of the file at *path*, behind its first line."""
    source = path.read_text(encoding="utf-8")
    path.write_text(_with_docstring(source, changes), encoding="utf-8")


def format_with_ruff(path: Path) -> None:
    """Format the file at *path* with the project's settings of ruff, if it is installed.

    It is run from this Python's own environment; its output is discarded.
    """
    program = Path(sysconfig.get_path("scripts")) / "ruff"
    if not program.exists():
        return
    # The template imports what few revisions need all of; who completes a TODO may need it.
    unfinished = "# TODO" in path.read_text(encoding="utf-8")
    rules = "I" if unfinished else "I,F401"
    for arguments in (["check", "--select", rules, "--fix"], ["format"]):
        subprocess.run(
            [program, *arguments, "--quiet", "--no-cache", path],
            cwd=path.parent,
            capture_output=True,
            check=False,
        )


def _with_docstring(source: str, changes: Sequence[str]) -> str:
    listed = [
        line
        for change in changes
        for line in textwrap.wrap(
            f"- {_in_docstring(change)}", _WIDTH, subsequent_indent="  ", break_long_words=False
        )
    ]
    lines = source.splitlines()
    first = ast.parse(source).body[0]
    if not (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)):
        return "\n".join(['"""', *listed, '"""', "", *lines]) + "\n"
    begin, end = first.lineno - 1, (first.end_lineno or first.lineno) - 1
    if begin == end:
        opening = lines[begin].rstrip()
        lines[begin : begin + 1] = [opening[:-3], "", *listed, opening[-3:]]
    else:
        lines[begin + 1 : begin + 1] = ["", *listed]
    return "\n".join(lines) + "\n"


def _in_docstring(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
