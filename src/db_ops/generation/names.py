"""Names as the catalogs quote them, as people and SQLAlchemy write them."""

from __future__ import annotations

import re

_PART = re.compile(r'"((?:[^"]|"")*)"|([^".]+)')


def plain(name: str) -> tuple[str, ...]:
    """Return the parts of a qualified name without quotes."""
    return tuple(
        bare if bare else quoted.replace('""', '"') for quoted, bare in _PART.findall(name)
    )


def short(name: str) -> str:
    """Return a qualified name as people say it: without the schema that goes without saying."""
    return name.removeprefix("public.")


def split_statements(sql: str) -> tuple[str, ...]:
    """Return the statements of *sql*, which are divided by semicolons outside of quotes."""
    statements, start, quote = [], 0, ""
    for position, character in enumerate(sql):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == ";":
            statements.append(sql[start:position])
            start = position + 1
    statements.append(sql[start:])
    return tuple(filter(None, (statement.strip() for statement in statements)))
