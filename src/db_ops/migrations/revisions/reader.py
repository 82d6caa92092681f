"""Read the revision files of a project without running them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db_ops.errors import RevisionFileBroken, RevisionsReadDifferently
from db_ops.errors.base import enumerate_names
from db_ops.migrations.env.error_location import SourceLocation
from db_ops.migrations.project import Project
from db_ops.migrations.revisions.graph import Graph, Node
from db_ops.migrations.revisions.index import IndexEntry, RevisionIndex, revision_files
from db_ops.migrations.scripts import load_scripts, source_error_fields
from db_ops.results import Revision

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

_NAMES = frozenset(("revision", "down_revision", "depends_on", "branch_labels"))
# Of ours, in a file that others were squashed into; elsewhere they may mean anything.
_SQUASHED = frozenset(("replaces", "replaced_checksum"))
_WORDS = rb"(?:" + rb"|".join(sorted(name.encode() for name in _NAMES | _SQUASHED)) + rb")\b"
# Every line at the margin that names one of them, and every line that may bind one in a block.
_MENTIONED = re.compile(rb"^[^\s#][^\n]*\b" + _WORDS + rb"[^\n]*$|^" + _WORDS + rb"[^\n]*$", re.M)
_BOUND_IN_BLOCK = re.compile(rb"^[ \t]+" + _WORDS + rb"\s*[:=]", re.M)


class _NotPlain(Exception):
    """The identifiers of the file are not literals at its top level."""


def read_graph(project: Project, cache: Path | None = None) -> Graph:
    """Read every revision file of *project* that the index in the folder *cache* does not know.

    A file whose identifiers are not plain literals is left to Alembic's own loader, which runs all
    of them. That there is none is not said before Alembic has seen that, too. Raises
    `RevisionFileBroken`, `RevisionGraphBroken` or `RevisionsReadDifferently`.
    """
    graph = _read_graph(project, cache)
    if not graph.heads:
        import_checked(graph, project)
    return graph


def import_checked(graph: Graph, project: Project) -> ScriptDirectory:
    """Import every revision file of *project*, and compare *graph* with Alembic's own.

    Raises `RevisionFileBroken` or `RevisionsReadDifferently`.
    """
    scripts = load_scripts(project)
    check_graph(graph, scripts)
    return scripts


def _read_graph(project: Project, cache: Path | None) -> Graph:
    folder = project.display(project.version_locations[0])
    index = RevisionIndex.read(cache, project.version_locations)
    try:
        listing = revision_files(project)
    except OSError as error:
        path = project.display(str(error.filename or folder))
        raise RevisionFileBroken(path, error.strerror or str(error)) from None
    if index.is_current(listing):
        return Graph.of_checked(lambda: _nodes(project, index.entries), folder, index.heads)
    try:
        entries = {
            path: index.entry(path, stat) or _read(project, Path(path))
            for path, stat in listing.items()
        }
    except _NotPlain:
        return Graph.of(_as_alembic_reads(project), folder)
    graph = Graph.of(_nodes(project, entries), folder)
    index.write(listing, entries, graph.heads)
    return graph


def check_graph(graph: Graph, scripts: ScriptDirectory) -> None:
    """Compare *graph* with the one of Alembic. Raises `RevisionsReadDifferently`.

    What is private in Alembic and used here: `Revision._versioned_down_revisions` and
    `_resolved_dependencies`, which its own graph is made of.
    """
    theirs = {one.revision: one for one in scripts.walk_revisions()}
    differing = [f"{name} is unknown to it" for name in graph.nodes if name not in theirs]
    for name, script in theirs.items():
        node = graph.nodes.get(name)
        follows = {*script._versioned_down_revisions}, {*script._resolved_dependencies}
        if node is None:
            differing.append(f"it has {name}, in {script.path}")
        elif follows != ({*node.down}, {*node.depends}):
            differing.append(
                f"{name} follows {enumerate_names(tuple(sorted(set().union(*follows))))}"
            )
    if differing:
        raise RevisionsReadDifferently(graph.folder, tuple(sorted(differing)))


def _nodes(project: Project, entries: Mapping[str, IndexEntry]) -> Iterator[Node]:
    for path, entry in entries.items():
        revision = Revision(entry.revision, entry.summary, project.display(path))
        yield Node(
            revision,
            entry.down,
            entry.depends,
            entry.labels,
            entry.replaces,
            entry.replaced_checksum,
        )


def _read(project: Project, path: Path) -> IndexEntry:
    if path.name.endswith(("c", "o")):
        # Compiled: Alembic imports it.
        raise _NotPlain
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
        raise _NotPlain
    summary = (ast.get_docstring(tree) or "").partition("\n")[0]
    return IndexEntry(
        str(values["revision"]),
        down=_tuple(values.get("down_revision")),
        depends=_tuple(values.get("depends_on")),
        labels=_tuple(values.get("branch_labels")),
        summary=summary,
        **_squashed(values),
    )


def _squashed(values: Mapping[str, object]) -> dict[str, Any]:
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
    """Return the values of the identifiers. Raises `_NotPlain` if anything else may bind them."""
    values: dict[str, object] = {}
    for statement in tree.body:
        name, value = _assignment(statement)
        if name in _NAMES:
            try:
                values[name] = ast.literal_eval(value)
            except (ValueError, TypeError):
                raise _NotPlain from None
        elif name in _SQUASHED:
            with suppress(ValueError, TypeError):
                values[name] = ast.literal_eval(value)
        elif not _NAMES.isdisjoint(_bound_by(statement)):
            raise _NotPlain
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


def _as_alembic_reads(project: Project) -> Iterator[Node]:
    for script in load_scripts(project).walk_revisions():
        yield Node(
            Revision(script.revision, script.doc or "", project.display(script.path)),
            down=_tuple(script.down_revision),
            depends=_tuple(script.dependencies),
            labels=tuple(sorted(script._orig_branch_labels)),
            **_squashed(vars(script.module)),
        )


def _tuple(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple | set) and all(isinstance(part, str) for part in value):
        return tuple(value)
    raise _NotPlain
