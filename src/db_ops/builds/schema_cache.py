"""The sides of earlier comparisons, kept in a file as long as all they were built from is the same.

A file may be deleted at any time, and any number of processes may write it at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from db_ops.builds.built_schema import BuiltSchema
from db_ops.migrations.cache_files import digest, write_whole
from db_ops.postgres.schema.reading import FINGERPRINT_FORMAT
from db_ops.postgres.schema.serialization import from_json, to_json

_FORMAT = 1


@dataclass(frozen=True)
class SchemaCache:
    """One file, with its content as it was when the command began."""

    path: Path | None
    content: bytes

    @classmethod
    def read(cls, folder: Path | None, project: Path, name: str) -> SchemaCache:
        """Return the file that keeps the side *name* of *project*; an empty one if there is none.

        *name* holds what comparisons of one project may use in turn, as the server's version.
        """
        if folder is None:
            return cls(None, b"")
        path = folder / f"side-{content_key(str(project), name)[:16]}.json"
        with suppress(OSError):
            return cls(path, path.read_bytes())
        return cls(path, b"")

    def files(self, key: str) -> Mapping[str, str] | None:
        """Return the files that the side was built from; None if its key was another."""
        head = self._head()
        return head[1] if head and head[0] == key else None

    def side(self) -> BuiltSchema | None:
        """Return the side, None if it cannot be read."""
        head = self._head()
        if head is None:
            return None
        with suppress(ValueError, TypeError, IndexError):
            schema = from_json(self.content.split(b"\n", 1)[1])
            _, files, unchecked, skipped, role = head
            return BuiltSchema(schema, "cache", tuple(unchecked), tuple(skipped), role, files)
        return None

    def write(self, key: str, side: BuiltSchema) -> None:
        """Keep *side*, unless it is not certain what it was built from.

        A folder that cannot be written to is no failure: the side is built again.
        """
        if self.path is None or side.files is None:
            return
        head = json.dumps((key, side.files, side.unchecked, side.skipped, side.role))
        with suppress(OSError):
            write_whole(self.path, f"{head}\n{to_json(side.schema)}".encode())

    def _head(self) -> tuple[str, Mapping[str, str], list[str], list[str], str] | None:
        with suppress(ValueError, TypeError):
            key, files, unchecked, skipped, role = json.loads(self.content.split(b"\n", 1)[0])
            return key, files, unchecked, skipped, role
        return None


def content_key(*parts: str) -> str:
    """Return the digest of *parts* and of how schemas are read and kept."""
    return digest(str(_FORMAT), str(FINGERPRINT_FORMAT), *parts)
