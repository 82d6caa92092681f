"""Pictures of the schema and of the revision graph."""

from __future__ import annotations

from pathlib import Path

from db_ops.diagrams import (
    RevisionBox,
    Table,
    revisions_as_mermaid,
    revisions_as_svg,
    schema_as_mermaid,
    schema_as_svg,
)
from db_ops.errors import NotAtHead, UsageError
from db_ops.migrations.graph import Graph
from db_ops.migrations.project import read_project
from db_ops.migrations.revision_files import read_graph
from db_ops.operations.target import open_target
from db_ops.postgres.relations import read_tables
from db_ops.results import Diagram, OnEvent, ignore
from db_ops.settings import Settings

_SVG, _MERMAID, _MARKDOWN = ".svg", ".mmd", ".md"


def diagram(
    settings: Settings,
    *,
    output: str | None = None,
    revisions: bool = False,
    check: bool = False,
    on_event: OnEvent = ignore,
) -> Diagram:
    """Draw the schema as the database has it at head or, with *revisions*, the revision graph.

    The file *output* becomes SVG, Mermaid, or Markdown with Mermaid in it, by its suffix (.svg,
    .mmd, .md); without it, the result's text is Mermaid. With *check* nothing is written, and the
    result's exit code is 3 if the file is not what would be written. The database is only read; the
    revision graph needs none. Raises `NotAtHead`, `DatabaseMissing`, `UsageError`.
    """
    suffix = _suffix(output, check)
    if revisions:
        project = read_project(settings.alembic_ini)
        location, text = str(project.display(project.env_py.parent)), ""
        boxes = _boxes(read_graph(project, settings.cache_folder))
        text = revisions_as_svg(boxes) if suffix == _SVG else revisions_as_mermaid(boxes)
    else:
        location, tables = _read(settings, on_event)
        text = schema_as_svg(tables) if suffix == _SVG else schema_as_mermaid(tables)
    if suffix == _MARKDOWN:
        text = f"```mermaid\n{text}```\n"
    changed = output is not None and _put(Path(output), text, check)
    kind = "svg" if suffix == _SVG else "mermaid"
    return Diagram(location, revisions, kind, output, changed, check, text)


def _read(settings: Settings, on_event: OnEvent) -> tuple[str, tuple[Table, ...]]:
    target = open_target(settings, "diagram", on_event)
    with target.server.target() as connection:
        recorded = target.recorded_on(connection)
        target.check_known(recorded)
        pending = target.graph.pending(recorded)
        if pending:
            raise NotAtHead(target.location, tuple(revision.id for revision in pending))
        return target.location, read_tables(connection, target.project.version_table)


def _boxes(graph: Graph) -> tuple[RevisionBox, ...]:
    return tuple(
        RevisionBox(revision.id, revision.summary, node.down, node.depends)
        for revision in graph.pending(())
        for node in (graph.nodes[revision.id],)
    )


def _suffix(output: str | None, check: bool) -> str:
    if output is None:
        if check:
            raise UsageError(
                "diagram: --check names no file to check",
                "name it: inv db.diagram --check --output docs/schema.svg",
            )
        return _MERMAID
    suffix = Path(output).suffix.lower()
    if suffix not in (_SVG, _MERMAID, _MARKDOWN):
        raise UsageError(
            f"diagram: {output!r} ends neither in .svg nor in .mmd nor in .md",
            "name the file for what it holds: inv db.diagram --output docs/schema.svg",
        )
    return suffix


def _put(path: Path, text: str, check: bool) -> bool:
    """Write *text* to *path* if it holds anything else, unless *check*; tell whether it did."""
    try:
        changed = not path.exists() or path.read_text(encoding="utf-8", errors="replace") != text
        if changed and not check:
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"diagram: {path}: {error.strerror}", "name a file in a folder that is there: --output"
        ) from None
    return changed
