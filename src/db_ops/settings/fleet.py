"""`[tool.db_ops.fleet]`: where the databases of a fleet are, and how many are worked on at once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from db_ops.errors import InvalidSettings, UsageError
from db_ops.frozen_data import FrozenData
from db_ops.settings.url import DatabaseUrl
from db_ops.settings.variables import FILE_SUFFIX, URL, read_variables

_INDEX = "JOB_COMPLETION_INDEX"
_WHERE = "[tool.db_ops.fleet]"
_CALLABLE = re.compile(r"[\w.]+:[\w.]+\Z")
_NAME = re.compile(r"[A-Za-z_]\w*\Z")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})\Z")
_SOURCES = ("databases", "query", "file", "pattern")
_KEYS: Mapping[str, Any] = {
    **dict.fromkeys((*_SOURCES, "catalog_env", "schemas"), str),
    "x": list,
    "environment": dict,
    "jobs": int,
    "connections_per_server": int,
    "fingerprints": bool,
}
_SAID = {
    str: "a string",
    list: "a list of strings",
    dict: 'a table of strings: {TENANT = "{name}"}',
    int: "a whole number from 1",
    bool: "true or false",
}


class FleetSettings(FrozenData):
    """Where the names or URLs of the databases come from: one of the first four, or `schemas`.

    Parameters
    ----------
    databases: `module:callable` that returns them, or yields them, synchronously or not.
    query: an SQL query whose first column has them, asked in the database of the settings, or in
        the one whose URL is in the variable `catalog_env`.
    file: a path below the project, with one in each line.
    pattern: of the databases of the server those with such a name: `tenant_*`.
    schemas: an SQL query whose first column has the schemas of a database, each with a version
        table of its own; asked in each of the databases, or in that of the settings.
    x: arguments for env.py, as Alembic's `-x`, with `{name}` for the database or schema.
    environment: variables for env.py, by their names, with `{name}` likewise.
    jobs: how many databases are worked on at once; None is twice the number of processors.
    connections_per_server: how many connections a server is asked for, by all jobs together.
    fingerprints: record after each migration what the catalogs are, which `verify --quick` needs.
    """

    databases: str | None = None
    query: str | None = None
    file: str | None = None
    pattern: str | None = None
    catalog_env: str | None = None
    schemas: str | None = None
    x: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    jobs: int | None = None
    connections_per_server: int | None = None
    fingerprints: bool = True


def fleet_settings(declared: Mapping[str, Any] | None) -> FleetSettings | None:
    """Return what the table *declared* says, None without one. Raises `InvalidSettings`."""
    if declared is None:
        return None
    problems = dict(_problems(declared))
    if problems:
        raise InvalidSettings(problems)
    given = {**declared, "x": tuple(declared.get("x", ()))}
    given["environment"] = tuple(declared.get("environment", {}).items())
    return FleetSettings(**given)


def _problems(declared: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in declared.items():
        kind = _KEYS.get(key)
        where = f"{_WHERE} {key}"
        if kind is None:
            yield where, f"no such setting; there are {', '.join(sorted(_KEYS))}"
        elif not _fits(value, kind):
            yield where, f"not {_SAID[kind]}"
        elif kind is str and "://" in value:
            # Never repeated: it may hold a password.
            yield where, "holds a URL; name the variable that holds it"
        elif kind is dict:
            yield from _of_variables(value)
    named = [key for key in _SOURCES if key in declared]
    if len(named) > 1:
        yield f"{_WHERE} {named[1]}", f"{named[0]} is there too; one of them has to go"
    if not named and "schemas" not in declared:
        yield _WHERE, f"names no databases: set one of {', '.join((*_SOURCES, 'schemas'))}"
    source = declared.get("databases")
    if isinstance(source, str) and source and not _CALLABLE.match(source):
        yield f"{_WHERE} databases", "not written as package.module:callable"
    if "catalog_env" in declared and "query" not in declared:
        yield f"{_WHERE} catalog_env", "is for query, which is not there"


def _of_variables(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in given.items():
        where = f"{_WHERE} environment"
        if not _NAME.match(name):
            yield where, f"{name!r} is no name of a variable"
        elif name.startswith("DB_OPS_") or name in (URL, URL + FILE_SUFFIX):
            yield where, f"{name} is read by db-ops itself, for all of the fleet"
        elif "://" in value:
            yield where, f"{name} holds a URL; name the databases by it: query, file or databases"


def _fits(value: Any, kind: Any) -> bool:
    if type(value) is not kind or value in ("", [], {}):
        return False
    if kind is dict:
        return all(isinstance(one, str) for one in value.values())
    if kind is list:
        return all(isinstance(one, str) for one in value)
    return kind is not int or bool(value >= 1)


def member_url(text: str, source: str, root: Path) -> DatabaseUrl:
    """Return the URL of a database of a fleet; its password may be written `$NAME` or `${NAME}`.

    That is the value of the variable in this process, or in the `.env` in *root*. Raises
    `InvalidSettings` if there is none, and what `DatabaseUrl.parse` raises.
    """
    url = DatabaseUrl.parse(text, source)
    found = _VARIABLE.match(url.parameters.get("password", ""))
    if not found:
        return url
    name = found[1] or found[2]
    return url.with_password(variable(name, source, root))


def is_variable(text: str) -> bool:
    """Tell whether *text* is the name of a variable, as `member_url` takes it."""
    return _VARIABLE.match(text) is not None


def variable(name: str, source: str, root: Path) -> str:
    """Return the value of the variable *name*, which *source* names. Raises `InvalidSettings`."""
    value = read_variables(root)[0].get(name)
    if not value:
        raise InvalidSettings({name: f"not set, and {source} names it"})
    return value


def shard_of(text: str | None) -> tuple[int, int] | None:
    """Return the part that `K/N` stands for; of `/N`, the one that Kubernetes gives this process.

    An Indexed Job counts from 0. Raises `UsageError`.
    """
    if text is None:
        return None
    first, _, last = text.partition("/")
    index = os.environ.get(_INDEX)
    if not first and index is not None and index.isdecimal():
        first = str(int(index) + 1)
    if not first and last.isdecimal():
        raise UsageError(
            f"fleet: --shard {text}: {_INDEX} is not set",
            f"name the part itself: db-ops fleet status --shard 1/{last}",
        )
    if first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last):
        return int(first), int(last)
    raise UsageError(
        f"fleet: --shard {text!r} is not K/N with K from 1 to N",
        "name the third part of sixteen: db-ops fleet status --shard 3/16",
    )
