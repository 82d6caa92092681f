"""Where a project keeps its revisions, read from `alembic.ini`."""

from __future__ import annotations

import argparse
import io
import os
import re
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db_ops.errors import AlembicIniBroken

if TYPE_CHECKING:
    from alembic.config import Config

_SEPARATORS = {"space": r"\s+", "newline": r"\n", "os": r"[:;]", ":": ":", ";": ";"}


@dataclass(frozen=True)
class Project:
    """The paths of one Alembic environment, all absolute, and its version table."""

    alembic_ini: Path
    script_location: Path
    version_locations: tuple[Path, ...]
    version_table: str
    version_table_schema: str | None

    @property
    def env_py(self) -> Path:
        return self.script_location / "env.py"

    def display(self, path: Path | str) -> str:
        """Return *path* relative to the project's root where it lies inside it."""
        return str(path).removeprefix(f"{self.alembic_ini.parent}{os.sep}")

    def alembic_config(self, **attributes: Any) -> Config:
        """Return Alembic's own configuration, with `attributes` for env.py.

        Paths are absolute in it, so that the current directory has no say.
        """
        from alembic.config import Config

        options = argparse.Namespace(quiet=True, x=None)
        silence = io.StringIO()
        config = Config(
            str(self.alembic_ini), cmd_opts=options, stdout=silence, output_buffer=silence
        )
        config.set_main_option("script_location", _escaped(self.script_location))
        if self.version_locations != (self.script_location / "versions",):
            # Two names for one option: Alembic 1.16 renamed it.
            config.set_main_option("path_separator", "os")
            config.set_main_option("version_path_separator", "os")
            locations = os.pathsep.join(_escaped(path) for path in self.version_locations)
            config.set_main_option("version_locations", locations)
        config.attributes.update(attributes)
        return config


def read_project(alembic_ini: Path) -> Project:
    """Read the `[alembic]` section of *alembic_ini*. Raises `AlembicIniBroken`."""
    parser = ConfigParser({"here": _escaped(alembic_ini.parent)})
    try:
        with alembic_ini.open(encoding="utf-8") as file:
            parser.read_file(file)
        section = dict(parser.items("alembic"))
    except (ConfigParserError, UnicodeDecodeError, OSError) as error:
        reason = str(error).replace("\n", " ").strip()
        raise AlembicIniBroken(str(alembic_ini), reason) from None
    if not section.get("script_location"):
        raise AlembicIniBroken(str(alembic_ini), "section [alembic] has no script_location")
    script_location = _absolute(section["script_location"], alembic_ini)
    if not (script_location / "env.py").is_file():
        raise AlembicIniBroken(str(alembic_ini), f"there is no {script_location / 'env.py'}")
    separator = section.get("path_separator") or section.get("version_path_separator") or ""
    named = re.split(
        _SEPARATORS.get(separator, r"[\s,]+"), section.get("version_locations", "").strip()
    )
    locations = tuple(_absolute(path.strip(), alembic_ini) for path in named if path.strip())
    return Project(
        alembic_ini=alembic_ini,
        script_location=script_location,
        version_locations=locations or (script_location / "versions",),
        version_table=section.get("version_table", "alembic_version"),
        version_table_schema=section.get("version_table_schema"),
    )


def _absolute(path: str, alembic_ini: Path) -> Path:
    return (alembic_ini.parent / path).resolve()


def _escaped(path: Path) -> str:
    # ConfigParser would take a percent sign in the path for an interpolation.
    return str(path).replace("%", "%%")
