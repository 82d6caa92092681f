"""A cached digest of all revision files."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path

from db_ops.migrations.cache_files import digest, write_atomically
from db_ops.migrations.project import Project
from db_ops.migrations.revisions.index import UNSETTLED_NS, revision_files

_FORMAT = 3


def read_digest(project: Project, cache: Path | None) -> str:
    """Digest the revision files of *project*, unless what *cache* keeps is of these very files.

    It is while their names, sizes and times of modification are as they were; what was changed
    within two seconds is not kept.
    """
    listing = revision_files(project)
    path = None if cache is None else cache / f"contents-{_name(project)}.json"
    listed = digest(listing.text)
    kept = _kept(path, listed)
    if kept is not None:
        return kept
    sources = {project.display(Path(name)): Path(name).read_bytes() for name in listing}
    found = digest(*(part for name, text in sources.items() for part in (name, text)))
    old = time.time_ns() - UNSETTLED_NS
    if path is not None and all(modified < old for _, modified in listing.values()):
        with suppress(OSError):
            write_atomically(path, json.dumps((_FORMAT, listed, found)).encode())
    return found


def _name(project: Project) -> str:
    # Beside the locations, paths relative to the root are part of the digest.
    return digest(str(project.root), *map(str, project.version_locations))[:12]


def _kept(path: Path | None, listed: str) -> str | None:
    try:
        known, read, found = json.loads(path.read_bytes()) if path else (None,) * 3
    except (OSError, ValueError, TypeError):
        return None
    return str(found) if (known, read) == (_FORMAT, listed) else None
