"""One command for every moment in the life of a service's PostgreSQL database.

The functions here are the commands of the same names; each takes `Settings` and returns a frozen
result. Importing this package does no work: what a name needs is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from db_ops.errors import DbOpsError
    from db_ops.operations import (
        cache,
        check_models,
        create_migration,
        delete_db,
        diagram,
        downgrade,
        init,
        recreate,
        restore,
        snapshot,
        snapshots,
        start,
        status,
        stop,
        upgrade,
        url,
        verify,
    )
    from db_ops.settings import DatabaseUrl, Settings, load

__version__ = "0.1.0"

_HOMES = {
    "db_ops.errors": ("DbOpsError",),
    "db_ops.settings": ("DatabaseUrl", "Settings", "load"),
    "db_ops.operations": (
        "cache",
        "check_models",
        "create_migration",
        "delete_db",
        "diagram",
        "downgrade",
        "init",
        "recreate",
        "restore",
        "snapshot",
        "snapshots",
        "start",
        "status",
        "stop",
        "upgrade",
        "url",
        "verify",
    ),
}

__all__ = [
    "DatabaseUrl",
    "DbOpsError",
    "Settings",
    "cache",
    "check_models",
    "create_migration",
    "delete_db",
    "diagram",
    "downgrade",
    "init",
    "load",
    "recreate",
    "restore",
    "snapshot",
    "snapshots",
    "start",
    "status",
    "stop",
    "upgrade",
    "url",
    "verify",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'db_ops' has no attribute {name!r}")
