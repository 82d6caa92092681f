"""The cached result of an inspection of env.py, valid while its inputs are unchanged.

It counts only while all is the same that env.py was seen to use: its file and the configuration,
the project's modules that it imported and the files it read, the installed packages, and the whole
environment, of which a digest is kept. Of the URL, host, port, user and database are kept, and of
each secret only where it stands; a URL whose secrets are found nowhere is not kept, and env.py is
asked each time. What it asks the database is asked again, and has to be answered as before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from db_ops.migrations.build_inputs import BuildInputs, UsedInputs, installed_packages
from db_ops.migrations.cache_files import digest, write_atomically
from db_ops.migrations.env.configured import Configured
from db_ops.migrations.foreign_env.inspection import EnvInspection
from db_ops.migrations.foreign_env.secret_origins import SecretOrigins
from db_ops.migrations.project import Project
from db_ops.settings import DatabaseUrl
from db_ops.settings.environment import environment_digest
from db_ops.settings.variables import read_variables

_FORMAT = 5
_MOST_QUESTIONS = 50
# Questions are kept as they are.
_MAY_TELL_A_SECRET = re.compile(r"passw|secret|token|crypt|set_config", re.I)


@dataclass(frozen=True)
class InspectionCache:
    """The cache file for *project*; `is_known` says that the settings name the URL.

    To be read before env.py runs, which may change the environment and the import paths.
    """

    project: Project
    folder: Path | None
    is_known: bool

    def read(self) -> EnvInspection | None:
        """Return the cached inspection; None if there is none or its inputs have changed."""
        if self.folder is None:
            return None
        key, _ = self._key, self._variables
        try:
            kept = json.loads(self._path.read_bytes())
            if (kept["format"], kept["key"]) != (_FORMAT, key):
                return None
            if not BuildInputs(self.project).are_unchanged(kept["files"]):
                return None
            url = None if self.is_known else self._url(kept["url"])
            if not self.is_known and url is None:
                return None
            questions = tuple(map(str, kept["questions"]))
            if questions and kept["answers"] != self._answers(url, questions):
                return None
            return EnvInspection(
                url=url,
                tables=tuple((schema, table) for schema, table in kept["tables"]),
                version_locations=tuple(map(Path, kept["version_locations"])),
                search_path=kept["search_path"],
                options=tuple(kept["options"]),
                uses_driver=kept["uses_driver"],
                depends=bool(questions),
                questions=questions,
                configured=tuple(Configured(*one) for one in kept["configured"]),
            )
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, inspection: EnvInspection, used: UsedInputs) -> None:
        """Write *inspection*, unless what env.py used, or where its secrets stand, is not known.

        A folder that cannot be written to is no failure.
        """
        files = None if self.folder is None else used.files()
        if files is None or (inspection.depends and not _may_be_kept(inspection.questions)):
            return
        url = None
        if not self.is_known:
            # Somebody who was asked may have told a secret that stands in a file by chance.
            paths = () if used.read.asked_others else map(self.project.root.joinpath, files)
            url = self._kept(inspection.url, paths)
            if url is None:
                return
        kept = {
            "format": _FORMAT,
            "key": self._key,
            "files": dict(files),
            "url": url,
            "tables": inspection.tables,
            "version_locations": [str(path) for path in inspection.version_locations],
            "search_path": inspection.search_path,
            "options": inspection.options,
            "uses_driver": inspection.uses_driver,
            "questions": inspection.questions,
            "configured": inspection.configured,
            "answers": self._answers(inspection.url, inspection.questions),
        }
        with suppress(OSError):
            write_atomically(self._path, json.dumps(kept).encode())

    def _answers(self, url: DatabaseUrl | None, questions: tuple[str, ...]) -> str | None:
        """Return the digest of what is answered now; None if nobody can be asked."""
        if not questions or self.project.answers is None:
            return None
        return self.project.answers.digest(url, questions)

    @property
    def _path(self) -> Path:
        project = self.project
        told = (*project.x, *map("=".join, project.variables))
        named = (str(project.alembic_ini), project.section, str(self.is_known), *told)
        assert self.folder is not None
        return self.folder / f"learnt-{digest(*named)[:12]}.json"

    @cached_property
    def _key(self) -> str:
        project = self.project
        return digest(
            *installed_packages(),
            environment_digest(project.root),
            str(self.is_known),
            BuildInputs(project).env_py_arguments,
            *map(_content, self._configuration),
        )

    @cached_property
    def _variables(self) -> Mapping[str, str]:
        return read_variables(self.project.root)[0]

    @property
    def _configuration(self) -> tuple[Path, ...]:
        project = self.project
        return project.alembic_ini, project.pyproject, project.env_py

    def _kept(self, url: DatabaseUrl | None, paths: Iterable[Path]) -> dict[str, Any] | None:
        """Return *url* with the origin of each secret in place of it."""
        if url is None:
            return None
        origins = SecretOrigins(self._variables, (*self._configuration, *paths))
        secrets = {name: origins.find(name, value) for name, value in url.secrets.items()}
        if None in secrets.values():
            return None
        public = {name: url.parameters[name] for name in url.parameters if name not in secrets}
        return {"parameters": public, "secrets": secrets}

    def _url(self, kept: dict[str, Any]) -> DatabaseUrl | None:
        origins = SecretOrigins(self._variables)
        parameters: dict[str, str] = dict(kept["parameters"])
        for name, origin in kept["secrets"].items():
            value = origins.read(name, origin)
            if value is None:
                return None
            parameters[name] = value
        return DatabaseUrl(MappingProxyType(parameters))


def _may_be_kept(questions: tuple[str, ...]) -> bool:
    """Tell whether *questions* are few enough to be asked by each command, and hold no secret."""
    few = 0 < len(questions) <= _MOST_QUESTIONS
    return few and not any(map(_MAY_TELL_A_SECRET.search, questions))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
