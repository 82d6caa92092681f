"""An index of the revision files, so that a file is read once and not at every command.

What it says of a file counts only while the file's name, size and time of modification are as they
were. A file changed within two seconds of being indexed is read again: it may change once more
without its time showing that. The index may be deleted at any time, and any number of processes may
write it at once; the last one wins.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from operator import attrgetter
from pathlib import Path

_FORMAT = 1
_IS_REVISION_FILE = re.compile(r"(?!\.#|__init__).*\.py\Z").match
UNSETTLED_NS = 2_000_000_000


@dataclass(frozen=True)
class Entry:
    """What one revision file says of itself; `depends` may hold branch labels."""

    revision: str
    down: tuple[str, ...]
    depends: tuple[str, ...]
    labels: tuple[str, ...]
    summary: str


# What tells whether a file has changed: its size in bytes, its modification in ns.
Stat = tuple[int, int]
Listing = Mapping[str, Stat]


@dataclass(frozen=True)
class RevisionIndex:
    """What an earlier command read. `heads` are those of a graph without a contradiction."""

    path: Path | None
    digest: str = ""
    heads: tuple[str, ...] = ()
    settled: bool = False
    body: bytes = field(default=b"{}", repr=False)

    @classmethod
    def read(cls, folder: Path | None, locations: Iterable[Path]) -> RevisionIndex:
        """Return the index of *locations* kept in *folder*; an empty one if there is none."""
        if folder is None:
            return cls(None)
        path = folder / f"revisions-{_digest(map(str, locations))[:12]}.json"
        try:
            head, body = path.read_bytes().split(b"\n", 1)
            version, length, digest, settled, heads = json.loads(head)
            if (version, length) == (_FORMAT, len(body)):
                return cls(path, digest, tuple(heads), settled, body)
        except (OSError, ValueError, TypeError):
            pass
        return cls(path)

    def is_current(self, listing: Listing) -> bool:
        """Tell whether the files are those of the index, so that none has to be read."""
        return self.settled and self.digest == _fingerprint(listing)

    def entry(self, path: str, stat: Stat) -> Entry | None:
        """Return what the index knows of a file, None if the file has changed since."""
        known = self._known.get(path)
        return known[1] if known and known[0] == stat else None

    @property
    def entries(self) -> Mapping[str, Entry]:
        return {path: entry for path, (_, entry) in self._known.items()}

    @cached_property
    def _known(self) -> Mapping[str, tuple[Stat, Entry]]:
        try:
            return {
                path: (
                    (size, modified),
                    Entry(revision, tuple(down), tuple(depends), tuple(labels), summary),
                )
                for path, (size, modified, revision, down, depends, labels, summary) in json.loads(
                    self.body
                ).items()
            }
        except (ValueError, TypeError, AttributeError):
            return {}

    def write(self, listing: Listing, entries: Mapping[str, Entry], heads: tuple[str, ...]) -> None:
        """Keep *entries*, the content of the files in *listing*, for later commands.

        A folder that cannot be written to is no failure: the next command reads the files again.
        """
        if self.path is None:
            return
        old = time.time_ns() - UNSETTLED_NS
        kept = {
            path: (
                *listing[path],
                entry.revision,
                entry.down,
                entry.depends,
                entry.labels,
                entry.summary,
            )
            for path, entry in entries.items()
            if listing[path][1] < old
        }
        settled = len(kept) == len(listing)
        body = json.dumps(kept)
        head = json.dumps((_FORMAT, len(body), _fingerprint(listing), settled, heads))
        with suppress(OSError):
            write_whole(self.path, f"{head}\n{body}".encode())


def list_files(folders: Iterable[Path]) -> Listing:
    """Return the revision files in *folders*, in the order of their names, as Alembic knows them.

    A folder that is not there has none.
    """
    found: dict[str, Stat] = {}
    for folder in folders:
        with suppress(FileNotFoundError, NotADirectoryError):
            found.update(_list(str(folder)))
    return found


def _list(folder: str) -> dict[str, Stat]:
    # Through a descriptor, the system need not walk the path to the folder for each file.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with os.scandir(descriptor) as scan:
            files = [file for file in scan if _IS_REVISION_FILE(file.name)]
        files.sort(key=attrgetter("name"))
        return {
            f"{folder}{os.sep}{file.name}": ((stat := file.stat()).st_size, stat.st_mtime_ns)
            for file in files
        }
    finally:
        os.close(descriptor)


def _fingerprint(listing: Listing) -> str:
    return blake2b(repr(listing).encode(errors="backslashreplace"), digest_size=16).hexdigest()


def _digest(parts: Iterable[str]) -> str:
    text = "\n".join(parts).encode(errors="surrogateescape")
    return blake2b(text, digest_size=16).hexdigest()


def write_whole(path: Path, content: bytes) -> None:
    """Write *path* whole or not at all, and the folder that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
