"""Models of which a part was never imported: what is missing, and what can be built without it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db_ops.errors import EnvironmentBroken, ModelTableMissing
from db_ops.migrations.autogenerate.model_source import declared_at
from db_ops.migrations.autogenerate.models import metadatas
from db_ops.migrations.env.error_location import SourceLocation
from db_ops.migrations.scripts import source_error_fields

if TYPE_CHECKING:
    from sqlalchemy import ForeignKeyConstraint

    from db_ops.migrations.project import Project

_NOT_SEARCHED = ("node_modules", "site-packages", "__pycache__", "venv")


def import_models(project: Project) -> None:
    """Import the modules that `[tool.db_ops] models` names. Raises `EnvironmentBroken`."""
    if not project.models:
        return
    project.make_importable()
    for name in project.models:
        try:
            import_module(name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            fields = source_error_fields(project, error, SourceLocation(project.pyproject))
            reason = fields.pop("reason")
            raise EnvironmentBroken(
                reason=f"{reason} (named in [tool.db_ops] models: {name})", **fields
            ) from error


def metadata_of_models(project: Project) -> Any:
    """Return the metadata, one or several, in the modules that `import_models` has imported.

    Where all migrations are written by hand, env.py gives none to Alembic. A package counts with
    those of its modules that it has imported.
    """
    from sqlalchemy import MetaData, Table

    found: dict[int, Any] = {}
    for name, module in tuple(sys.modules.items()):
        if not any(f"{name}.".startswith(f"{one}.") for one in project.models):
            continue
        for value in tuple(vars(module).values()):
            # Not by isinstance: what stands for Flask's application cannot be asked outside of it.
            holds_one = issubclass(type(value), (type, Table))
            metadata: Any = getattr(value, "metadata", None) if holds_one else value
            if issubclass(type(metadata), MetaData) and metadata.tables:
                found[id(metadata)] = metadata
    return list(found.values()) if len(found) > 1 else next(iter(found.values()), None)


def missing_table(project: Project, target_metadata: Any) -> ModelTableMissing | None:
    """Return the error for the first table that models refer to and that none of them defines."""
    return next(
        (missing_table_error(project, error) for _, error in _unresolved_keys(target_metadata)),
        None,
    )


def missing_table_error(project: Project, error: Exception) -> ModelTableMissing:
    """Return the error for a `NoReferencedTableError`, with the module that has the table."""
    source, place = project.display(project.env_py), declared_at(error)
    table = str(getattr(error, "table_name", ""))
    module = _module_with(project, table)
    fields: dict[str, Any] = (
        {"path": source}
        if place is None
        else {
            "path": project.display(place.path),
            "line": place.line,
            "code": place.code,
            "imported_by": source,
        }
    )
    return ModelTableMissing(reason=_column(error), table=table, module=module, **fields)


@contextmanager
def without_unresolved_keys(target_metadata: Any) -> Iterator[frozenset[str] | None]:
    """Take foreign keys to tables that no model defines out of the models, for a `with` block.

    Yields None if there is none, else the columns, as `table.column`, whose type is not known: they
    have that of the column that they refer to.
    """
    from sqlalchemy import Integer
    from sqlalchemy.types import NullType

    found = [key for key, _ in _unresolved_keys(target_metadata)]
    columns = [one.parent for key in found for one in key.elements]
    untyped = {column: column.type for column in columns if isinstance(column.type, NullType)}
    for key in found:
        key.table.constraints.discard(key)
        for element in key.elements:
            key.table.foreign_keys.discard(element)
            element.parent.foreign_keys.discard(element)
    for column in untyped:
        column.type = Integer()
    try:
        names = frozenset(f"{column.table.name}.{column.name}" for column in untyped)
        yield names if found else None
    finally:
        for column, kind in untyped.items():
            column.type = kind
        for key in found:
            key.table.constraints.add(key)
            for element in key.elements:
                key.table.foreign_keys.add(element)
                element.parent.foreign_keys.add(element)


def _unresolved_keys(target_metadata: Any) -> Iterator[tuple[ForeignKeyConstraint, Exception]]:
    from sqlalchemy.exc import NoReferencedTableError

    for metadata in metadatas(target_metadata):
        for table in metadata.tables.values():
            keys = sorted(table.foreign_key_constraints, key=lambda one: tuple(one.column_keys))
            for key in keys:
                try:
                    _ = key.referred_table
                except NoReferencedTableError as error:
                    yield key, error


def _column(error: Exception) -> str:
    found = re.search(r"'([^']+)'", str(error))
    return found[1] if found else str(error)


def _module_with(project: Project, table: str) -> str:
    """Return the module of the project that seems to define *table*, empty if none does."""
    name = re.escape(table.rpartition(".")[2])
    declares = re.compile(
        rf"__tablename__\s*(?::\s*[\w.\[\]]+\s*)?=\s*f?[\"']{name}[\"']|\bTable\(\s*[\"']{name}[\"']"
    )
    for path in _python_files(project.root):
        if declares.search(path.read_text(errors="replace")):
            return _module_name(project, path)
    return ""


def _python_files(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = [
            name for name in folders if not name.startswith(".") and name not in _NOT_SEARCHED
        ]
        yield from (Path(folder, name) for name in sorted(files) if name.endswith(".py"))


def _module_name(project: Project, path: Path) -> str:
    """Return what *path* is imported as, from the nearest of the folders that modules come from."""
    tops = [top for top in (*project.import_paths, project.root) if path.is_relative_to(top)]
    top = max(tops, key=lambda one: len(one.parts))
    parts = path.relative_to(top).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
