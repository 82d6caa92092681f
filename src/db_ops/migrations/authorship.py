"""When a revision was written, by its own docstring, and by whom, by git."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

_CREATED = re.compile(
    rb"^Create(?:d| Date):[ \t]*(\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d)?)", re.MULTILINE
)
_BEGINNING = 4096
# A history so long that git takes longer is not worth the wait.
_PATIENCE = 0.5


def created(path: Path) -> str | None:
    """Return when Alembic wrote the file (ISO 8601), by its line `Create Date` or `Created`."""
    try:
        with path.open("rb") as file:
            found = _CREATED.search(file.read(_BEGINNING))
        return datetime.fromisoformat(found[1].decode()).isoformat() if found else None
    except (OSError, ValueError):
        return None


def authors(root: Path, paths: Iterable[str], since: str | None) -> Mapping[str, str]:
    """Return who committed each of the files first, as far as git tells within half a second.

    *paths* are relative to *root*; *since* (ISO 8601) is when the oldest was written, so that git
    need not look further back.
    """
    bound = []
    if since is not None:
        # A clock, or a zone, may differ.
        earliest = datetime.fromisoformat(since) - timedelta(days=2)
        bound = [f"--since={earliest.isoformat()}"]
    argv = ["git", "log", "--diff-filter=A", "--format=%x00%an", "--name-only", "--relative"]
    try:
        done = subprocess.run(
            [*argv, *bound, "--", *paths],
            cwd=root,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    found: dict[str, str] = {}
    for commit in done.stdout.decode(errors="replace").split("\0")[1:]:
        author, *names = commit.splitlines()
        # Newest first, so that the first commit of a file is the last one seen.
        found.update({name: author for name in names if name})
    return found
