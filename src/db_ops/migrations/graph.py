"""The revision graph, read from the text of the revision files without running them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from db_ops.errors import (
    MultipleHeads,
    NoSuchRevision,
    RevisionFileBroken,
    RevisionGraphBroken,
)
from db_ops.migrations.project import Project
from db_ops.migrations.scripts import describe_failure, load_scripts
from db_ops.results import Revision

_REVISION_FILE = re.compile(r"(?!\.#|__init__)(.*\.py)$")
_NAMES = ("revision", "down_revision", "depends_on", "branch_labels")


@dataclass(frozen=True)
class Node:
    """One revision file: what it follows (`down`) and what must be applied before (`depends`)."""

    revision: Revision
    down: tuple[str, ...]
    depends: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def parents(self) -> tuple[str, ...]:
        return (*self.down, *self.depends)


@dataclass(frozen=True)
class Graph:
    """All revisions of a project and how they follow each other."""

    nodes: Mapping[str, Node]
    folder: str

    @cached_property
    def heads(self) -> tuple[str, ...]:
        """The revisions that no other follows, sorted."""
        followed = {parent for node in self.nodes.values() for parent in node.down}
        return tuple(sorted(self.nodes.keys() - followed))

    def head(self) -> str | None:
        """Return the only head, or None without revisions. Raises `MultipleHeads`."""
        if len(self.heads) > 1:
            raise MultipleHeads(self.folder, self.heads)
        return self.heads[0] if self.heads else None

    def unknown(self, recorded: Iterable[str]) -> tuple[str, ...]:
        """Return those of *recorded* that no file has."""
        return tuple(revision for revision in recorded if revision not in self.nodes)

    def applied(self, recorded: Iterable[str]) -> frozenset[str]:
        """Return every revision that a database at *recorded* has behind it."""
        seen: set[str] = set()
        waiting = [revision for revision in recorded if revision in self.nodes]
        while waiting:
            revision = waiting.pop()
            if revision not in seen:
                seen.add(revision)
                waiting.extend(self.nodes[revision].parents)
        return frozenset(seen)

    def pending(self, recorded: Iterable[str], target: str | None = None) -> tuple[Revision, ...]:
        """Return what leads from *recorded* to *target* (all heads), in an order that can run."""
        wanted = self.applied(self.heads if target is None else (target,)) - self.applied(recorded)
        return tuple(self.nodes[name].revision for name in self._order if name in wanted)

    def resolve(self, text: str) -> str:
        """Return the revision that *text* names: `head`, an identifier, or a unique beginning.

        Raises `NoSuchRevision`, or `MultipleHeads` for an ambiguous `head`.
        """
        if text == "head" and self.nodes:
            return self.head() or ""
        if text in self.nodes:
            return text
        found = [name for name in self.nodes if text and name.startswith(text)]
        if len(found) != 1:
            raise NoSuchRevision(self.folder, text)
        return found[0]

    @cached_property
    def _order(self) -> tuple[str, ...]:
        sorter = TopologicalSorter(
            {name: sorted(node.parents) for name, node in sorted(self.nodes.items())}
        )
        return tuple(sorter.static_order())


def read_graph(project: Project) -> Graph:
    """Read every revision file of *project*.

    A file whose identifiers are not plain literals is left to Alembic's own loader, which runs it.
    Raises `RevisionFileBroken` or `RevisionGraphBroken`.
    """
    nodes: dict[str, Node] = {}
    for path in _files(project):
        node = _read(path, project)
        if node is None:
            nodes = dict(_as_alembic_reads(project))
            break
        if node.revision.id in nodes:
            raise RevisionGraphBroken(
                node.revision.path,
                f"revision {node.revision.id} is also in {nodes[node.revision.id].revision.path}",
            )
        nodes[node.revision.id] = node
    graph = Graph(_resolved(nodes), project.display(project.version_locations[0]))
    _check(graph)
    return graph


def _files(project: Project) -> Iterator[Path]:
    for folder in project.version_locations:
        if folder.is_dir():
            yield from sorted(path for path in folder.iterdir() if _REVISION_FILE.match(path.name))


def _read(path: Path, project: Project) -> Node | None:
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except (SyntaxError, ValueError) as error:
        raise RevisionFileBroken(project.display(path), describe_failure(error)) from None
    values = {}
    for statement in tree.body:
        targets = (
            statement.targets
            if isinstance(statement, ast.Assign)
            else [statement.target]
            if isinstance(statement, ast.AnnAssign)
            else []
        )
        for target in targets:
            if isinstance(target, ast.Name) and target.id in _NAMES:
                try:
                    values[target.id] = ast.literal_eval(statement.value)  # type: ignore[attr-defined]  # both kinds have it
                except (ValueError, TypeError):
                    return None
    if not isinstance(values.get("revision"), str):
        return None
    lines = (ast.get_docstring(tree) or "").splitlines()
    return Node(
        Revision(values["revision"], lines[0] if lines else "", project.display(path)),
        down=_tuple(values.get("down_revision")),
        depends=_tuple(values.get("depends_on")),
        labels=_tuple(values.get("branch_labels")),
    )


def _as_alembic_reads(project: Project) -> Iterator[tuple[str, Node]]:
    for script in load_scripts(project).walk_revisions():
        yield (
            script.revision,
            Node(
                Revision(script.revision, script.doc or "", project.display(script.path)),
                down=_tuple(script.down_revision),
                depends=_tuple(script.dependencies),
                labels=tuple(sorted(script._orig_branch_labels)),
            ),
        )


def _resolved(nodes: Mapping[str, Node]) -> dict[str, Node]:
    """Replace branch labels in `depends_on` by the revisions that carry them."""
    labelled = {label: name for name, node in nodes.items() for label in node.labels}
    return {
        name: Node(
            node.revision,
            node.down,
            tuple(labelled.get(dependency, dependency) for dependency in node.depends),
            node.labels,
        )
        for name, node in nodes.items()
    }


def _check(graph: Graph) -> None:
    for node in graph.nodes.values():
        for parent in node.parents:
            if parent not in graph.nodes:
                reason = f"revision {node.revision.id} follows {parent}, which is not there"
                raise RevisionGraphBroken(node.revision.path, reason)
    try:
        graph.applied(graph.heads)
        graph._order  # noqa: B018  # sorting is what finds a cycle
    except CycleError as error:
        cycle = " -> ".join(error.args[1])
        raise RevisionGraphBroken(graph.folder, f"the revisions form a cycle: {cycle}") from None


def _tuple(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)  # type: ignore[arg-type]  # a list or tuple literal of strings
