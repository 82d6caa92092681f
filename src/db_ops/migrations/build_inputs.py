"""What decides the schema that a project's migrations build, so that a copy can stand in for it.

Some of it is known before: revision files, `env.py`, `alembic.ini`, the installed packages. The
rest is what the build itself turns out to use: the project's modules that it imports, and the files
and folders of the project that it reads.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path

from db_ops.migrations.kept_files import digest
from db_ops.migrations.project import Project
from db_ops.migrations.revision_contents import read_digest
from db_ops.migrations.revision_index import Listing

_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+(\w+)[\w.]*[ \t]+import\b|import[ \t]+([^#\n;]+))", re.M
)
_NOT_READ = ("__pycache__", ".git", ".db_ops", "site-packages", "dist-packages")
_WRITES = os.O_WRONLY | os.O_RDWR

Files = Mapping[str, str]


@dataclass(frozen=True)
class BuildInputs:
    """What is known before a build; `digest` is equal where it is, on every machine.

    `our_cache` is the folder whose files are ours and not part of any build.
    """

    project: Project
    our_cache: Path | None = None

    @property
    def root(self) -> Path:
        return self.project.root

    @cached_property
    def digest(self) -> str:
        """The digest of the revision files, `env.py`, `alembic.ini` and the installed packages."""
        texts = [part for path, text in self._running.items() for part in (path, text)]
        return digest(sys.version, *installed_packages(), *texts, self._revisions)

    @cached_property
    def sources(self) -> dict[str, bytes]:
        """The content of `alembic.ini`, `env.py` and all revision files."""
        return self._running | self._contents(map(Path, Listing(self.project.revision_folders)))

    @cached_property
    def _running(self) -> dict[str, bytes]:
        """What runs the revisions."""
        return self._contents((self.project.alembic_ini, self.project.env_py))

    @cached_property
    def _revisions(self) -> str:
        return read_digest(self.project, self.our_cache)

    def _contents(self, paths: Iterable[Path]) -> dict[str, bytes]:
        return {self.project.display(path): path.read_bytes() for path in paths}

    def are_still(self, used: Files) -> bool:
        """Tell whether the files that a build has used have not changed since."""
        return all(_digest_of(self.root / path) == digest for path, digest in used.items())

    @contextmanager
    def recording(self) -> Iterator[Used]:
        """Note what a build uses, for a `with` block."""
        used = Used(self, frozenset(sys.modules), time.time())
        opened = _opened()
        before = opened.recording, opened.paths
        opened.recording, opened.paths = True, set()
        try:
            yield used
        finally:
            used.opened |= opened.paths
            before[1].update(opened.paths)
            opened.recording, opened.paths = before


@dataclass
class Used:
    """What a build has used beyond its `inputs`; complete when its recording has ended."""

    inputs: BuildInputs
    before: frozenset[str] = field(repr=False)
    began: float
    opened: set[str] = field(default_factory=set)

    def files(self) -> Files | None:
        """Return the files and folders used, each with the digest of what it holds.

        None if that is not certain: a module was imported before, so that what it has read and
        whether its file has changed since is not known; or a file was changed during the build.
        """
        modules = self._modules()
        if any(name in self.before for name in modules):
            return None
        if replace(self.inputs).digest != self.inputs.digest:
            return None
        paths = {*modules.values(), *filter(self._counts, self._new())}
        if any(path.is_file() and path.stat().st_mtime >= self.began for path in paths):
            return None
        project = self.inputs.project
        named = {project.display(path): _digest_of(path) for path in sorted(paths)}
        return {name: named[name] for name in named if name not in self.inputs.sources}

    def _modules(self) -> dict[str, Path]:
        """Return the project's modules that the revisions or `env.py` lead to."""
        ours = dict(_project_modules())
        found = {name for name in ours if name not in self.before}
        waiting = set().union(*map(_imported_by, self.inputs.sources.values()))
        waiting |= {name.partition(".")[0] for name in found}
        seen: set[str] = set()
        while waiting:
            top = waiting.pop()
            seen.add(top)
            below = {name for name in ours if name.partition(".")[0] == top}
            found |= below
            for name in below:
                waiting |= _imported_by(ours[name].read_bytes()) - seen
        # The door that the command came through is not part of the build.
        return {name: ours[name] for name in found if name != "__main__"}

    def _new(self) -> Iterator[Path]:
        """Yield the opened paths inside the project that are not among what was known before."""
        inside, known = f"{self.inputs.root}{os.sep}", self.inputs.sources
        for path in self.opened:
            name = path.removeprefix(inside)
            if name != path and name not in known and "__pycache__" not in name:
                yield Path(path)

    def _counts(self, path: Path) -> bool:
        """Tell whether a path that was opened is the project's own, and not Python's business."""
        if not path.exists():
            return False
        ours = self.inputs.our_cache
        if ours is not None and path.is_relative_to(ours):
            return False
        if path.is_dir():
            return str(path) not in sys.path_importer_cache and (
                path not in self.inputs.project.revision_folders
            )
        return not any(part in _NOT_READ for part in path.parts)


@dataclass
class _Opened:
    """The paths that this process opens for reading while `recording`."""

    recording: bool = False
    paths: set[str] = field(default_factory=set)

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.recording or event not in ("open", "os.listdir", "os.scandir"):
            return
        path, *how = arguments
        mode, flags = how if event == "open" else ("r", 0)
        if isinstance(mode, str) and not set(mode).isdisjoint("wax+"):
            return
        if isinstance(flags, int) and flags & _WRITES:
            return
        if isinstance(path, str | bytes | os.PathLike):
            # Thousands are opened: what is not the project's own must not cost more than this.
            self.paths.add(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100


@cache
def _opened() -> _Opened:
    # An audit hook stays until the process ends, so there is only one.
    hook = _Opened()
    sys.addaudithook(hook)
    return hook


def _project_modules() -> Iterator[tuple[str, Path]]:
    """Yield the loaded modules that no package manager has installed, and that are not ours."""
    foreign = tuple(
        f"{folder}{os.sep}"
        for folder in (sysconfig.get_path("stdlib"), str(Path(__file__).parents[1]))
    )
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file or file.startswith(foreign):
            continue
        path = Path(file)
        if not any(part in _NOT_READ for part in path.parts) and path.is_file():
            yield name, path


def _imported_by(source: bytes) -> set[str]:
    """Return the names of the top-level packages that *source* imports, or seems to."""
    names: set[str] = set()
    for package, several in _IMPORT.findall(source):
        for part in several.split(b",") if several else (package,):
            names.add(part.strip().partition(b".")[0].partition(b" ")[0].decode(errors="replace"))
    return names


def installed_packages() -> list[str]:
    """Return names and versions of what is installed, from the names of its metadata folders."""
    suffixes = (".dist-info", ".egg-info")
    found = {
        name for folder in sys.path for name in _names(Path(folder)) if name.endswith(suffixes)
    }
    return sorted(found)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(folder))
    except OSError:
        return []


def _digest_of(path: Path) -> str:
    """Return the digest of a file's content or of the names in a folder; empty if it is gone."""
    try:
        return digest(*_names(path)) if path.is_dir() else digest(path.read_bytes())
    except OSError:
        return ""
