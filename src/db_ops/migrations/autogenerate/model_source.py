"""Find the file and line of the model that SQLAlchemy names in an error."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db_ops.migrations.env.error_location import SourceLocation, is_project_file, source_location

if TYPE_CHECKING:
    from db_ops.migrations.project import Project

# "Foreign key associated with column 'book.shelf_id' could not find table ..."; "mapped class
# Mapper[Book(book)]"; "Table 'book' is already defined".
_NAMES = re.compile(r"'([\w.]+)'|\[(\w+)\(")


def declared_at(error: BaseException) -> SourceLocation | None:
    """Return the line of the class or table that *error* is about, if a loaded module has it."""
    named = [part for found in _NAMES.findall(str(error)) for part in found if part]
    for name in named:
        table, _, column = name.rpartition(".")
        for path, tree in _own_modules():
            line = _line_of(tree, table.rpartition(".")[2] or column, column if table else None)
            if line:
                return source_location(str(path), line)
    return None


def table_declared_at(table: str) -> SourceLocation | None:
    """Return the line of the class or table that declares *table*, if a loaded module has it."""
    for path, tree in _own_modules():
        line = _line_of(tree, table, None)
        if line:
            return source_location(str(path), line)
    return None


@dataclass(frozen=True)
class ModelSource:
    """Where models declare tables and columns, by the classes that are mapped to them."""

    mappers: Mapping[Any, Any]

    @classmethod
    def of(cls, tables: Iterable[Any]) -> ModelSource:
        """Look for the classes among all that SQLAlchemy knows."""
        from sqlalchemy.orm import mapperlib

        wanted = set(tables)
        return cls(
            {
                mapper.local_table: mapper
                for registry in mapperlib._all_registries()
                for mapper in registry.mappers
                if mapper.local_table in wanted and not mapper.inherits
            }
        )

    def places(self, project: Project, table: Any) -> dict[str, tuple[str, int | None, str]]:
        """Return path, line and code of each column of *table*, and under `""` of itself."""
        mapper = self.mappers.get(table)
        names = [table.name] if mapper is None else [mapper.class_.__name__, table.name]
        for name in names:
            for path, tree in _own_modules(name, mapper and mapper.class_.__module__):
                if _line_of(tree, name, None) is None:
                    continue
                found = {}
                for column in ("", *table.columns.keys()):
                    line = _line_of(tree, name, self._attribute(mapper, table, column) or None)
                    place = source_location(str(path), line)
                    found[column and table.columns[column].name] = (
                        project.display(path),
                        line,
                        place.code,
                    )
                return found
        return {}

    def _attribute(self, mapper: Any, table: Any, column: str) -> str:
        if not column or mapper is None:
            return column
        # A column may have another name in the class.
        return (
            mapper._columntoproperty[table.columns[column]].key
            if (table.columns[column] in mapper._columntoproperty)
            else column
        )


def _own_modules(
    containing: str = "", first: str | None = None
) -> Iterator[tuple[Path, ast.Module]]:
    """Yield the project's modules that have *containing* in their source; *first* is first."""
    modules = [sys.modules.get(first or ""), *sys.modules.values()]
    for module in dict.fromkeys(modules):
        file = getattr(module, "__file__", None)
        if not file or not file.endswith(".py") or not is_project_file(file):
            continue
        try:
            source = Path(file).read_bytes()
            if containing.encode() not in source:
                continue
            yield Path(file), ast.parse(source)
        except (OSError, SyntaxError, ValueError):
            continue


def _line_of(tree: ast.Module, table: str, column: str | None) -> int | None:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and table in (node.name, _table_name(node)):
            return _column_line(node.body, column) or node.lineno
        if isinstance(node, ast.Call) and _makes(node, table):
            lines = (one.lineno for one in node.args[1:] if _names(one, column))
            return next(lines, node.lineno)
    return None


def _makes(node: ast.Call, table: str) -> bool:
    is_table = ast.unparse(node.func).rpartition(".")[2] == "Table"
    return is_table and bool(node.args) and _text(node.args[0]) == table


def _table_name(node: ast.ClassDef) -> str | None:
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="__tablename__")], value=value):
                return _text(value)
    return None


def _column_line(body: list[ast.stmt], column: str | None) -> int | None:
    for statement in body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                if name == column:
                    return statement.lineno
    return None


def _names(node: ast.expr, column: str | None) -> bool:
    return isinstance(node, ast.Call) and bool(node.args) and _text(node.args[0]) == column


def _text(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None
