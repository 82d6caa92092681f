"""Where settings come from: the environment, then the project's `.env`.

What names things of the project, and is no secret, may also stand in its `pyproject.toml`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db_ops.errors import InvalidSettings, UsageError
from db_ops.frozen_data import replace
from db_ops.settings.libpq_defaults import NOT_UTF_8
from db_ops.settings.model import TEST, TEST_DATABASE, Settings
from db_ops.settings.project_files import find_project, find_root
from db_ops.settings.url import DatabaseUrl
from db_ops.settings.variables import (
    FILE_SUFFIX,
    MIGRATION_URL,
    OWN,
    PARSED,
    SCRATCH_URL,
    TEST_URL,
    URL,
    read_variables,
)

if TYPE_CHECKING:
    from db_ops.settings.fleet import FleetSettings

_NOT_CI = ("", "0", "false")
SCRATCH_VARIABLE = SCRATCH_URL


def load(
    start: Path | None = None,
    *,
    for_tests: bool = False,
    alembic_ini: str | None = None,
    section: str | None = None,
    x: tuple[str, ...] = (),
    flask_app: str | None = None,
) -> Settings:
    """Read the settings of the project around *start* (the current directory).

    The project is the nearest folder upwards that `find_project` knows for one, and its `.env` is
    the one that counts. The real environment wins over `.env`, and `DATABASE_URL_FILE` over
    `DATABASE_URL`. Another name for that variable, or the attribute of the project's settings that
    holds the URL, and other names of the project's may stand in `[tool.db_ops]` of its
    `pyproject.toml`. *alembic_ini* and *section* win over what the variables say, *x* is added,
    *flask_app* is Flask's `--app`.

    With *for_tests*, the databases of tests are meant: their server is that of `DB_OPS_TEST_URL`,
    from whose database they are created, or the embedded one. `DATABASE_URL` has no say then.

    Raises `AlembicIniNotFound`, `InvalidSettings` (naming every bad variable at once), or what
    `DatabaseUrl.parse` raises.
    """
    here = (start or Path.cwd()).resolve()
    variables, notes = read_variables(find_root(here) or here)
    named = alembic_ini if alembic_ini is not None else variables.get("DB_OPS_ALEMBIC_INI")
    if named is not None and not named.strip():
        if alembic_ini is not None:
            raise UsageError(
                "--config: it is empty", "name the project's alembic.ini, or leave it out"
            )
        raise InvalidSettings({"DB_OPS_ALEMBIC_INI": "set, but empty; unset it, or name the file"})
    files = find_project(here, named)
    variable = TEST_URL if for_tests else files.declared.get("url_env", URL)
    url, scratch = _from_file_or_plain(variables, variable, SCRATCH_URL)
    migration = None if for_tests else _from_file_or_plain(variables, MIGRATION_URL)[0]
    declared = files.declared
    taken = (
        "records", "ahead_is_different", "squawk", "role", "soft_reset", "undo_limit_mb",
        "database_per_branch",
    )  # fmt: skip
    given: dict[str, Any] = {name: declared.get(name) for name in taken}
    given["undo"] = declared.get("undo", True)
    in_ci = variables.get("CI", "") not in _NOT_CI
    given |= {"user_cache": _user_cache(), "spare": True, "in_ci": in_ci}
    if any(name in variables for name in PARSED):
        from db_ops.settings.parsed_variables import parse_variables

        parsed = parse_variables(variables)
        if parsed.get("database_per_branch") and given["database_per_branch"]:
            # The project may have named the branch that keeps its database.
            del parsed["database_per_branch"]
        given |= parsed
    if for_tests:
        given |= {"declared_environment": TEST, "database_per_branch": None}
    # `none`, as SQL has it, is the role of the connection.
    if for_tests or given["role"] == "none":
        given["role"] = None
    # A machine that builds and goes away would make one for nobody.
    given["spare"] &= not in_ci
    if for_tests and url is None:
        given["embedded"] = True
    settings = Settings(
        alembic_ini=files.alembic_config,
        folder=files.root,
        url=None if url is None else DatabaseUrl.parse(url, variable),
        section=_section(section, variables.get("DB_OPS_NAME"), files.declared.get("name")),
        x=(*files.declared.get("x", ()), *_arguments(variables.get("DB_OPS_X", "")), *x),
        url_env=None if for_tests else files.declared.get("url_env"),
        url_from=None if for_tests else files.declared.get("url_from"),
        flask_app=flask_app,
        models=tuple(files.declared.get("models", ())),
        bootstrap=files.declared.get("bootstrap"),
        seed=_seeds(files.declared.get("seed", ())),
        schema_file=files.declared.get("schema_file"),
        fleet=_fleet(files.declared.get("fleet")),
        sources=_sources(variable, variables, files.declared),
        scratch_url=None if scratch is None else DatabaseUrl.parse(scratch, SCRATCH_URL),
        notes=notes,
        **{name: value for name, value in given.items() if value is not None},
    )
    if migration is not None:
        settings = _with_migration_url(settings, DatabaseUrl.parse(migration, MIGRATION_URL))
    return _for_tests(settings) if for_tests else settings


def _with_migration_url(settings: Settings, url: DatabaseUrl) -> Settings:
    """Return *settings* for which *url* leads to the database, and their own is the application's.

    A pooler may know the database by another name. One that is typed before a command, beside a
    `.env` that has both, is meant to lead elsewhere, and would not.
    """
    application, own = settings.url, settings.sources.get("url", "")
    typed_alone = not own.endswith(".env") and _is_in_file(MIGRATION_URL)
    if typed_alone and application is not None and application.database != url.database:
        what = f"in .env: names the database {url.database!r}, {own} in the environment"
        raise InvalidSettings(
            {MIGRATION_URL: f"{what} {application.database!r}; set both in the same place"}
        )
    source = f"{MIGRATION_URL} in .env" if _is_in_file(MIGRATION_URL) else MIGRATION_URL
    sources = {**settings.sources, "url": source, "application_url": own}
    return replace(settings, url=url, application_url=application, sources=sources)


def _is_in_file(name: str) -> bool:
    return name not in os.environ and name + FILE_SUFFIX not in os.environ


def _fleet(declared: Mapping[str, Any] | None) -> FleetSettings | None:
    if declared is None:
        return None
    from db_ops.settings.fleet import fleet_settings

    return fleet_settings(declared)


def _seeds(declared: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    return (declared,) if isinstance(declared, str) else tuple(declared)


def own_variables(start: Path) -> Mapping[str, str]:
    """Return those variables that are ours, whatever is wrong with the rest of what is set."""
    variables: Mapping[str, str] = os.environ
    with suppress(InvalidSettings):
        variables = read_variables(find_root(start) or start)[0]
    return {name: variables[name] for name in OWN if name in variables}


def _section(typed: str | None, variable: str | None, declared: str | None) -> str:
    if typed is not None and not typed.strip():
        raise UsageError("--name: it is empty", "name a section of alembic.ini, or leave it out")
    return typed or variable or declared or "alembic"


def _arguments(text: str) -> list[str]:
    """Return the arguments for env.py in `DB_OPS_X`: words as a shell splits them, or JSON."""
    try:
        if text.lstrip().startswith("["):
            found = json.loads(text)
            if not all(isinstance(one, str) for one in found):
                raise ValueError("not a list of strings")
            return list(found)
        import shlex

        return shlex.split(text)
    except ValueError as error:
        raise InvalidSettings({"DB_OPS_X": f"cannot be split into arguments: {error}"}) from None


def _from_file_or_plain(variables: Mapping[str, str], *names: str) -> list[str | None]:
    """Return the value of each variable, or what is in the file that one beside it names."""
    problems: dict[str, str] = {}
    values: list[str | None] = []
    for name in names:
        path = variables.get(name + FILE_SUFFIX)
        value = variables.get(name)
        if path is not None:
            try:
                value = _content(path)
            except ValueError as error:
                problems[name + FILE_SUFFIX] = str(error)
        values.append(value)
    if problems:
        raise InvalidSettings(problems)
    return values


def _content(path: str) -> str:
    """Return the one line of a file. The `ValueError` for any other repeats none of it."""
    if not path.strip():
        raise ValueError("set, but empty; unset it, or name the file that holds the URL")
    try:
        lines = Path(path).read_bytes().decode("utf-8-sig").splitlines()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is {NOT_UTF_8}") from None
    filled = [number for number, line in enumerate(lines, start=1) if line.strip()]
    if not filled:
        raise ValueError(f"{path} is empty; it has to hold the URL")
    if len(filled) > 1:
        raise ValueError(f"{path} has a second line, line {filled[1]}; it has to hold one URL")
    return lines[filled[0] - 1].strip()


def _for_tests(settings: Settings) -> Settings:
    if settings.url is None:
        return settings
    return replace(
        settings,
        url=settings.url.with_database(TEST_DATABASE),
        maintenance_database=settings.url.database,
    )


def _user_cache() -> Path | None:
    """Return this user's folder for what may be deleted; None for a user without a home.

    By the XDG base directory specification, a variable that is not an absolute path is ignored.
    """
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if named.is_absolute():
        return named / "db_ops"
    with suppress(RuntimeError):
        return Path.home() / ".cache" / "db_ops"
    return None


def _sources(
    variable: str, variables: Mapping[str, str], declared: Mapping[str, object]
) -> dict[str, str]:
    """Say for each setting that is not a default where it came from."""
    found = {
        name: "the environment" if name in os.environ else ".env"
        for name in variables
        if name.startswith("DB_OPS_")
    }
    found |= {f"[tool.db_ops] {name}": "pyproject.toml" for name in declared}
    for name in (variable + FILE_SUFFIX, variable):
        if name in variables:
            found["url"] = name if name in os.environ else f"{name} in .env"
            break
    return found
