"""Parse and display the qualified, quoted names of the catalogs."""

from __future__ import annotations

import re

_PART = re.compile(r'"((?:[^"]|"")*)"|([^".]+)')


def unquoted_parts(name: str) -> tuple[str, ...]:
    """Return the parts of a qualified name without quotes."""
    return tuple(
        bare if bare else quoted.replace('""', '"') for quoted, bare in _PART.findall(name)
    )


def display_name(name: str) -> str:
    """Return a qualified name for display: without the schema if that is `public`."""
    return name.removeprefix("public.")


def schema_prefix(name: str) -> str:
    """Return what stands before the last part of a qualified name, quoted as it is."""
    *_, last = _PART.finditer(name)
    return name[: last.start()]
