"""How SQL names an object of each kind."""

from __future__ import annotations

import re

from db_ops.postgres.schema.objects import SchemaObject

# Kinds whose words in CREATE, ALTER, DROP and COMMENT are not their name.
_KEYWORDS = {
    "base type": "TYPE",
    "composite type": "TYPE",
    "enum": "TYPE",
    "range type": "TYPE",
    "foreign server": "SERVER",
    "partition": "TABLE",
}
_LAST_PART = re.compile(r'(?:"(?:[^"]|"")*"|[^".]+)\Z')
_ON_PARENT = ("constraint", "trigger", "policy", "rule")


def sql_keyword(kind: str) -> str:
    """Return the SQL keywords for a *kind*."""
    return _KEYWORDS.get(kind, kind.upper())


def address(found: SchemaObject) -> str:
    """Return what follows COMMENT ON, and for most kinds DROP and ALTER."""
    if found.kind in _ON_PARENT:
        return f"{sql_keyword(found.kind)} {found.label} ON {found.parent}"
    if found.kind == "domain constraint":
        return f"CONSTRAINT {found.label} ON DOMAIN {found.parent}"
    if found.kind in ("column", "view column"):
        return f"COLUMN {found.name}"
    return f"{sql_keyword(found.kind)} {found.name}"


def last_part(name: str) -> str:
    """Return the last part of a qualified name, quoted as it is."""
    found = _LAST_PART.search(name)
    return found[0] if found else name


def literal(text: str) -> str:
    """Return *text* as an SQL string."""
    quoted = "'" + text.replace("'", "''") + "'"
    return f" E{quoted}".replace("\\", "\\\\").lstrip() if "\\" in text else quoted


def comment(found: SchemaObject, text: str | None) -> str:
    """Return the statement that gives *found* this comment, or none."""
    return f"COMMENT ON {address(found)} IS {'NULL' if text is None else literal(text)}"


def query(definition: str) -> str:
    """Return a view's query without the server's own framing."""
    return definition.strip().rstrip(";")
