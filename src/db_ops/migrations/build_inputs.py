"""What decides the schema that a project's migrations build, so that a copy can stand in for it.

Some of it is known before: revision files, `env.py`, `alembic.ini`, the installed packages, what
env.py is told by us. The rest is what the build itself turns out to use: the project's modules that
it imports, the files and folders that it reads, wherever they are, those that it looks for in vain,
and the environment variables that it asks for.
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

from db_ops.migrations.cache_files import digest
from db_ops.migrations.process_inputs import ProcessInputs, recorded_inputs
from db_ops.migrations.project import Project
from db_ops.migrations.revisions.digest import read_digest
from db_ops.migrations.revisions.index import revision_files
from db_ops.settings.environment import variable_digest, variables

_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+(\w+)[\w.]*[ \t]+import\b|import[ \t]+([^#\n;]+))", re.M
)
_NOT_READ = ("__pycache__", ".git", ".db_ops", "site-packages", "dist-packages")
# A project may lie in memory, where there are files among the devices.
_NOT_FILES = re.compile(r"/(?:proc|sys|dev(?!/shm/))/")
_LIBRARIES = ("stdlib", "platstdlib", "purelib", "platlib")
_VARIABLE = "$"

# By name, a path or a variable after `$`, the digest of what it holds; empty if it is not there.
Files = Mapping[str, str]


@dataclass(frozen=True)
class BuildInputs:
    """What is known before a build; `digest` is equal where it is, on every machine.

    `our_cache` is the folder whose files are ours and not part of any build; `seeds` are those
    that are part of it.
    """

    project: Project
    our_cache: Path | None = None
    seeds: tuple[str, ...] = ()

    @property
    def root(self) -> Path:
        return self.project.root

    @cached_property
    def digest(self) -> str:
        """The digest of all inputs known before the build."""
        texts = [part for path, text in self._running.items() for part in (path, text)]
        packages = installed_packages()
        return digest(sys.version, self.env_py_arguments, *packages, *texts, self._revisions)

    @cached_property
    def env_py_arguments(self) -> str:
        """What env.py depends on besides files: section, `-x`, import paths, models, bootstrap."""
        project = self.project
        paths = (project.script_location, *project.version_locations, *project.import_paths)
        named = (project.flask_app, project.models, project.bootstrap, *self.seeds)
        return repr((project.section, project.x, *named, *map(project.display, paths)))

    @property
    def named_modules(self) -> Iterator[str]:
        """The top-level packages that the build imports because the project names a module."""
        project = self.project
        for name in (*project.models, project.bootstrap or "", *self.seeds):
            if name and not name.endswith(".sql"):
                yield name.partition(":")[0].partition(".")[0]

    @cached_property
    def sources(self) -> dict[str, bytes]:
        """The content of `alembic.ini`, `env.py` and all revision files."""
        return self._running | self._contents(map(Path, revision_files(self.project)))

    @cached_property
    def _running(self) -> dict[str, bytes]:
        """The content of `alembic.ini` and `env.py`."""
        return self._contents((self.project.alembic_ini, self.project.env_py))

    @cached_property
    def _revisions(self) -> str:
        return read_digest(self.project, self.our_cache)

    def _contents(self, paths: Iterable[Path]) -> dict[str, bytes]:
        return {self.project.display(path): path.read_bytes() for path in paths}

    def are_unchanged(self, used: Files) -> bool:
        """Tell whether the files and variables that a build has used have not changed since."""
        return all(self._digest_of(name) == digest for name, digest in used.items())

    def _digest_of(self, name: str) -> str:
        if name.startswith(_VARIABLE):
            return variable_digest(name.removeprefix(_VARIABLE), variables()) or ""
        return _digest_of(self.root / name)

    def loaded_modules(self) -> Mapping[str, Path]:
        """Return the project's modules that the revisions or `env.py` lead to, loaded by now."""
        return _modules_used(self, frozenset(sys.modules))

    @contextmanager
    def recording(self) -> Iterator[UsedInputs]:
        """Record what a build uses, for a `with` block."""
        # A build may set variables itself, from a file that it reads: what counts is what was set.
        with recorded_inputs() as read:
            yield UsedInputs(self, frozenset(sys.modules), time.time(), variables(), read)


