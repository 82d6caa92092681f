"""Where settings come from: the environment, then the project's `.env`, nothing else."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from environs import EnvError, EnvValidationError, FileAwareEnv, ValidationError, validate

from db_ops.errors import AlembicIniNotFound, InvalidSettings, InvalidUrl
from db_ops.settings.model import TEST, TEST_DATABASE, Settings
from db_ops.settings.url import DatabaseUrl

_NOT_CI = ("", "0", "false")
_NOT_UTF_8 = "not UTF-8"
SCRATCH_VARIABLE = "DB_OPS_SCRATCH_URL"
ENVIRONMENT_NAME = re.compile(r"[a-z][a-z0-9_-]*\Z")


def load(start: Path | None = None, *, for_tests: bool = False) -> Settings:
    """Read the settings of the project around *start* (the current directory).

    The project is the folder of the nearest `alembic.ini` upwards, and its `.env` is the one that
    counts. The real environment wins over `.env`, and `DATABASE_URL_FILE` over `DATABASE_URL`.

    With *for_tests*, the databases of tests are meant: their server is that of `DB_OPS_TEST_URL`,
    from whose database they are created, or the embedded one. `DATABASE_URL` has no say then.

    Raises `AlembicIniNotFound`, `InvalidSettings` (naming every bad variable at once), or what
    `DatabaseUrl.parse` raises.
    """
    here = (start or Path.cwd()).resolve()
    nearest = _find_upwards("alembic.ini", here)
    env = FileAwareEnv(eager=False, expand_vars=False, strip_whitespace=True)
    dotenv = (nearest.parent if nearest else here) / ".env"
    if dotenv.is_file():
        env.read_env(dotenv, recurse=False)
    try:
        alembic_ini = env.str("DB_OPS_ALEMBIC_INI", None)
        variable = "DB_OPS_TEST_URL" if for_tests else "DATABASE_URL"
        url = env.str(variable, None)
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
            "records": env.bool("DB_OPS_RECORDS", None),
            "user_cache": _user_cache(),
        }
        env.seal()
    except EnvValidationError as error:
        problems: dict[str, list[str]] = dict(error.error_messages)  # type: ignore[arg-type]  # environs types it as a union; seal() gives the mapping
        raise InvalidSettings({name: " ".join(said) for name, said in problems.items()}) from None
    except (EnvError, ValueError) as error:
        # environs reports an unreadable *_FILE as a plain ValueError that names the variable.
        raise InvalidSettings({"DATABASE_URL_FILE": str(error)}) from None
    settings = Settings(
        alembic_ini=_alembic_ini(alembic_ini, nearest, here),
        url=None if url is None else _parse(url, variable),
        scratch_url=None if scratch is None else _parse(scratch, SCRATCH_VARIABLE),
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


def _parse(url: str, variable: str) -> DatabaseUrl:
    try:
        return DatabaseUrl.parse(url).with_defaults(_libpq_environment())
    except InvalidUrl as error:
        raise InvalidUrl(error.reason, variable) from None


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


def _libpq_environment() -> dict[str, str]:
    """Return where libpq itself would go for what the URL leaves open."""
    variables = {
        "host": "PGHOST",
        "hostaddr": "PGHOSTADDR",
        "port": "PGPORT",
        "service": "PGSERVICE",
    }
    given = {key: os.environ[name] for key, name in variables.items() if os.environ.get(name)}
    broken = {variables[key]: _NOT_UTF_8 for key, value in given.items() if not _is_utf_8(value)}
    if broken:
        raise InvalidSettings(broken)
    return given


def _is_utf_8(value: str) -> bool:
    # Python shows other bytes as lone surrogates, which psycopg2 cannot pass on.
    return value.encode(errors="ignore").decode() == value


def _utf_8(value: str) -> None:
    if not _is_utf_8(value):
        raise ValidationError(_NOT_UTF_8)


def _environment(env: FileAwareEnv) -> str | None:
    return env.str("DB_OPS_ENVIRONMENT", None, validate=validate.Regexp(ENVIRONMENT_NAME))


def _seconds(env: FileAwareEnv, name: str, least: float = 0) -> float | None:
    return env.float(name, None, validate=validate.Range(min=least, max=86_400))


def _alembic_ini(named: str | None, nearest: Path | None, here: Path) -> Path:
    if named is None:
        if nearest is None:
            raise AlembicIniNotFound(str(here))
        return nearest
    for folder in (here, nearest.parent if nearest else here):
        if (folder / named).is_file():
            return (folder / named).resolve()
    raise AlembicIniNotFound(str(here / named))


def _find_upwards(name: str, start: Path) -> Path | None:
    found = (folder / name for folder in (start, *start.parents) if (folder / name).is_file())
    return next(found, None)
