"""Read the revision files of a project without running them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from db_ops.errors import RevisionFileBroken, RevisionsReadDifferently
from db_ops.errors.base import enumerate_names
from db_ops.migrations.project import Project
from db_ops.migrations.revisions.graph import Graph, Node
from db_ops.migrations.revisions.index import IndexEntry, RevisionIndex, revision_files
from db_ops.results import Revision

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory


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
    from db_ops.migrations.scripts import load_scripts

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
    from db_ops.migrations.revisions.revision_file import NotPlain, read_revision_file

    try:
        entries = {
            path: index.entry(path, stat) or read_revision_file(project, Path(path))
            for path, stat in listing.items()
        }
    except NotPlain:
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


def _as_alembic_reads(project: Project) -> Iterator[Node]:
    from db_ops.migrations.revisions.revision_file import identifiers, squashed_fields
    from db_ops.migrations.scripts import load_scripts

    for script in load_scripts(project).walk_revisions():
        yield Node(
            Revision(script.revision, script.doc or "", project.display(script.path)),
            down=identifiers(script.down_revision),
            depends=identifiers(script.dependencies),
            labels=tuple(sorted(script._orig_branch_labels)),
            **squashed_fields(vars(script.module)),
        )
