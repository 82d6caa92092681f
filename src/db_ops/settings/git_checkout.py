"""The branch that is checked out, read from the files of a git repository: no process is started.

Source: gitrepository-layout(5), gitglossary(7) on HEAD, and git-config(1), "Syntax".
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

_HEADS = "refs/heads/"
# A rebase detaches HEAD and names the branch here; a bisection, the branch that it began on.
_DURING_REBASE = ("rebase-merge/head-name", "rebase-apply/head-name")
_BISECTED = "BISECT_START"
# HEAD says this where references are kept in a format that only git reads.
_NOT_IN_FILES = "refs/heads/.invalid"
# The key of a branch in the configuration, which git renames and deletes with the branch.
DATABASE_KEY = "dbopsdatabase"


class GitCheckout:
    """A working tree of a repository: `top` is its folder, `directory` its own part of `common`.

    No dataclass, and no pattern is compiled here: each would cost a command more than all it reads.
    """

    def __init__(self, top: Path, directory: Path, common: Path) -> None:
        self.top, self.directory, self.common = top, directory, common

    @classmethod
    def around(cls, folder: Path) -> GitCheckout | None:
        """Return the working tree that *folder* is in, None where there is none."""
        for top in (folder, *folder.parents):
            found = top / ".git"
            if (found / "HEAD").is_file():
                return cls(top, found, found)
            if found.is_file():
                directory = top / _read(found).removeprefix("gitdir:").strip()
                common = _read(directory / "commondir").strip()
                if (directory / "HEAD").is_file():
                    return cls(top, directory, (directory / common).resolve())
        return None

    @cached_property
    def branch(self) -> str | None:
        """The branch that is worked on, also while it is rebased or bisected; None without one."""
        head = _read(self.directory / "HEAD").strip()
        if not head.startswith("ref:"):
            return self._interrupted()
        name = head.removeprefix("ref:").strip()
        if name == _NOT_IN_FILES:
            name = git(self, "symbolic-ref", "-q", "HEAD") or ""
            if not name:
                return self._interrupted()
        return name.removeprefix(_HEADS)

    def _interrupted(self) -> str | None:
        for path in _DURING_REBASE:
            name = _read(self.directory / path).strip()
            if name.startswith(_HEADS):
                return name.removeprefix(_HEADS)
        name = _read(self.directory / _BISECTED).strip()
        return name if name and self.has_branch(name) else None

    @property
    def key(self) -> str:
        """What the database is kept for: a branch, or else this working tree, which no branch is.

        No branch can have a name that begins with a colon.
        """
        if self.branch is not None:
            return self.branch
        linked = self.directory != self.common
        return f":{self.directory.name}" if linked else ":"

    @cached_property
    def default_branch(self) -> str | None:
        """The branch that others are made from, None where nothing tells."""
        head = _read(self.common / "refs/remotes/origin/HEAD").strip()
        prefix = "ref: refs/remotes/origin/"
        if head.startswith(prefix):
            return head.removeprefix(prefix)
        for name in ("main", "master"):
            if self.has_branch(name) or name == self.branch:
                return name
        branches = self.branches()
        if len(branches) > 1:
            return None
        return branches[0] if branches else self.branch

    def has_branch(self, name: str) -> bool:
        if (self.common / _HEADS / name).is_file() or name in self._packed:
            return True
        return self._is_not_in_files and name in self.branches()

    def branches(self) -> tuple[str, ...]:
        """Return the local branches of the repository."""
        if self._is_not_in_files:
            said = git(self, "for-each-ref", "--format=%(refname)", _HEADS) or ""
            return tuple(name.removeprefix(_HEADS) for name in said.splitlines())
        folder = self.common / _HEADS
        loose = {
            str(path.relative_to(folder))
            for path in folder.rglob("*")
            if path.is_file() and path.suffix != ".lock"
        }
        return tuple(sorted(loose | self._packed))

    @cached_property
    def _is_not_in_files(self) -> bool:
        return (self.common / "reftable").is_dir()

    @cached_property
    def _packed(self) -> frozenset[str]:
        lines = _read(self.common / "packed-refs").splitlines()
        names = (line.partition(" ")[2] for line in lines)
        return frozenset(name.removeprefix(_HEADS) for name in names if name.startswith(_HEADS))

    def working_trees(self) -> dict[str, Path]:
        """Return the linked working trees that still exist, by the name that git has for them."""
        found: dict[str, Path] = {}
        for pointer in (self.common / "worktrees").glob("*/gitdir"):
            top = Path(_read(pointer).strip()).parent
            if top.is_dir():
                found[pointer.parent.name] = top
        return found

    def working_trees_of_branches(self) -> dict[str, str]:
        """Return the folder of the working tree that each branch, or detached HEAD, is in."""
        parts = [(self.common.parent, self.common)] if self.common.name == ".git" else []
        parts += [
            (top, self.common / "worktrees" / name) for name, top in self.working_trees().items()
        ]
        return {GitCheckout(top, part, self.common).key: str(top) for top, part in parts}

    @cached_property
    def configured(self) -> tuple[tuple[str, str], ...]:
        """The databases that the configuration names, each after its branch."""
        return tuple(_configured(_read(self.common / "config")))

    def creation(self, branch: str) -> str:
        """Return the line of the reflog that tells of the creation of *branch*, empty without."""
        return _first_line(self.common / "logs" / _HEADS / branch)

    def movements(self) -> list[str]:
        """Return the lines of the reflog of HEAD, oldest first."""
        return _read(self.directory / "logs/HEAD").splitlines()


def git(checkout: GitCheckout, *arguments: str) -> str | None:
    """Return what git prints, None where it fails or is not installed."""
    # Not for a command that is on its branch's database already.
    import subprocess

    try:
        done = subprocess.run(
            ["git", *arguments], cwd=checkout.top, capture_output=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = done.stdout.decode(errors="surrogateescape").strip()
    return said if done.returncode == 0 else None


def _configured(text: str) -> Iterator[tuple[str, str]]:
    if DATABASE_KEY not in text.lower():
        return
    branch = None
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            kind, _, rest = line[1:].partition('"')
            is_branch = kind.strip().lower() == "branch"
            branch = _unescaped(rest) if is_branch else None
            continue
        key, _, value = line.partition("=")
        if branch is not None and key.strip().lower() == DATABASE_KEY:
            yield branch, value.strip().strip('"')


def _unescaped(text: str) -> str:
    """Return the name of a subsection, which *text* begins with, up to its closing quote."""
    name, characters = "", iter(text)
    for one in characters:
        if one == '"':
            break
        name += next(characters, "") if one == "\\" else one
    return name


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as file:
            return file.readline().rstrip("\n")
    except OSError:
        return ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
