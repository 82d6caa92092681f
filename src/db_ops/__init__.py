"""One command for every moment in the life of a service's PostgreSQL database.

The functions here are the commands of the same names; each takes `Settings` and returns a frozen
result. Importing this package does no work: what a name needs is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from db_ops.errors import DbOpsError
    from db_ops.operations.caching import cache
    from db_ops.operations.creating import create_migration
    from db_ops.operations.databases import delete_db, init, recreate
    from db_ops.operations.diagnosing import doctor
    from db_ops.operations.diagrams import diagram
    from db_ops.operations.fresh import check_models
    from db_ops.operations.history import history
    from db_ops.operations.looking import status
    from db_ops.operations.migrating import downgrade, upgrade
    from db_ops.operations.planning import plan_downgrade, plan_upgrade, upgrade_sql
    from db_ops.operations.rebasing import rebase_migration
    from db_ops.operations.scaffolding import new
    from db_ops.operations.serving import start, stop, url
    from db_ops.operations.snapshots import restore, snapshot, snapshots
    from db_ops.operations.verifying import verify
    from db_ops.settings import DatabaseUrl, Settings, load

__version__ = "0.1.0"

_HOMES = {
    "db_ops.errors": ("DbOpsError",),
    "db_ops.settings": ("DatabaseUrl", "Settings", "load"),
    "db_ops.operations.caching": ("cache",),
    "db_ops.operations.creating": ("create_migration",),
    "db_ops.operations.databases": ("delete_db", "init", "recreate"),
    "db_ops.operations.diagnosing": ("doctor",),
    "db_ops.operations.diagrams": ("diagram",),
    "db_ops.operations.fresh": ("check_models",),
    "db_ops.operations.history": ("history",),
    "db_ops.operations.looking": ("status",),
    "db_ops.operations.migrating": ("downgrade", "upgrade"),
    "db_ops.operations.planning": ("plan_downgrade", "plan_upgrade", "upgrade_sql"),
    "db_ops.operations.rebasing": ("rebase_migration",),
    "db_ops.operations.scaffolding": ("new",),
    "db_ops.operations.serving": ("start", "stop", "url"),
    "db_ops.operations.snapshots": ("restore", "snapshot", "snapshots"),
    "db_ops.operations.verifying": ("verify",),
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
    "doctor",
    "downgrade",
    "history",
    "init",
    "load",
    "new",
    "plan_downgrade",
    "plan_upgrade",
    "rebase_migration",
    "recreate",
    "restore",
    "snapshot",
    "snapshots",
    "start",
    "status",
    "stop",
    "upgrade",
    "upgrade_sql",
    "url",
    "verify",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'db_ops' has no attribute {name!r}")
