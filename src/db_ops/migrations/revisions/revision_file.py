"""Read the identifiers of one revision file from its source, without running it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from db_ops.errors import RevisionFileBroken
from db_ops.migrations.env.error_location import SourceLocation
from db_ops.migrations.project import Project
from db_ops.migrations.revisions.index import IndexEntry
from db_ops.migrations.scripts import source_error_fields

_NAMES = frozenset(("revision", "down_revision", "depends_on", "branch_labels"))
# Of ours, in a file that others were squashed into; elsewhere they may mean anything.
_SQUASHED = frozenset(("replaces", "replaced_checksum"))
_WORDS = rb"(?:" + rb"|".join(sorted(name.encode() for name in _NAMES | _SQUASHED)) + rb")\b"
# Every line at the margin that names one of them, and every line that may bind one in a block.
_MENTIONED = re.compile(rb"^[^\s#][^\n]*\b" + _WORDS + rb"[^\n]*$|^" + _WORDS + rb"[^\n]*$", re.M)
_BOUND_IN_BLOCK = re.compile(rb"^[ \t]+" + _WORDS + rb"\s*[:=]", re.M)


class NotPlain(Exception):
    """The identifiers of the file are not literals at its top level."""


def read_revision_file(project: Project, path: Path) -> IndexEntry:
    """Return the identifiers in *path*. Raises `NotPlain`, `RevisionFileBroken`."""
    if path.name.endswith(("c", "o")):
        # Compiled: Alembic imports it.
        raise NotPlain
    try:
        source = path.read_bytes()
        tree = _parse_beginning(source) or ast.parse(source, filename=str(path))
    except (SyntaxError, ValueError) as error:
        raise RevisionFileBroken(
            **source_error_fields(project, error, SourceLocation(path))
        ) from None
    except OSError as error:
        raise RevisionFileBroken(project.display(path), error.strerror or str(error)) from None
    values = _literals(tree)
    if not isinstance(values.get("revision"), str):
        raise NotPlain
    summary = (ast.get_docstring(tree) or "").partition("\n")[0]
    return IndexEntry(
        str(values["revision"]),
        down=identifiers(values.get("down_revision")),
        depends=identifiers(values.get("depends_on")),
        labels=identifiers(values.get("branch_labels")),
        summary=summary,
        **squashed_fields(values),
    )


def squashed_fields(values: Mapping[str, object]) -> dict[str, Any]:
    """Return what a squashed revision says of those that it replaces; nothing of another one."""
    replaces, was = values.get("replaces"), values.get("replaced_checksum")
    if not isinstance(replaces, tuple) or not all(isinstance(one, str) for one in replaces):
        return {}
    return {"replaces": replaces, "replaced_checksum": was if isinstance(was, str) else None}


def _parse_beginning(source: bytes) -> ast.Module | None:
    """Parse no more than what names the revision, which is a small part of most files.

    None if that cannot be told apart from the rest.
    """
    if _BOUND_IN_BLOCK.search(source):
        return None
    end = max((found.end() for found in _MENTIONED.finditer(source)), default=0)
    try:
        return ast.parse(source[:end])
    except (SyntaxError, ValueError):
        return None


def _literals(tree: ast.Module) -> dict[str, object]:
    """Return the values of the identifiers. Raises `NotPlain` if anything else may bind them."""
    values: dict[str, object] = {}
    for statement in tree.body:
        name, value = _assignment(statement)
        if name in _NAMES:
            try:
                values[name] = ast.literal_eval(value)
            except (ValueError, TypeError):
                raise NotPlain from None
        elif name in _SQUASHED:
            with suppress(ValueError, TypeError):
                values[name] = ast.literal_eval(value)
        elif not _NAMES.isdisjoint(_bound_by(statement)):
            raise NotPlain
    return values


def _assignment(statement: ast.stmt) -> tuple[str, ast.expr]:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return name, value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            return name, value
    return "", ast.Constant(None)


def _bound_by(statement: ast.stmt) -> Iterator[str]:
    """Yield what a statement may bind at the top level, looking into blocks but not functions."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]


def identifiers(value: object) -> tuple[str, ...]:
    """Return what one of the identifiers says: none, one or several. Raises `NotPlain`."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple | set) and all(isinstance(part, str) for part in value):
        return tuple(value)
    raise NotPlain
