"""When a revision was written, by its own docstring; by whom and in which commit, by git."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from shlex import quote

_CREATED = re.compile(
    rb"^Create(?:d| Date):[ \t]*(\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d)?)", re.MULTILINE
)
_BEGINNING = 4096
# A history so long that git takes longer is not worth the wait.
_PATIENCE = 0.5


def creation_date(path: Path) -> str | None:
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


@dataclass(frozen=True)
class Checkout:
    """How to check out missing revision files: a `hint`, and the `command` in it, if any."""

    hint: str
    command: str | None


def checkout_of(root: Path, folders: Sequence[str], revisions: tuple[str, ...]) -> Checkout:
    """Return how to check out the files of *revisions*, which the project in *root* lacks.

    The newest revision, the last one, is looked for in all commits of its repository, if it has
    one: its commit has what it follows as well.
    """
    newest, named = revisions[-1], ", ".join(revisions)
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return Checkout(f"run the release that has {named}", None)
    commit = _commit_with(root, folders, newest)
    if commit is None:
        command = f"git log --all --oneline -S {quote(newest)} -- {' '.join(map(quote, folders))}"
        return Checkout(f"find the commit that has {named}, and check it out: {command}", command)
    command = f"git switch --detach {commit}"
    return Checkout(f"check out the commit that has {named}: {command}", command)


def _commit_with(root: Path, folders: Iterable[str], revision: str) -> str | None:
    """Return the newest commit, of any branch, that added the file of *revision*, if git tells."""
    # A POSIX regular expression.
    line = f"^revision[^'\"]*['\"]{re.escape(revision)}['\"]"
    argv = ["git", "log", "--all", "-1", "--format=%h", "--diff-filter=A", f"-G{line}", "--"]
    try:
        done = subprocess.run(
            [*argv, *folders], cwd=root, capture_output=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace").strip() or None
