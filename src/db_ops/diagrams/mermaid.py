"""Mermaid's text. Sources: Mermaid documentation, "Entity Relationship Diagrams", "Flowcharts"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from db_ops.diagrams.model import Reference, RevisionBox, Table

_NOT_IN_WORDS = re.compile(r"[^A-Za-z0-9_\[\]()\u00c0-\uffff-]+")


def schema_as_mermaid(tables: Sequence[Table]) -> str:
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


def revisions_as_mermaid(revisions: Sequence[RevisionBox]) -> str:
    """Return a flowchart of *revisions*, the oldest at the top; a dotted line is a dependency."""
    number = {revision.id: f"r{index}" for index, revision in enumerate(revisions)}
    lines = ["flowchart TB"]
    for revision in revisions:
        label = f"{revision.id}<br>{_text(revision.summary)}"
        lines.append(f'    {number[revision.id]}["{label}"]')
    for revision in revisions:
        here = number[revision.id]
        lines += [f"    {number[one]} --> {here}" for one in revision.down]
        lines += [f"    {number[one]} -.-> {here}" for one in revision.depends]
    return "\n".join(lines) + "\n"


def _relationship(table: str, reference: Reference) -> str:
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
