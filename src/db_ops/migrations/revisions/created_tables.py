"""Find which tables the revision files create, without running them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_NAME = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_CREATE = re.compile(
    r"\bCREATE\s+(?:(?:GLOBAL|LOCAL|TEMP|TEMPORARY|UNLOGGED|FOREIGN)\s+)*TABLE\s+"
    rf"(?:IF\s+NOT\s+EXISTS\s+)?({_NAME}(?:\s*\.\s*{_NAME})?)",
    re.I,
)
_RENAME = re.compile(rf"\bALTER\s+TABLE\b(?:(?!;).)*?\bRENAME\s+TO\s+({_NAME})", re.I | re.S)
_WRITTEN_WHERE_IT_RUNS = re.compile(r"\bCREATE\b.*\bTABLE\b|\bDO\s+\$", re.I | re.S)
_DYNAMIC = re.compile(r"\bDO\s+\$.*\bEXECUTE\b", re.I | re.S)
_READS = frozenset(("open", "read_text", "read_bytes", "get_data", "exec", "eval", "run_path"))
_RUNS = frozenset(("execute", "exec_driver_sql"))
_NAMING = {"create_table": 0, "rename_table": 1}


@dataclass(frozen=True)
class CreatedTables:
    """Names as `schema.table`, and the files of which not every statement can be read."""

    names: frozenset[str] = frozenset()
    unread: tuple[str, ...] = ()


def created_tables(paths: Iterable[Path], default_schema: str) -> CreatedTables:
    """Return the tables that the revision files at *paths* create or rename another one to."""
    names: set[str] = set()
    unread: list[str] = []
    for path in paths:
        reading = _Reading(default_schema)
        try:
            reading.visit(ast.parse(path.read_bytes()))
        except (OSError, SyntaxError, ValueError):
            reading.is_whole = False
        names |= reading.names
        if not reading.is_whole:
            unread.append(path.name)
    return CreatedTables(frozenset(names), tuple(unread))


class _Reading(ast.NodeVisitor):
    def __init__(self, default_schema: str) -> None:
        self.default_schema = default_schema
        self.names: set[str] = set()
        self.is_whole = True
        self._imported: set[str] = set()

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self._imported |= {alias.asname or alias.name for alias in node.names}

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self.names |= set(_in_sql(node.value, self.default_schema))
            # A block of PL/pgSQL may put its statements together where it runs.
            if _DYNAMIC.search(node.value):
                self.is_whole = False

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        text = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
        if _WRITTEN_WHERE_IT_RUNS.search(text):
            self.is_whole = False
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = _called(node)
        if called in _READS:
            self.is_whole = False
        elif called == "format" and isinstance(node.func, ast.Attribute):
            text = node.func.value
            if isinstance(text, ast.Constant) and _WRITTEN_WHERE_IT_RUNS.search(str(text.value)):
                self.is_whole = False
        elif called in _RUNS and node.args:
            # What is imported was written elsewhere.
            run = node.args[0]
            if isinstance(run, ast.Name) and run.id in self._imported:
                self.is_whole = False
        elif called in _NAMING:
            self._named(node, _NAMING[called])
        self.generic_visit(node)

    def _named(self, node: ast.Call, position: int) -> None:
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        name = node.args[position] if len(node.args) > position else None
        name = name or given.get("table_name") or given.get("new_table_name")
        schema = given.get("schema")
        if not isinstance(name, ast.Constant) or not isinstance(schema, ast.Constant | None):
            self.is_whole = False
            return
        where = schema.value if schema else None
        self.names.add(f"{where or self.default_schema!s}.{name.value!s}")


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _in_sql(text: str, default_schema: str) -> Iterator[str]:
    for pattern in (_CREATE, _RENAME):
        for found in pattern.finditer(text):
            parts = [_folded(part) for part in re.findall(_NAME, found[1])]
            yield ".".join(parts if len(parts) == 2 else [default_schema, *parts])


def _folded(name: str) -> str:
    """Return an identifier as the catalogs have it."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
