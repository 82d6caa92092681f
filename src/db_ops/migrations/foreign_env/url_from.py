"""Read the URL from where the project's own settings hold it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from db_ops.errors import UrlNotFound
from db_ops.migrations.env.error_location import describe_failure
from db_ops.migrations.env.runtime import Session
from db_ops.migrations.foreign_env.adoption import env_py_adoption
from db_ops.migrations.foreign_env.sandbox import env_py_sandbox
from db_ops.migrations.project import Project
from db_ops.settings import DatabaseUrl


def url_from(project: Project, named: str) -> DatabaseUrl:
    """Return the URL in the project's own settings, at `module:attribute.attribute`.

    Raises `UrlNotFound`, and what `DatabaseUrl.parse` raises.
    """
    module, _, path = named.partition(":")
    try:
        with env_py_adoption(Session(inspects=True)), env_py_sandbox(project):
            value: Any = import_module(module)
            for attribute in path.split("."):
                value = getattr(value, attribute)
            value = value() if callable(value) else value
    except (Exception, SystemExit) as error:
        raise UrlNotFound(named, describe_failure(error)) from error
    return DatabaseUrl.parse(revealed(value), named)


def revealed(value: Any) -> str:
    """Return the text of a URL that its class hides: of Pydantic's secrets, SQLAlchemy's URL."""
    for reveal in ("get_secret_value", "render_as_string"):
        if hasattr(value, reveal):
            secret = reveal == "get_secret_value"
            value = getattr(value, reveal)(**({} if secret else {"hide_password": False}))
    return str(value)
