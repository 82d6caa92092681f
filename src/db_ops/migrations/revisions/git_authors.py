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
    found: dict[str, str] = {}
    for commit in _said_in_time(root, [*argv, *bound, "--", *paths]).split("\0")[1:]:
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
    of = f", of branch {branch}" if (branch := _branch_with(root, commit)) else ""
    return Checkout(f"check out the commit that has {named}{of}: {command}", command)


def _branch_with(root: Path, commit: str) -> str | None:
    """Return the branch, one of this repository first, that has *commit*, if git tells in time."""
    argv = ["git", "for-each-ref", "--count=1", "--format=%(refname:short)", "--contains", commit]
    return _said_in_time(root, [*argv, "refs/heads", "refs/remotes"]).strip() or None


def before_squash(root: Path, folders: Sequence[str], revision: str, into: str) -> Checkout:
    """Return how to go on from *revision*, whose file was removed when it was squashed *into*.

    With the files of the commit before that; of this very one where it is not committed yet.
    """
    upgrade = f"db-ops upgrade -r {quote(into)}"
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        hint = f"with the release that still has {revision}: {upgrade}; then with this one again"
        return Checkout(hint, None)
    removed = _commit_with(root, folders, revision, "D")
    if removed is None:
        away, back = "git stash --include-untracked", "git stash pop"
    else:
        away, back = f"git switch --detach {removed}~1", "git switch -"
    command = f"{away} && {upgrade} && {back}"
    return Checkout(f"bring it to {into} with the files from before that: {command}", command)


def not_committed(root: Path, paths: Sequence[str]) -> tuple[str, ...]:
    """Return which of the files at *paths* the last commit does not have as they are now."""
    argv = ["git", "diff", "--no-ext-diff", "--no-renames", "--name-only", "--relative", "-z"]
    folders = sorted({str(Path(path).parent) for path in paths})
    try:
        tracked, changed = (
            {
                name.decode(errors="surrogateescape")
                for name in subprocess.run(
                    [*command, "--", *folders], cwd=root, capture_output=True, check=True
                ).stdout.split(b"\0")
            }
            for command in (["git", "ls-tree", "-r", "--name-only", "-z", "HEAD"], [*argv, "HEAD"])
        )
    except (OSError, subprocess.CalledProcessError):
        return tuple(paths)
    return tuple(path for path in paths if path not in tracked or path in changed)


def _commit_with(
    root: Path, folders: Iterable[str], revision: str, change: str = "A"
) -> str | None:
    """Return the newest commit, of any branch, that added the file of *revision*, if git tells.

    Or removed it (D), by *change*.
    """
    # A POSIX regular expression.
    line = f"^revision[^'\"]*['\"]{re.escape(revision)}['\"]"
    argv = ["git", "log", "--all", "--no-renames", "-1", "--format=%h", f"--diff-filter={change}"]
    argv += [f"-G{line}", "--"]
    return _said_in_time(root, [*argv, *folders]).strip() or None


def _said_in_time(root: Path, argv: Sequence[str]) -> str:
    """Return what git prints in *root*; nothing where it is not installed, or takes too long."""
    try:
        done = subprocess.run(argv, cwd=root, capture_output=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace")
