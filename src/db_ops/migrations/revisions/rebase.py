"""Change the `down_revision` of one revision file."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

from db_ops.errors import RevisionFileBroken

# As Python counts lines, which a form feed or a separator within a string does not end.
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


def replace_down_revision(path: Path, before: str | None, onto: str, shown: str) -> None:
    """Rewrite `down_revision` of the file at *path* from *before* to *onto*, and nothing else.

    The docstring's `Revises:` line follows. Raises `RevisionFileBroken` if the file does not name
    what it follows by a plain text.
    """
    text = path.read_bytes()
    encoding, _ = tokenize.detect_encoding(io.BytesIO(text).readline)
    # Line ends are the file's own: Python's universal newlines would make them others.
    source = text.decode(encoding)
    value = _value(source)
    if value is None or ast.literal_eval(value) != before:
        raise RevisionFileBroken(shown, f"down_revision is not plainly {before!r}")
    lines = _LINE.findall(source)
    line = lines[value.lineno - 1]
    encoded = line.encode()
    begin, end = value.col_offset, value.end_col_offset or len(encoded)
    quoted = f'"{onto}"'.encode()
    lines[value.lineno - 1] = (encoded[:begin] + quoted + encoded[end:]).decode()
    revises = re.compile(rf"^(Revises: ){re.escape(before or 'nothing')}[ \t]*(?=\r?$)", re.M)
    changed = revises.sub(rf"\g<1>{onto}", "".join(lines), count=1)
    path.write_bytes(changed.encode(encoding))


def _value(source: str) -> ast.expr | None:
    for node in ast.parse(source).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="down_revision")], value=ast.Constant() as value):
                return value
            case ast.AnnAssign(target=ast.Name(id="down_revision"), value=ast.Constant() as value):
                return value
    return None
