"""The URL of the database of the branch that is checked out, for the application."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from db_ops.frozen_data import replace
from db_ops.settings.model import Settings
from db_ops.settings.sources import load
from db_ops.settings.url import DatabaseUrl


def database_url(url: str | None = None, *, start: Path | None = None) -> str:
    """Return *url* with the database of the branch that is checked out around *start* (here).

    Without one, that of the settings. It keeps its driver, its password and its parameters. Where
    each branch does not have a database of its own, as in production, it is returned as it is. No
    server is contacted, and nothing heavy imported. Raises what `load` raises; `ValueError` where
    no URL is given and the settings have none.
    """
    settings = load(start)
    if url is None:
        url = _of_settings(settings)
    if not settings.database_per_branch or settings.in_ci:
        return url
    from db_ops.settings.branch_database import url_on_branch

    found = DatabaseUrl.parse(url, "the application's URL")
    there = url_on_branch(replace(settings, application_url=None), found)
    return url if there.database == found.database else _with_database(url, there)


def _of_settings(settings: Settings) -> str:
    found = settings.application_url or settings.url
    if found is None:
        raise ValueError("no URL is given, and the settings have none")
    if os.environ.get(found.source):
        return os.environ[found.source]
    return found.render(with_password=True)


def _with_database(url: str, there: DatabaseUrl) -> str:
    """Write another database into *url*, in its own spelling where that is a URL."""
    if "://" not in url:
        return there.render(with_password=True)
    return urlunsplit(urlsplit(url)._replace(path="/" + quote(there.database, safe="~")))
