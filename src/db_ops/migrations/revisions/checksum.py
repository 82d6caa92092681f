"""The checksum of a revision file: of what the file does, whatever it looks like.

Equal under every version of Python, after `ruff format` and import sorting, with other comments,
docstrings, annotations or line endings.
"""

from __future__ import annotations

import ast
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from db_ops.migrations.cache_files import write_atomically
from db_ops.migrations.revisions.index import UNSETTLED_NS

# Raise it whenever the same file gives another checksum, so that an old one is not compared.
_FORMAT = 1
_FILE = "checksums.json"
_NOT_COMPARED = frozenset(
    ("annotation", "returns", "type_params", "type_comment", "ctx", "kind", "simple")
)
# What only annotations need.
_TYPING = frozenset(("__future__", "typing", "typing_extensions", "collections.abc"))


@dataclass
class Checksums:
    """The checksums of revision files, kept in *folder* so that a file is parsed once.

    A file counts as the same while its size and time of modification are; one that was changed
    within two seconds is not kept. What is kept may be deleted at any time.
    """

    folder: Path | None
    _kept: dict[str, list[Any]] | None = field(default=None, init=False)
    _changed: bool = field(default=False, init=False)

    def of(self, path: Path) -> str | None:
        """Return `FORMAT:HASH` of a revision file; None if it cannot be read or is not Python."""
        if self._kept is None:
            self._kept = self._read()
        try:
            stat = path.stat()
            state = [stat.st_size, stat.st_mtime_ns]
            known = self._kept.get(str(path))
            if known and known[:2] == state:
                return str(known[2])
            found = checksum(path.read_bytes())
        except (OSError, SyntaxError, ValueError):
            return None
        if stat.st_mtime_ns < time.time_ns() - UNSETTLED_NS:
            self._kept[str(path)] = [*state, found]
            self._changed = True
        return found

    def save(self) -> None:
        """Keep what was read for later commands, if the folder lets us."""
        if self._changed and self.folder is not None:
            with suppress(OSError):
                content = json.dumps({"format": _FORMAT, "files": self._kept})
                write_atomically(self.folder / _FILE, content.encode())
            self._changed = False

    def _read(self) -> dict[str, list[Any]]:
        if self.folder is not None:
            with suppress(OSError, ValueError, TypeError, KeyError):
                content = json.loads((self.folder / _FILE).read_bytes())
                if content["format"] == _FORMAT:
                    return dict(content["files"])
        return {}


def checksum(source: bytes) -> str:
    """Return `FORMAT:HASH` of Python *source*. Raises `SyntaxError` or `ValueError`."""
    text = "\n".join(_spelled_out(ast.parse(source)))
    return f"{_FORMAT}:{blake2b(text.encode(errors='surrogatepass'), digest_size=16).hexdigest()}"


def comparable(one: str | None, other: str | None) -> bool:
    """Tell whether two checksums are there and of one format."""
    return bool(one and other and one.partition(":")[0] == other.partition(":")[0])


def _spelled_out(tree: ast.Module) -> Iterator[str]:
    """Yield the tree in preorder, without what does not change what the file does."""
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    yield from sorted({name for node in imports for name in _imported(node)})
    tree.body = [node for node in tree.body if node not in imports]
    # A stack instead of recursion: a long sum of strings is a deep tree.
    waiting: list[object] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.AST):
            kind = type(node)
            # `revision: str = "1"` says what `revision = "1"` says.
            annotated = isinstance(node, ast.AnnAssign) and node.value is not None
            yield "Assign" if annotated else kind.__name__
            for name in _compared(kind._fields):
                value = getattr(node, name, None)
                if value is not None and value != []:
                    target = annotated and name == "target"
                    yield "targets" if target else name
                    waiting.append([value] if target else value)
        elif isinstance(node, list):
            statements = [one for one in node if not _does_nothing(one)]
            yield str(len(statements))
            waiting.extend(statements)
        else:
            yield repr(node)


@cache
def _compared(fields: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in fields if name not in _NOT_COMPARED)


def _does_nothing(node: object) -> bool:
    """Tell whether a statement has no effect: `pass`, a docstring, another bare constant."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.Pass)


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    module = "." * node.level + (node.module or "") if isinstance(node, ast.ImportFrom) else ""
    if module in _TYPING:
        return
    for alias in node.names:
        if alias.name not in _TYPING:
            yield f"from {module} import {alias.name} as {alias.asname}"
