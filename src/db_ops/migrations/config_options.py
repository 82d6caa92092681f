"""The options of an Alembic environment, read from `alembic.ini` or `pyproject.toml`."""

from __future__ import annotations

import os
import re
import sys
from configparser import ConfigParser, ParsingError
from configparser import Error as ConfigParserError
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db_ops.errors import AlembicIniBroken
from db_ops.errors.masking import mask_credentials
from db_ops.frozen_data import FrozenData

if TYPE_CHECKING:
    from collections.abc import Mapping

PYPROJECT = "pyproject.toml"
# How Alembic takes a list of paths apart, and how it does where no separator is configured.
_SEPARATORS = {"space": " ", "newline": "\n", "os": os.pathsep, ":": ":", ";": ";"}
_WITHOUT_SEPARATOR = {"version_locations": r", *| +", "prepend_sys_path": r", *| +|:"}


class ConfigOptions(FrozenData):
    """The options of one environment, from the ini first, then from `pyproject.toml`."""

    file: Path
    root: Path
    section: str

    @cached_property
    def _ini(self) -> ConfigParser:
        here = escape_percent(self.file.parent)
        parser = ConfigParser({"here": here})
        if self.file.suffix == ".toml":
            return parser
        try:
            with self.file.open(encoding="utf-8") as file:
                parser.read_file(file)
        except (ConfigParserError, UnicodeDecodeError, OSError) as error:
            raise self._broken(error) from None
        if not parser.has_section(self.section) and not self._toml:
            known = ", ".join(parser.sections()) or "none"
            raise AlembicIniBroken(
                str(self.file), f"there is no section [{self.section}] (there are: {known})"
            )
        return parser

    @cached_property
    def _toml(self) -> Mapping[str, Any]:
        return read_alembic_table(self.root / PYPROJECT)

    def value(self, name: str) -> Any:
        """Return what is configured, None for nothing."""
        if self._ini.has_section(self.section):
            try:
                found = self._ini.get(self.section, name, fallback=None)
            except ConfigParserError as error:
                # A lone % in the URL is env.py's business, if anybody's.
                if name != "sqlalchemy.url":
                    raise self._broken(error) from None
                found = None
            if found:
                return found
        value, here = self._toml.get(name), {"here": self.root.as_posix()}
        if isinstance(value, str):
            return value % here
        return [part % here for part in value] if isinstance(value, list) else value

    def text(self, name: str) -> str | None:
        value = self.value(name)
        return str(value) if value else None

    def path(self, name: str, *, holding: str = "") -> Path | None:
        value = self.text(name)
        return self._absolute(value, holding) if value else None

    def paths(self, name: str) -> tuple[Path, ...]:
        value = self.value(name)
        if isinstance(value, str):
            value = self._split(name, value)
        return tuple(self._absolute(part.strip()) for part in value or () if part.strip())

    def flag(self, name: str) -> bool:
        """Return an option that is on or off: in the ini, Alembic takes only `true` for on."""
        if self._ini.has_option(self.section, name):
            return bool(self.value(name) == "true")
        value = self._toml.get(name, False)
        if not isinstance(value, bool):
            reason = f"[tool.alembic] {name} is neither true nor false: {value!r}"
            raise AlembicIniBroken(str(self.root / PYPROJECT), reason)
        return value

    def _split(self, name: str, value: str) -> list[str]:
        if not self._ini.get(self.section, name, fallback=None):
            reason = f"[tool.alembic] {name} is no list"
            raise AlembicIniBroken(str(self.root / PYPROJECT), reason)
        names = ["path_separator"]
        names += ["version_path_separator"] if name == "version_locations" else []
        for option in names:
            separator = self._ini.get(self.section, option, fallback=None)
            if separator in _SEPARATORS:
                return value.split(_SEPARATORS[separator])
            if separator is not None:
                reason = f"{option} is {separator!r}, and may be {', '.join(_SEPARATORS)}"
                raise AlembicIniBroken(str(self.file), reason)
        return re.split(_WITHOUT_SEPARATOR[name], value)

    def _absolute(self, path: str, holding: str = "") -> Path:
        if ":" in path and not Path(path).is_absolute():
            return self._in_package(path)
        for base in (self._base, self.root, self.file.parent):
            if (base / path / holding).exists():
                return (base / path).resolve()
        return (self.root / path).resolve()

    @cached_property
    def _base(self) -> Path:
        """The folder from which a relative `script_location` leads to env.py: all count from it."""
        location = self.text("script_location") or "."
        found = (base for base in (self.root, self.file.parent) if _holds_env_py(base, location))
        return next(found, self.root)

    def _in_package(self, path: str) -> Path:
        """Resolve `package:folder`, as Alembic does, though without importing the package."""
        from importlib.util import find_spec

        package, _, rest = path.partition(":")
        searched = (*map(str, self.paths("prepend_sys_path")), str(self.root))
        before = list(sys.path)
        sys.path[:0] = [path for path in searched if path not in sys.path]
        try:
            spec = find_spec(package)
        except (ImportError, ValueError):
            spec = None
        finally:
            sys.path[:] = before
        if spec is None or not spec.submodule_search_locations:
            raise AlembicIniBroken(str(self.file), f"there is no package {package}")
        return (Path(spec.submodule_search_locations[0]) / rest.replace(":", os.sep)).resolve()

    def _broken(self, error: Exception) -> AlembicIniBroken:
        if isinstance(error, ParsingError):
            # It would repeat lines, of which one may be the end of a URL.
            numbers: list[int] = [number for number, _ in getattr(error, "errors", ())]
            lines = ", ".join(map(str, numbers or [getattr(error, "lineno", 1)]))
            return AlembicIniBroken(str(self.file), f"cannot be parsed, line {lines}")
        reason = mask_credentials(str(error).replace("\n", " ").strip())
        return AlembicIniBroken(str(self.file), reason)


def _holds_env_py(base: Path, location: str) -> bool:
    return ":" not in location and (base / location / "env.py").is_file()


def read_alembic_table(path: Path) -> Mapping[str, Any]:
    """Return `[tool.alembic]` of a `pyproject.toml`, empty if there is none."""
    try:
        text = path.read_bytes()
    except OSError:
        return {}
    if b"tool.alembic" not in text:
        return {}
    import tomllib

    table: Mapping[str, Any] = tomllib.loads(text.decode()).get("tool", {}).get("alembic", {})
    return table


def escape_percent(path: Path) -> str:
    """Return *path* as ConfigParser takes it, which knows a percent sign as an interpolation."""
    return str(path).replace("%", "%%")
