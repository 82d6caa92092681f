"""Where a project keeps its revisions, read from `alembic.ini` or `pyproject.toml`."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from db_ops.errors import AlembicIniBroken
from db_ops.frozen_data import FrozenData, field, replace
from db_ops.migrations.config_options import (
    PYPROJECT,
    ConfigOptions,
    escape_percent,
    read_alembic_table,
)
from db_ops.migrations.env.env_source import EnvSource, read_env_source
from db_ops.settings import DatabaseUrl, Settings

if TYPE_CHECKING:
    from alembic.config import Config
    from psycopg2.extensions import connection as DriverConnection

_SECTION = "alembic"
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Answers(Protocol):
    """Opens a read-only session in a database, for a `with` block; None, and why, if none can."""

    def __call__(
        self, url: DatabaseUrl | None
    ) -> AbstractContextManager[tuple[DriverConnection | None, str]]: ...

    def digest(self, url: DatabaseUrl | None, questions: Iterable[str]) -> str | None:
        """Return a digest of what is answered now; None if nobody can be asked."""


class Project(FrozenData):
    """The paths of one Alembic environment, all absolute, and its version table.

    `folder` is the project's root, if it is not that of `alembic_ini`. `tables` are further version
    tables, as schema and name, of a project that keeps several for the same revisions.
    `uses_driver` tells that its env.py uses an asynchronous driver's own connection. `recursive`
    and `sourceless` are Alembic's options for the files that count as revisions. `flask_app` is
    what `flask --app` is given. `models` are modules to import before env.py is run; `bootstrap`
    names the function that makes what the first revision rests on. `variables` are those of the
    environment that tell env.py which member of a fleet is meant. `answers` opens a session in
    which an env.py that asks may look, for the database that it names, or None. `cache` is the
    folder for what may be deleted.
    """

    alembic_ini: Path
    script_location: Path
    version_locations: tuple[Path, ...]
    version_table: str
    version_table_schema: str | None
    folder: Path | None = None
    section: str = _SECTION
    x: tuple[str, ...] = ()
    import_paths: tuple[Path, ...] = ()
    url: str | None = None
    tables: tuple[tuple[str | None, str], ...] = ()
    recursive: bool = False
    sourceless: bool = False
    uses_driver: bool = False
    flask_app: str | None = None
    models: tuple[str, ...] = ()
    bootstrap: str | None = None
    variables: tuple[tuple[str, str], ...] = ()
    answers: Answers | None = field(default=None, compare=False, repr=False)
    cache: Path | None = field(default=None, compare=False, repr=False)

    @property
    def root(self) -> Path:
        return self.folder or self.alembic_ini.parent

    @property
    def env_py(self) -> Path:
        return self.script_location / "env.py"

    @property
    def revision_folders(self) -> tuple[Path, ...]:
        """The folders that revision files are in: with `recursive`, all below its locations."""
        if not self.recursive:
            return tuple(dict.fromkeys(self.version_locations))
        folders = {folder for top in self.version_locations for folder, _, _ in os.walk(top)}
        return tuple(sorted(Path(one) for one in folders if not one.endswith("__pycache__")))

    @property
    def pyproject(self) -> Path:
        return self.root / PYPROJECT

    @cached_property
    def env_source(self) -> EnvSource:
        """What the source of env.py calls."""
        return read_env_source(self.env_py, self.cache)

    @property
    def is_ours(self) -> bool:
        """Tell whether env.py calls `db_ops.run_migrations`."""
        return self.env_source.is_ours

    @property
    def is_same_for_all(self) -> bool:
        """Tell whether env.py has no say in where a database is, and its version table."""
        return self.is_ours and self.env_source.options is not None

    def display(self, path: Path | str) -> str:
        """Return *path* relative to the project's root where it lies inside it."""
        return str(path).removeprefix(f"{self.root}{os.sep}")

    def alembic_config(
        self, typed: str = "current", arguments: Mapping[str, Any] = _NOTHING, **attributes: Any
    ) -> Config:
        """Return Alembic's own configuration, with `attributes` for env.py.

        An env.py that asks is told that the command *typed*, with *arguments*, is what runs it.
        Paths are absolute in it, so that the current directory has no say. Raises
        `AlembicIniBroken` for a `pyproject.toml` that this Alembic does not read.
        """
        from argparse import Namespace

        from alembic import command
        from alembic.config import Config

        options = Namespace(
            quiet=True,
            x=list(self.x) or None,
            name=self.section,
            config=[str(self.alembic_ini)],
            raiseerr=False,
            cmd=(getattr(command, typed), [], list(arguments)),
            **arguments,
        )
        config = Config(
            **self._files(Config),
            ini_section=self.section,
            cmd_opts=options,
            stdout=io.StringIO(),
        )
        config.set_main_option("script_location", escape_percent(self.script_location))
        if self.version_locations != (self.script_location / "versions",):
            # Two names for one option: Alembic 1.16 renamed it.
            config.set_main_option("path_separator", "os")
            config.set_main_option("version_path_separator", "os")
            locations = os.pathsep.join(escape_percent(path) for path in self.version_locations)
            config.set_main_option("version_locations", locations)
        if self.import_paths:
            config.set_main_option("path_separator", "os")
            config.set_main_option("version_path_separator", "os")
            paths = os.pathsep.join(escape_percent(path) for path in self.import_paths)
            config.set_main_option("prepend_sys_path", paths)
        if self.version_table_schema is not None and self.is_ours:
            schema = self.version_table_schema.replace("%", "%%")
            config.set_main_option("version_table_schema", schema)
        config.attributes.update(attributes)
        return config

    def make_importable(self) -> None:
        """Let the project's modules be imported, from where its configuration says they are.

        From its root as well, as `python -m alembic` does, if they are nowhere else.
        """
        for path in reversed(self.import_paths):
            if str(path) not in sys.path:
                sys.path.insert(0, str(path))
        if str(self.root) not in sys.path:
            sys.path.append(str(self.root))

    def _files(self, config: type[Config]) -> dict[str, Any]:
        from inspect import signature

        reads_toml = "toml_file" in signature(config).parameters
        if not reads_toml and self.alembic_ini.suffix == ".toml":
            reason = "[tool.alembic] is read by Alembic 1.16 and newer; an alembic.ini by any"
            raise AlembicIniBroken(str(self.alembic_ini), reason)
        if self.alembic_ini.suffix != ".toml":
            files: dict[str, Any] = {"file_": str(self.alembic_ini)}
            # Alembic 1.16 and newer read both, as the plain command does.
            both = reads_toml and read_alembic_table(self.pyproject)
            return files | ({"toml_file": str(self.pyproject)} if both else {})
        return {"toml_file": str(self.alembic_ini)}


