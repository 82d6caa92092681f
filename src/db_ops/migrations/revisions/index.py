"""An index of the revision files, so that a file is read once and not at every command.

What it says of a file counts only while the file's name, size and time of modification are as they
were. A file changed within two seconds of being indexed is read again: it may change once more
without its time showing that. The index may be deleted at any time, and any number of processes may
write it at once; the last one wins.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from stat import S_ISDIR
from typing import TYPE_CHECKING, Any

from db_ops.frozen_data import FrozenData, field
from db_ops.migrations.cache_files import short_name, write_atomically

if TYPE_CHECKING:
    from db_ops.migrations.project import Project

_FORMAT = 3
_CACHE = "__pycache__"
# Alembic passes over the files whose names begin so, or have a line break.
_NO_REVISION = (".#", "__init__")
UNSETTLED_NS = 2_000_000_000


class IndexEntry(FrozenData):
    """The identifiers in one revision file; `depends` may hold branch labels.

    `replaces` and `replaced_checksum` are those of a `Node`.
    """

    revision: str
    down: tuple[str, ...]
    depends: tuple[str, ...]
    labels: tuple[str, ...]
    summary: str
    replaces: tuple[str, ...] = ()
    replaced_checksum: str | None = None


# What tells whether a file has changed: its size in bytes, its modification in ns.
Stat = tuple[int, int]


class RevisionFileList(Mapping[str, Stat]):
    """The revision files in some folders, in the order of their names, as Alembic knows them.

    The mapping of their paths is made when a question first needs it: that nothing has changed is
    seen by the `text` alone. `sourceless` is Alembic's option: then compiled files count
    that have no source beside them.
    """

    def __init__(self, folders: Iterable[Path], *, sourceless: bool = False) -> None:
        links: list[str] = []
        self._folders = [(str(folder), _list(str(folder), links, sourceless)) for folder in folders]
        if links:
            self._leave_out_repeated(links)

    def _leave_out_repeated(self, links: list[str]) -> None:
        """Leave out all but the first of the *links* to one file, and those to a listed file."""
        repeated: set[str] = set()
        seen = {
            f"{folder}{os.sep}{name}" for folder, files in self._folders for name, _, _ in files
        }.difference(links)
        for link in links:
            leads_to = os.path.realpath(link)
            if leads_to in seen:
                repeated.add(link)
            seen.add(leads_to)
        self._folders = [
            (folder, [one for one in files if f"{folder}{os.sep}{one[0]}" not in repeated])
            for folder, files in self._folders
        ]

    def __getitem__(self, path: str) -> Stat:
        return self._stats[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._stats)

    def __len__(self) -> int:
        return sum(len(files) for _, files in self._folders)

    @cached_property
    def text(self) -> str:
        """All that is listed, in one line."""
        return json.dumps(self._folders)

    @cached_property
    def _stats(self) -> dict[str, Stat]:
        return {
            f"{folder}{os.sep}{name}": (size, modified)
            for folder, files in self._folders
            for name, size, modified in files
        }


class RevisionIndex(FrozenData):
    """The index that an earlier command wrote. `heads` are those of a valid graph."""

    path: Path | None
    listing: str = ""
    heads: tuple[str, ...] = ()
    settled: bool = False
    body: bytes = field(default=b"{}", repr=False)

    @classmethod
    def read(cls, folder: Path | None, locations: Iterable[Path]) -> RevisionIndex:
        """Return the index of *locations* kept in *folder*; an empty one if there is none."""
        if folder is None:
            return cls(None)
        path = folder / f"revisions-{short_name(*map(str, locations))}.json"
        try:
            head, listing, body = path.read_bytes().split(b"\n", 2)
            version, length, settled, heads = json.loads(head)
            if (version, length) == (_FORMAT, len(body)):
                return cls(path, listing.decode(), tuple(heads), settled, body)
        except (OSError, ValueError, TypeError):
            pass
        return cls(path)

    def is_current(self, listing: RevisionFileList) -> bool:
        """Tell whether the files are those of the index, so that none has to be read."""
        return self.settled and self.listing == listing.text

    def entry(self, path: str, stat: Stat) -> IndexEntry | None:
        """Return what the index knows of a file, None if the file has changed since."""
        known = self._known.get(path)
        return known[1] if known and known[0] == stat else None

    @property
    def entries(self) -> Mapping[str, IndexEntry]:
        return {path: entry for path, (_, entry) in self._known.items()}

    @cached_property
    def _known(self) -> Mapping[str, tuple[Stat, IndexEntry]]:
        try:
            return {
                path: (
                    (size, modified),
                    _entry(entry),
                )
                for path, (size, modified, *entry) in json.loads(self.body).items()
            }
        except (ValueError, TypeError, AttributeError):
            return {}

    def write(
        self, listing: RevisionFileList, entries: Mapping[str, IndexEntry], heads: tuple[str, ...]
    ) -> None:
        """Keep *entries*, the content of the files in *listing*, for later commands.

        A folder that cannot be written to is no failure: the next command reads the files again.
        """
        if self.path is None:
            return
        old = time.time_ns() - UNSETTLED_NS
        kept = {
            path: (*listing[path], *vars(entry).values())
            for path, entry in entries.items()
            if listing[path][1] < old
        }
        settled = len(kept) == len(listing)
        body = json.dumps(kept)
        head = json.dumps((_FORMAT, len(body), settled, heads))
        with suppress(OSError):
            write_atomically(self.path, f"{head}\n{listing.text}\n{body}".encode())


def _entry(values: Iterable[Any]) -> IndexEntry:
    fields: list[Any] = [tuple(one) if isinstance(one, list) else one for one in values]
    return IndexEntry(*fields)


def revision_files(project: Project) -> RevisionFileList:
    """Return the revision files of *project*."""
    return RevisionFileList(project.revision_folders, sourceless=project.sourceless)


def _list(folder: str, links: list[str], sourceless: bool) -> list[tuple[str, int, int]]:
    """Return name, size and modification of the revision files in *folder*; none without it.

    The path of each that is a symbolic link is added to *links*.
    """
    if not sourceless:
        return _files(folder, links, _is_source)
    stems = {one.partition(".")[0] for one, _, _ in _files(folder, [], lambda name: True)}
    compiled = _files(f"{folder}{os.sep}{_CACHE}", links, _is_source_or_compiled)
    found = [
        *_files(folder, links, _is_source_or_compiled),
        *(
            (f"{_CACHE}{os.sep}{name}", size, modified)
            for name, size, modified in compiled
            if name.partition(".")[0] not in stems
        ),
    ]
    names = {name for name, _, _ in found}
    return [one for one in found if _preferred_forms(one[0]).isdisjoint(names)]


def _is_source(name: str, endings: tuple[str, ...] = (".py",)) -> bool:
    return name.endswith(endings) and not name.startswith(_NO_REVISION) and "\n" not in name


def _is_source_or_compiled(name: str) -> bool:
    return _is_source(name, (".py", ".pyc", ".pyo"))


def _preferred_forms(name: str) -> set[str]:
    """Return the names of what Alembic takes instead of a compiled file, if it is there."""
    source = name[:-1] if name.endswith((".pyc", ".pyo")) else ""
    return {source, f"{source}c"} - {"", "c", name} if name.endswith("o") else {source} - {""}


def _files(
    folder: str, links: list[str], counts: Callable[[str], object]
) -> list[tuple[str, int, int]]:
    try:
        # Through a descriptor, the system need not walk the path to the folder for each file.
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = []
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                if entry.is_symlink():
                    # The name counts of what it leads to.
                    path = f"{folder}{os.sep}{entry.name}"
                    if not counts(os.path.realpath(path).rpartition(os.sep)[2]):
                        continue
                    links.append(path)
                elif not counts(entry.name):
                    continue
                try:
                    state = entry.stat()
                except FileNotFoundError:
                    # A link to nothing: who reads it says so.
                    found.append((entry.name, -1, -1))
                    continue
                if not S_ISDIR(state.st_mode):
                    found.append((entry.name, state.st_size, state.st_mtime_ns))
    finally:
        os.close(descriptor)
    return sorted(found, key=itemgetter(0))