@dataclass
class UsedInputs:
    """What a build has used beyond its `inputs`; complete when its recording has ended."""

    inputs: BuildInputs
    before: frozenset[str] = field(repr=False)
    began: float
    environment: Mapping[str, str] = field(repr=False)
    read: ProcessInputs

    def files(self) -> Files | None:
        """Return the files, folders and variables used, each with the digest of what it holds.

        None if that is not certain: a module was imported before, so that what it has read and
        whether its file has changed since is not known; or a file was changed during the build.
        """
        modules = _modules_used(self.inputs, self.before)
        if any(name in self.before for name in modules):
            return None
        if replace(self.inputs).digest != self.inputs.digest:
            return None
        paths = {*modules.values(), *filter(self._counts, self._new())}
        if any(path.is_file() and path.stat().st_mtime >= self.began for path in paths):
            return None
        project = self.inputs.project
        named = {project.display(path): _digest_of(path) for path in sorted(paths)}
        files = {name: named[name] for name in named if name not in self.inputs.sources}
        return files | self._variables()

    def _variables(self) -> dict[str, str]:
        names = sorted(self.read.variables)
        found = {_VARIABLE + name: variable_digest(name, self.environment) for name in names}
        return {name: digest for name, digest in found.items() if digest is not None}

    def _new(self) -> Iterator[Path]:
        """Yield the opened paths that are not among what was known before, nor part of Python."""
        inside, known = f"{self.inputs.root}{os.sep}", self.inputs.sources
        foreign = _libraries()
        for path in self.read.paths:
            if path.removeprefix(inside) in known or path.startswith(foreign):
                continue
            if not _NOT_FILES.match(path):
                yield Path(path)

    def _counts(self, path: Path) -> bool:
        """Tell whether a path that was opened is the project's business, and not Python's or ours.

        One that is not there is too: it may be, the next time.
        """
        ours = self.inputs.our_cache
        if ours is not None and path.is_relative_to(ours):
            return False
        if path.is_dir() or str(path) in sys.path:
            return not {str(path), f"{path}{os.sep}"} & {*sys.path, *sys.path_importer_cache} and (
                path not in self.inputs.project.revision_folders
            )
        return not any(part in _NOT_READ for part in path.parts)


def _modules_used(inputs: BuildInputs, before: frozenset[str]) -> dict[str, Path]:
    """Return the project's modules that are loaded: new ones, and what the revisions lead to."""
    ours = dict(_project_modules())
    found = {name for name in ours if name not in before}
    waiting = set().union(*map(_imported_by, inputs.sources.values()))
    waiting |= {name.partition(".")[0] for name in found} | set(inputs.named_modules)
    seen: set[str] = set()
    while waiting:
        top = waiting.pop()
        seen.add(top)
        below = {name for name in ours if name.partition(".")[0] == top}
        found |= below
        for name in below:
            waiting |= _imported_by(ours[name].read_bytes()) - seen
    # The entry point of the command is not part of the build.
    return {name: ours[name] for name in found if name != "__main__"}


def _project_modules() -> Iterator[tuple[str, Path]]:
    """Yield the loaded modules that no package manager has installed, and that are not ours."""
    foreign = _libraries()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file or file.startswith(foreign):
            continue
        path = Path(file)
        if not any(part in _NOT_READ for part in path.parts) and path.is_file():
            yield name, path


@cache
def _libraries() -> tuple[str, ...]:
    """Return the folders of Python's library, of installed packages, and our own."""
    folders = {*map(sysconfig.get_path, _LIBRARIES), str(Path(__file__).parents[1])}
    return tuple(f"{folder}{os.sep}" for folder in folders)


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
    found = {name for folder in _import_paths() for name in _names(folder)}
    return sorted(name for name in found if name.endswith(suffixes))


@cache
def _import_paths() -> tuple[Path, ...]:
    """Return the import paths before any code of the project's has run, which may add to them."""
    return tuple(map(Path, sys.path))


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
