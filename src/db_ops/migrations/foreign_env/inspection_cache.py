"""The cached result of an inspection of env.py, valid while its inputs are unchanged.

It counts only while all is the same that env.py was seen to use: its file and the configuration,
the project's modules that it imported and the files it read, the installed packages, and the whole
environment, of which a digest is kept. Of the URL, only where it was found is kept: the name of an
option or of a variable. A URL that is found in neither is not kept, and env.py is asked each time.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from db_ops.errors import MisuseError
from db_ops.migrations.build_inputs import BuildInputs, Files, installed_packages
from db_ops.migrations.cache_files import digest, write_atomically
from db_ops.migrations.foreign_env.inspection import EnvInspection
from db_ops.migrations.project import Project
from db_ops.settings import DatabaseUrl
from db_ops.settings.environment import environment_digest, url_of_variable, variable_with_url

_FORMAT = 2
_INI_OPTION = "sqlalchemy.url"


@dataclass(frozen=True)
class InspectionCache:
    """The cache file for *project*; `is_known` says that the settings name the URL."""

    project: Project
    folder: Path | None
    is_known: bool

    def read(self) -> EnvInspection | None:
        """Return the cached inspection; None if there is none or its inputs have changed."""
        if self.folder is None:
            return None
        try:
            kept = json.loads(self._path.read_bytes())
            if (kept["format"], kept["key"]) != (_FORMAT, self._key):
                return None
            if not BuildInputs(self.project).are_unchanged(kept["files"]):
                return None
            url = None if self.is_known else self._url(kept["url"])
            if not self.is_known and (url is None or url.location != kept["location"]):
                # What completes a URL, a service file or what env.py sets, may lead elsewhere.
                return None
            return EnvInspection(
                url=url,
                tables=tuple((schema, table) for schema, table in kept["tables"]),
                version_locations=tuple(map(Path, kept["version_locations"])),
                search_path=kept["search_path"],
                options=tuple(kept["options"]),
                uses_driver=kept["uses_driver"],
            )
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, inspection: EnvInspection, files: Files | None) -> None:
        """Write *inspection* and the *files* that env.py used, unless these are not known.

        A folder that cannot be written to is no failure.
        """
        if self.folder is None or files is None:
            return
        url = None
        if not self.is_known:
            url = self._origin(inspection.url)
            if url is None:
                return
        kept = {
            "format": _FORMAT,
            "key": self._key,
            "files": dict(files),
            "url": url,
            "location": inspection.url.location if inspection.url else None,
            "tables": inspection.tables,
            "version_locations": [str(path) for path in inspection.version_locations],
            "search_path": inspection.search_path,
            "options": inspection.options,
            "uses_driver": inspection.uses_driver,
        }
        with suppress(OSError):
            write_atomically(self._path, json.dumps(kept).encode())

    @property
    def _path(self) -> Path:
        project = self.project
        named = (str(project.alembic_ini), project.section, *project.x)
        assert self.folder is not None
        return self.folder / f"learnt-{digest(*named)[:12]}.json"

    @property
    def _key(self) -> str:
        project = self.project
        return digest(
            *installed_packages(),
            environment_digest(project.root),
            str(self.is_known),
            BuildInputs(project).env_py_arguments,
            *(_content(path) for path in (project.alembic_ini, project.pyproject, project.env_py)),
        )

    def _origin(self, url: DatabaseUrl | None) -> list[str] | None:
        if url is None:
            return None
        with suppress(MisuseError):
            if DatabaseUrl.parse(self.project.url or "").parameters == url.parameters:
                return ["option", _INI_OPTION]
        variable = variable_with_url(url, self.project.root)
        return None if variable is None else ["variable", variable]

    def _url(self, origin: list[str]) -> DatabaseUrl | None:
        kind, name = origin
        if kind == "variable":
            return url_of_variable(name, self.project.root)
        try:
            return DatabaseUrl.parse(self.project.url or "")
        except MisuseError:
            return None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
