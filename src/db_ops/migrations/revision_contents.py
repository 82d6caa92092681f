"""What the revision files hold, all together, kept so that the next command need not read them."""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from db_ops.migrations.kept_files import digest, write_whole
from db_ops.migrations.project import Project
from db_ops.migrations.revision_index import UNSETTLED_NS, Listing

_FORMAT = 1
# The database by its own name, or things of it that a copy does not get.
_OF_THE_DATABASE = re.compile(rb"\bcurrent_database\b|\b(?:ALTER|ON)\s+DATABASE\b", re.I)


@dataclass(frozen=True)
class RevisionContents:
    """The digest of all revision files, and whether any of them speaks of the database by name."""

    digest: str
    speaks_of_database: bool


def read_contents(project: Project, cache: Path | None) -> RevisionContents:
    """Read the revision files of *project*, unless what *cache* keeps is of these very files.

    They are while their names, sizes and times of modification are as they were; what was changed
    within two seconds is not kept.
    """
    listing = Listing(project.revision_folders)
    path = None if cache is None else cache / f"contents-{_name(project)}.json"
    kept = _kept(path, listing)
    if kept is not None:
        return kept
    sources = {project.display(Path(name)): Path(name).read_bytes() for name in listing}
    found = RevisionContents(
        digest(*(part for name, text in sources.items() for part in (name, text))),
        any(map(speaks_of_database, sources.values())),
    )
    old = time.time_ns() - UNSETTLED_NS
    if path is not None and all(modified < old for _, modified in listing.values()):
        content = (_FORMAT, listing.fingerprint, found.digest, found.speaks_of_database)
        with suppress(OSError):
            write_whole(path, json.dumps(content).encode())
    return found


def speaks_of_database(source: bytes) -> bool:
    """Tell whether *source* names its own database, so that a copy of it would be another."""
    return _OF_THE_DATABASE.search(source) is not None


def _name(project: Project) -> str:
    # Beside the locations, paths relative to the root are part of the digest.
    return digest(str(project.root), *map(str, project.version_locations))[:12]


def _kept(path: Path | None, listing: Listing) -> RevisionContents | None:
    try:
        known, fingerprint, digest, speaks = json.loads(path.read_bytes()) if path else (None,) * 4
    except (OSError, ValueError, TypeError):
        return None
    if (known, fingerprint) != (_FORMAT, listing.fingerprint):
        return None
    return RevisionContents(str(digest), bool(speaks))