def project_of(settings: Settings) -> Project:
    """Read the project that *settings* name. Raises `AlembicIniBroken`."""
    project = read_project(
        settings.alembic_ini,
        root=settings.folder,
        section=settings.section,
        x=settings.x,
        cache=settings.cache_folder,
    )
    return with_settings(project, settings)


def with_settings(project: Project, settings: Settings) -> Project:
    """Return *project* with what *settings* say, and no file of the project's does."""
    schema = settings.version_table_schema
    changed = replace(
        project,
        x=settings.x,
        flask_app=settings.flask_app,
        models=settings.models,
        bootstrap=settings.bootstrap,
        variables=settings.variables,
        version_table_schema=project.version_table_schema if schema is None else schema,
    )
    vars(changed)["env_source"] = project.env_source
    return changed


def read_project(
    alembic_ini: Path,
    *,
    root: Path | None = None,
    section: str = _SECTION,
    x: tuple[str, ...] = (),
    cache: Path | None = None,
) -> Project:
    """Read a section of *alembic_ini*, or `[tool.alembic]` if it is a `pyproject.toml`.

    Relative paths count from *root*, as they do for the plain command, or from the file's folder;
    what is read of env.py is kept in the folder *cache*. Raises `AlembicIniBroken`.
    """
    folder = root or alembic_ini.parent
    options = ConfigOptions(alembic_ini, folder, section)
    script_location = options.path("script_location", holding="env.py")
    if script_location is None and (alembic_ini.parent / "env.py").is_file():
        # Flask-Migrate's way: the folder is the one that holds the file.
        script_location = alembic_ini.parent
    if script_location is None:
        raise AlembicIniBroken(str(alembic_ini), f"section [{section}] has no script_location")
    if not (script_location / "env.py").is_file():
        raise AlembicIniBroken(str(alembic_ini), f"there is no {script_location / 'env.py'}")
    project = Project(
        alembic_ini=alembic_ini,
        script_location=script_location,
        version_locations=options.paths("version_locations") or (script_location / "versions",),
        version_table=options.text("version_table") or "alembic_version",
        version_table_schema=options.text("version_table_schema"),
        folder=root,
        section=section,
        x=x,
        import_paths=options.paths("prepend_sys_path"),
        url=options.text("sqlalchemy.url"),
        recursive=options.flag("recursive_version_locations"),
        sourceless=options.flag("sourceless"),
        cache=cache,
    )
    # What env.py gives wins over the configuration.
    given: dict[str, Any] = {**(project.env_source.options or {})}
    return replace(project, **given) if given else project
