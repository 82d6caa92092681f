"""A file cache of the schemas that migrations and models build, valid while their inputs are.

A file may be deleted at any time, and any number of processes may write it at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from db_ops.builds.built_schema import BuiltSchema
from db_ops.migrations.cache_files import digest, write_atomically
from db_ops.postgres.schema.reading import FINGERPRINT_FORMAT
from db_ops.postgres.schema.serialization import from_json, to_json

_FORMAT = 3


@dataclass(frozen=True)
class SchemaCache:
    """One cache file, with its content as it was when the command began."""

    path: Path | None
    content: bytes

    @classmethod
    def read(cls, folder: Path | None, project: Path, name: str) -> SchemaCache:
        """Return the cache file of the schema *name* of *project*; an empty one if there is none.

        *name* holds what comparisons of one project may use in turn, as the server's version.
        """
        if folder is None:
            return cls(None, b"")
        path = folder / f"side-{content_key(str(project), name)[:16]}.json"
        with suppress(OSError):
            return cls(path, path.read_bytes())
        return cls(path, b"")

    def files(self, key: str) -> Mapping[str, str] | None:
        """Return the files that the schema was built from; None if its key was another."""
        header = self._read_header()
        return header[1] if header and header[0] == key else None

    def load(self) -> BuiltSchema | None:
        """Return the cached schema, None if it cannot be read."""
        header = self._read_header()
        if header is None:
            return None
        with suppress(ValueError, TypeError, IndexError):
            schema = from_json(self.content.split(b"\n", 1)[1])
            _, files, unchecked, skipped, role, bootstrapped = header
            # What no revision has made is told as that, whenever it was built.
            source = "bootstrap" if bootstrapped else "cache"
            return BuiltSchema(schema, source, tuple(unchecked), tuple(skipped), role, files)
        return None

    def write(self, key: str, built: BuiltSchema) -> None:
        """Keep *built*, unless it is not certain what it was built from.

        A folder that cannot be written to is no failure: the schema is built again.
        """
        if self.path is None or built.files is None:
            return
        bootstrapped = built.source == "bootstrap"
        header = json.dumps(
            (key, built.files, built.unchecked, built.skipped, built.role, bootstrapped)
        )
        with suppress(OSError):
            write_atomically(self.path, f"{header}\n{to_json(built.schema)}".encode())

    def _read_header(
        self,
    ) -> tuple[str, Mapping[str, str], list[str], list[str], str, bool] | None:
        with suppress(ValueError, TypeError):
            key, files, unchecked, skipped, role, bootstrapped = json.loads(
                self.content.split(b"\n", 1)[0]
            )
            return key, files, unchecked, skipped, role, bootstrapped
        return None


def content_key(*parts: str) -> str:
    """Return the digest of *parts* and of how schemas are read and kept."""
    return digest(str(_FORMAT), str(FINGERPRINT_FORMAT), *parts)
