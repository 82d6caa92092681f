"""The schema or the revision graph as a Mermaid diagram.

Equal input gives equal text, so that a file of it can be compared in CI. Sources: Mermaid
documentation, "Entity Relationship Diagrams", "Flowcharts".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from db_ops.errors import NotAtHead, UsageError
from db_ops.migrations.revisions.graph import Node
from db_ops.migrations.revisions.reader import read_graph
from db_ops.postgres.diagram_tables import DiagramReference, DiagramTable, read_diagram_tables
from db_ops.results import Diagram, OnEvent, ignore
from db_ops.settings import Settings
from db_ops.target.ahead import check_known
from db_ops.target.open_project import open_revisions
from db_ops.target.target import open_target

_MERMAID, _MARKDOWN = ".mmd", ".md"
_NOT_IN_WORDS = re.compile(r"[^A-Za-z0-9_\[\]()\u00c0-\uffff-]+")


def diagram(
    settings: Settings,
    *,
    output: str | None = None,
    revisions: bool = False,
    check: bool = False,
    on_event: OnEvent = ignore,
) -> Diagram:
    """Draw the schema as the database has it at head or, with *revisions*, the revision graph.

    The file *output* becomes Mermaid or Markdown with Mermaid in it, by its suffix (.mmd, .md);
    without it, the result's text is Mermaid. With *check* nothing is written, and the
    result's exit code is 3 if the file is not what would be written. The database is only read; the
    revision graph needs none. Raises `NotAtHead`, `DatabaseMissing`, `UsageError`.
    """
    suffix = _suffix(output, check)
    if revisions:
        project = open_revisions(settings)
        location = str(project.display(project.env_py.parent))
        graph = read_graph(project, settings.cache_folder)
        text = revisions_as_mermaid([graph.nodes[name] for name in graph.order])
    else:
        location, tables = _read(settings, on_event)
        text = schema_as_mermaid(tables)
    if suffix == _MARKDOWN:
        text = f"```mermaid\n{text}```\n"
    changed = output is not None and _put(Path(output), text, check)
    return Diagram(location, revisions, output, changed, check, text)


def _read(settings: Settings, on_event: OnEvent) -> tuple[str, tuple[DiagramTable, ...]]:
    target = open_target(settings, "diagram", on_event)
    with target.server.target() as connection:
        recorded = target.recorded_on(connection)
        check_known(target, recorded, connection, "its schema is not that of these migrations")
        pending = target.graph.pending(recorded)
        if pending:
            raise NotAtHead(target.location, tuple(revision.id for revision in pending))
        return target.location, read_diagram_tables(connection, target.project.version_table)


def _suffix(output: str | None, check: bool) -> str:
    if output is None:
        if check:
            raise UsageError(
                "diagram: --check names no file to check",
                "name it: db-ops diagram --check --output docs/schema.md",
            )
        return _MERMAID
    suffix = Path(output).suffix.lower()
    if suffix not in (_MERMAID, _MARKDOWN):
        raise UsageError(
            f"diagram: {output!r} ends neither in .md nor in .mmd",
            "name the file for what it holds: db-ops diagram --output docs/schema.md",
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


def schema_as_mermaid(tables: Sequence[DiagramTable]) -> str:
    """Return an entity relationship diagram of *tables*."""
    lines = ["erDiagram"]
    for table in tables:
        lines.append(f"    {_quoted(table.name)} {{")
        for column in table.columns:
            keys = table.keys(column)
            words = (_word(column.type), _word(column.name), keys)
            lines.append("        " + " ".join(filter(None, words)))
        lines.append("    }")
    for table in tables:
        lines += [_relationship(table.name, reference) for reference in table.references]
    return "\n".join(lines) + "\n"


def revisions_as_mermaid(nodes: Sequence[Node]) -> str:
    """Return a flowchart of revisions, the oldest at the top; a dotted line is a dependency."""
    number = {node.revision.id: f"r{index}" for index, node in enumerate(nodes)}
    lines = ["flowchart TB"]
    for node in nodes:
        label = f"{node.revision.id}<br>{_text(node.revision.summary)}"
        lines.append(f'    {number[node.revision.id]}["{label}"]')
    for node in nodes:
        here = number[node.revision.id]
        lines += [f"    {number[one]} --> {here}" for one in node.down]
        lines += [f"    {number[one]} -.-> {here}" for one in node.depends]
    return "\n".join(lines) + "\n"


def _relationship(table: str, reference: DiagramReference) -> str:
    ours = "|o" if reference.unique else "}o"
    theirs = "||" if reference.required else "o|"
    by = _quoted(", ".join(reference.columns))
    return f"    {_quoted(table)} {ours}--{theirs} {_quoted(reference.target)} : {by}"


def _word(text: str) -> str:
    # An attribute's type and name are words, and a word begins with a letter or an underscore.
    word = _NOT_IN_WORDS.sub("_", text).strip("_") or "_"
    return word if re.match(r"[A-Za-z_\u00c0-\uffff]", word) else f"_{word}"


def _quoted(text: str) -> str:
    return f'"{_text(text)}"'


def _text(text: str) -> str:
    # Mermaid's own entities: numbers of characters between # and ;.
    return re.sub(r'["#<>&%;`\\]', lambda found: f"#{ord(found[0])};", text)
