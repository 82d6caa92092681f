"""The files of another commit, in a folder of their own that goes again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from db_ops.errors import NoRepository, ReferenceUnknown
from db_ops.settings.environment import variables

# What git tells a hook about the repository that it runs in is about the user's index.
_OF_HOOKS = ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_PREFIX")
# Files that git ignores, and models may read: `.env`, a version that a build has written.
_SMALL = 1_000_000
_NOT_READ = (".pyc", ".pyo", ".so", ".log", ".db", ".sqlite", ".sqlite3")


@dataclass(frozen=True)
class ReleaseCheckout:
    """The files of `commit`, which `reference` names, in `folder`; the user's are at `top`."""

    reference: str
    commit: str
    top: Path
    folder: Path

    @property
    def name(self) -> str:
        """The reference, and the commit in short if that is another name."""
        short = self.commit[:10]
        return (
            self.reference
            if self.commit.startswith(self.reference)
            else (f"{self.reference} ({short})")
        )

    def path_of(self, path: Path) -> Path:
        """Return where the file is here that the user has at *path*."""
        return self.folder / path.relative_to(self.top) if path.is_relative_to(self.top) else path


@contextmanager
def release_checkout(root: Path, reference: str, command: str) -> Iterator[ReleaseCheckout]:
    """Write the files of *reference* to a temporary folder, for a `with` block.

    The user's files, index and list of worktrees are not touched: an index of its own is read and
    written out. Raises `NoRepository`, `ReferenceUnknown`, whose hints end in *command*.
    """
    commit = find_commit(root, reference, command)
    top = Path(_git(root, "rev-parse", "--show-toplevel", or_raise=NoRepository(str(root))))
    with TemporaryDirectory(prefix="db_ops_release_", ignore_cleanup_errors=True) as made:
        folder = Path(made).resolve() / "checkout"
        folder.mkdir()
        index = {"GIT_INDEX_FILE": str(Path(made).resolve() / "index")}
        unknown = ReferenceUnknown(reference, "its files cannot be read", _fetch(reference))
        _git(top, "read-tree", commit, more=index, or_raise=unknown)
        write = ("checkout-index", "--all", "--force", f"--prefix={folder}/")
        _git(top, *write, more=index, or_raise=unknown)
        _link_ignored(top, folder)
        yield ReleaseCheckout(reference, commit, top, folder)


def merge_base(root: Path, commit: str) -> str | None:
    """Return the last commit that this checkout and *commit* have in common, in short."""
    done = _run(root, "merge-base", "HEAD", commit)
    return done.stdout.decode().strip()[:10] if done and not done.returncode else None


def find_commit(root: Path, reference: str, command: str) -> str:
    """Return the commit that *reference* names; see `release_checkout` for what it raises."""
    _git(root, "rev-parse", "--show-toplevel", or_raise=NoRepository(str(root)))
    named = f"{reference}^{{commit}}"
    # Behind --end-of-options nothing is an option, whatever it begins with.
    found = _run(root, "rev-parse", "--verify", "--quiet", "--end-of-options", named)
    text = found.stdout.decode(errors="replace").split() if found else []
    if found and not found.returncode and text:
        return text[-1]
    shallow = _run(root, "rev-parse", "--is-shallow-repository")
    if shallow and shallow.stdout.strip() == b"true":
        raise ReferenceUnknown(
            reference,
            "this clone is shallow and has no such commit",
            "fetch the history first (actions/checkout: with: {fetch-depth: 0}; GitLab: GIT_DEPTH:"
            f" 0): git fetch --unshallow --tags; then: {command}",
        )
    raise ReferenceUnknown(
        reference,
        "git knows no such tag, branch or commit",
        f"{_fetch(reference)}; then: {command}",
    )


def _fetch(reference: str) -> str:
    remote = reference.partition("/")[0] if "/" in reference else ""
    fetch = f"git fetch --tags {remote}".strip()
    return f"see what there is: git tag, git branch --all; or fetch it: {fetch}"


def _git(
    folder: Path, *arguments: str, or_raise: Exception, more: Mapping[str, str] | None = None
) -> str:
    done = _run(folder, *arguments, more=more)
    if done is None or done.returncode:
        raise or_raise
    return done.stdout.decode(errors="surrogateescape").rstrip("\n")


def _run(
    folder: Path, *arguments: str, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes] | None:
    environment = {name: value for name, value in variables().items() if name not in _OF_HOOKS}
    argv = ["git", "-c", "core.sparseCheckout=false", "-c", "core.fsmonitor=false", *arguments]
    try:
        return subprocess.run(
            argv, cwd=folder, env={**environment, **(more or {})}, capture_output=True, check=False
        )
    except OSError:
        return None


def _link_ignored(top: Path, folder: Path) -> None:
    """Link the single files that git ignores, as `.env`, where the commit has none of that name."""
    argv = ("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
    done = _run(top, *argv)
    for name in (done.stdout if done else b"").split(b"\0"):
        path = Path(os.fsdecode(name))
        if not name or name.endswith(b"/") or path.suffix in _NOT_READ:
            continue
        here, there = top / path, folder / path
        is_small = here.is_file() and here.stat().st_size < _SMALL
        if is_small and there.parent.is_dir() and not there.exists():
            there.symlink_to(here)
