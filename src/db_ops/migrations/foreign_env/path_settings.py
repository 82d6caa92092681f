"""Find the search path that env.py sets for its sessions, or has its engines connect with."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from db_ops.migrations.env.configured import SEARCH_PATH

_OPTION = re.compile(r"-c\s*search_path=((?:\\.|\S)+)")


def path_of_statements(statements: Iterable[str]) -> str | None:
    """Return the search path that all *statements* set which set one."""
    found = {match[1] for match in map(SEARCH_PATH.match, statements) if match}
    return found.pop() if len(found) == 1 else None


def path_of_engines(destinations: Iterable[dict[str, Any]]) -> str | None:
    """Return the search path with which all engines of env.py connect."""
    found: set[str | None] = set()
    for one in destinations:
        named = (one.get("server_settings") or {}).get("search_path")
        option = _OPTION.search(f"{one.get('options', '')} {one.get('dsn', '')}")
        found.add(named or (re.sub(r"\\(.)", r"\1", option[1].strip("'")) if option else None))
    return found.pop() if len(found) == 1 else None
