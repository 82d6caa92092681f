"""Those variables of ours that are not text: parsed and checked by environs.

Its parsers take a fifth of what a command costs that finds nothing to do: this is imported where
one of these variables is set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from environs import Env, EnvError, EnvValidationError

# environs 11 to 14, which allow marshmallow 3, do not export these.
from marshmallow import ValidationError, validate

from db_ops.errors import InvalidSettings
from db_ops.settings.libpq_defaults import NOT_UTF_8, is_utf_8

ENVIRONMENT_NAME = re.compile(r"[a-z][a-z0-9_-]*\Z")
_NO_ENVIRONMENT = (
    "{input!r} is not a word of lower-case letters, digits, - and _, as development is"
)


class _Variables(Env):
    """environs' parsers, over variables that were found already."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        super().__init__(eager=False, expand_vars=False)
        self._found = variables

    def _get_from_environ(
        self, key: str, default: Any, *, proxied: bool = False
    ) -> tuple[str, Any, str | None]:
        # From environs 11 to 15 the one place that looks a variable up. There is no public way but
        # a file, and up to 14 environs writes what is in that file to os.environ.
        return key, self._found.get(key, default), None


def parse_variables(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings that *variables* give, by their names in `Settings`.

    Raises `InvalidSettings`, which names every bad variable at once.
    """
    env = _Variables(variables)
    try:
        given: dict[str, Any] = {
            "declared_environment": env.str(
                "DB_OPS_ENVIRONMENT",
                None,
                validate=validate.Regexp(ENVIRONMENT_NAME, error=_NO_ENVIRONMENT),
            ),
            "maintenance_database": env.str(
                "DB_OPS_MAINTENANCE_DATABASE", None, validate=[validate.Length(min=1), _utf_8]
            ),
            "connect_timeout": _seconds(env, "DB_OPS_CONNECT_TIMEOUT", least=1),
            "wait_timeout": _seconds(env, "DB_OPS_WAIT_TIMEOUT"),
            "migration_lock_timeout": _seconds(env, "DB_OPS_MIGRATION_LOCK_TIMEOUT"),
            "lock_timeout": _seconds(env, "DB_OPS_LOCK_TIMEOUT"),
            "lock_retries": env.int("DB_OPS_LOCK_RETRIES", None, validate=validate.Range(min=0)),
            "statement_timeout": _seconds(env, "DB_OPS_STATEMENT_TIMEOUT"),
            "spare": env.bool("DB_OPS_SPARE", None),
            "role": env.str("DB_OPS_ROLE", None, validate=[validate.Length(min=1, max=63), _utf_8]),
            "soft_reset": env.bool("DB_OPS_SOFT_RESET", None),
            "undo": env.bool("DB_OPS_UNDO", None),
            "undo_limit_mb": env.int("DB_OPS_UNDO_LIMIT_MB", None, validate=validate.Range(min=0)),
            "records": env.bool("DB_OPS_RECORDS", None),
            "ahead_is_different": env.bool("DB_OPS_AHEAD_IS_DIFFERENT", None),
            "database_per_branch": env.bool("DB_OPS_DATABASE_PER_BRANCH", None),
        }
        env.seal()
    except EnvValidationError as error:
        problems: dict[str, list[str]] = dict(error.error_messages)  # type: ignore[arg-type]  # environs types it as a union; seal() gives the mapping
        raise InvalidSettings({name: " ".join(said) for name, said in problems.items()}) from None
    except EnvError as error:
        raise InvalidSettings({"the environment": str(error)}) from None
    return {name: value for name, value in given.items() if value is not None}


def _utf_8(value: str) -> None:
    if not is_utf_8(value):
        raise ValidationError(NOT_UTF_8)


def _seconds(env: Env, name: str, least: float = 0) -> float | None:
    return env.float(name, None, validate=validate.Range(min=least, max=86_400))
