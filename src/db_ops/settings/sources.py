"""Where settings come from: the environment, then the project's `.env`.

What names things of the project, and is no secret, may also stand in its `pyproject.toml`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from environs import EnvError, EnvValidationError, FileAwareEnv, ValidationError, validate

from db_ops.errors import InvalidSettings
from db_ops.settings.libpq_defaults import NOT_UTF_8, is_utf_8
from db_ops.settings.model import TEST, TEST_DATABASE, Settings
from db_ops.settings.project_files import find_project, find_root
from db_ops.settings.url import DatabaseUrl

_NOT_CI = ("", "0", "false")
SCRATCH_VARIABLE = "DB_OPS_SCRATCH_URL"
ENVIRONMENT_NAME = re.compile(r"[a-z][a-z0-9_-]*\Z")


def load(start: Path | None = None, *, for_tests: bool = False) -> Settings:
    """Read the settings of the project around *start* (the current directory).

    The project is the nearest folder upwards that `find_project` knows for one, and its `.env` is
    the one that counts. The real environment wins over `.env`, and `DATABASE_URL_FILE` over
    `DATABASE_URL`. Another name for that variable, or the attribute of the project's settings that
    holds the URL, and other names of the project's may stand in `[tool.db_ops]` of its
    `pyproject.toml`.

    With *for_tests*, the databases of tests are meant: their server is that of `DB_OPS_TEST_URL`,
    from whose database they are created, or the embedded one. `DATABASE_URL` has no say then.

    Raises `AlembicIniNotFound`, `InvalidSettings` (naming every bad variable at once), or what
    `DatabaseUrl.parse` raises.
    """
    here = (start or Path.cwd()).resolve()
    nearest = find_root(here)
    env = FileAwareEnv(eager=False, expand_vars=False, strip_whitespace=True)
    dotenv = (nearest or here) / ".env"
    if dotenv.is_file():
        env.read_env(dotenv, recurse=False)
    try:
        files = find_project(here, env.str("DB_OPS_ALEMBIC_INI", None))
        named = files.declared.get("url_env", "DATABASE_URL")
        variable = "DB_OPS_TEST_URL" if for_tests else named
        url = env.str(variable, None)
        section = env.str("DB_OPS_NAME", None) or files.declared.get("name")
        x = (*files.declared.get("x", ()), *env.str("DB_OPS_X", "").split())
        scratch = env.str(SCRATCH_VARIABLE, None)
        given: dict[str, Any] = {
            "declared_environment": TEST if for_tests else _environment(env),
            "maintenance_database": env.str(
                "DB_OPS_MAINTENANCE_DATABASE", None, validate=[validate.Length(min=1), _utf_8]
            ),
            "connect_timeout": _seconds(env, "DB_OPS_CONNECT_TIMEOUT", least=1),
            "wait_timeout": _seconds(env, "DB_OPS_WAIT_TIMEOUT"),
            "migration_lock_timeout": _seconds(env, "DB_OPS_MIGRATION_LOCK_TIMEOUT"),
            "lock_timeout": _seconds(env, "DB_OPS_LOCK_TIMEOUT"),
            "lock_retries": env.int("DB_OPS_LOCK_RETRIES", None, validate=validate.Range(min=0)),
            "statement_timeout": _seconds(env, "DB_OPS_STATEMENT_TIMEOUT"),
            # A machine that builds and goes away would make one for nobody.
            "spare": env.bool("DB_OPS_SPARE", True) and env.str("CI", "") in _NOT_CI,
            "records": env.bool("DB_OPS_RECORDS", files.declared.get("records")),
            "squawk": files.declared.get("squawk"),
            "user_cache": _user_cache(),
        }
        env.seal()
    except EnvValidationError as error:
        problems: dict[str, list[str]] = dict(error.error_messages)  # type: ignore[arg-type]  # environs types it as a union; seal() gives the mapping
        raise InvalidSettings({name: " ".join(said) for name, said in problems.items()}) from None
    except (EnvError, ValueError) as error:
        # environs reports an unreadable *_FILE as a plain ValueError that names the variable.
        raise InvalidSettings({"DATABASE_URL_FILE": str(error)}) from None
    if for_tests and url is None:
        given["embedded"] = True
    settings = Settings(
        alembic_ini=files.alembic_config,
        folder=files.root,
        url=None if url is None else DatabaseUrl.parse(url, variable),
        section=section or "alembic",
        x=x,
        url_env=None if for_tests else files.declared.get("url_env"),
        url_from=None if for_tests else files.declared.get("url_from"),
        sources=_sources(variable, url, files.declared),
        scratch_url=None if scratch is None else DatabaseUrl.parse(scratch, SCRATCH_VARIABLE),
        **{name: value for name, value in given.items() if value is not None},
    )
    return _for_tests(settings) if for_tests else settings


def _for_tests(settings: Settings) -> Settings:
    if settings.url is None:
        return settings
    return replace(
        settings,
        url=settings.url.at(TEST_DATABASE),
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


def _utf_8(value: str) -> None:
    if not is_utf_8(value):
        raise ValidationError(NOT_UTF_8)


def _environment(env: FileAwareEnv) -> str | None:
    return env.str("DB_OPS_ENVIRONMENT", None, validate=validate.Regexp(ENVIRONMENT_NAME))


def _seconds(env: FileAwareEnv, name: str, least: float = 0) -> float | None:
    return env.float(name, None, validate=validate.Range(min=least, max=86_400))


def _sources(variable: str, url: str | None, declared: Mapping[str, object]) -> dict[str, str]:
    """Say for each setting that is not a default where it came from."""
    found = {name: "the environment" for name in os.environ if name.startswith("DB_OPS_")}
    found |= {f"[tool.db_ops] {name}": "pyproject.toml" for name in declared}
    if url is not None:
        name = variable if variable in os.environ else f"{variable}_FILE"
        found["url"] = name if name in os.environ else f"{variable} in .env"
    return found
