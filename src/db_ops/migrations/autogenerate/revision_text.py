"""A new revision file as a whole: its docstring and its layout."""

from __future__ import annotations

import ast
import re
import subprocess
import sysconfig
import textwrap
from collections.abc import Sequence
from pathlib import Path

_WIDTH = 79
# What SQLAlchemy takes for a parameter in the text that `op.execute` is given, and the backslash
# that it would take away, as one that keeps a colon from being that.
_PARAMETER = re.compile(r"(?<![:\w\\]):(?=[\w$]+(?![:\w$]))|\\(?=:[\w$]*(?![:\w$]))")
_QUOTES = re.compile(r"[rRuU]?(?:\"\"\"|''')")


def escape_parameters(sql: str) -> str:
    """Return *sql* as a text for `op.execute` that is sent as *sql*."""
    return _PARAMETER.sub(r"\\\g<0>", sql)


def list_in_docstring(path: Path, changes: Sequence[str]) -> None:
    """List *changes* in the docstring of the file at *path*, behind its first line.

    The line ends become those of the template.
    """
    line_end = "\r\n" if b"\r\n" in path.read_bytes() else "\n"
    source = path.read_text(encoding="utf-8")
    path.write_text(_with_docstring(source, changes), encoding="utf-8", newline=line_end)


def has_downgrade(source: str) -> bool:
    """Tell whether a revision file, or the template of one, defines `downgrade()`."""
    return re.search(r"^(?:async\s+)?def\s+downgrade\b", source, re.M) is not None


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
    tree = ast.parse(source)
    first = tree.body[0]
    said = ast.get_docstring(tree)
    if said is None:
        return "\n".join(['"""', *listed, '"""', "", *lines]) + "\n"
    begin, end = first.lineno - 1, (first.end_lineno or first.lineno) - 1
    mark = _QUOTES.match(lines[begin])
    if mark is None:
        # In plain quotes, in parentheses: nothing can be put into that.
        lines[begin : end + 1] = [f'"""{_in_docstring(said)}', "", *listed, '"""']
    elif begin == end:
        opening = lines[begin].rstrip()
        lines[begin : begin + 1] = [opening[:-3], "", *listed, opening[-3:]]
    else:
        # What the revision is about may stand below the quotes.
        while begin < end and not lines[begin].removeprefix(mark[0]).strip():
            begin += 1
        if begin == end:
            lines[end:end] = listed
        else:
            lines[begin + 1 : begin + 1] = ["", *listed]
    return "\n".join(lines) + "\n"


def _in_docstring(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
