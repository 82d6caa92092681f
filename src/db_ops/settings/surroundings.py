"""What a project's own settings may be read from: the environment and the project's `.env`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from db_ops.errors import MisuseError
from db_ops.settings.url import DatabaseUrl
from db_ops.settings.variables import read_variables

# A shell and a terminal set these, and no service reads its database from them.
_OF_NO_INTEREST = frozenset(
    ("_", "COLUMNS", "LINES", "OLDPWD", "PWD", "SHLVL", "TERM", "WINDOWID", "INVOCATION_ID")
)


def environment_digest(root: Path) -> str:
    """Return what is equal where the environment, and the `.env` in *root*, are.

    It tells nothing of what is in them.
    """
    state = blake2b(digest_size=16, person=b"db_ops-environ")
    for name, value in sorted(os.environ.items()):
        if name not in _OF_NO_INTEREST:
            state.update(f"{len(name)}={len(value)}={name}{value}".encode(errors="surrogateescape"))
    with suppress(OSError):
        state.update((root / ".env").read_bytes())
    return state.hexdigest()


def variable_with(url: DatabaseUrl, root: Path) -> str | None:
    """Return the name of a variable that holds *url*, None if there is none."""
    for name, value in read_variables(root)[0].items():
        if "://" in value and _parsed(value) == url.parameters:
            return name
    return None


def url_in(name: str, root: Path) -> DatabaseUrl | None:
    """Return the URL that the variable *name* holds, None if it holds none."""
    parameters = _parsed(read_variables(root)[0].get(name, ""))
    return DatabaseUrl(parameters) if parameters else None


def _parsed(text: str) -> Mapping[str, str] | None:
    try:
        return DatabaseUrl.parse(text).parameters
    except MisuseError:
        return None
