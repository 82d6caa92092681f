"""One command for every moment in the life of a service's PostgreSQL database.

The functions here are the commands of the same names; each takes `Settings` and returns a frozen
result. Importing this package does no work: what a name needs is imported when it is first used.

One thread at a time runs a command, since env.py runs under patches that reach the whole process:
another one waits, for `migration_lock_timeout` at most, and then raises `CommandRunning`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from db_ops.commands.cache import cache
    from db_ops.commands.check_models import check_models
    from db_ops.commands.create_migration import create_migration
    from db_ops.commands.delete_db import delete_db
    from db_ops.commands.diagram import diagram
    from db_ops.commands.doctor import doctor
    from db_ops.commands.downgrade import downgrade
    from db_ops.commands.history import history
    from db_ops.commands.init import init
    from db_ops.commands.new import new
    from db_ops.commands.plan import plan_downgrade, plan_upgrade, upgrade_sql
    from db_ops.commands.rebase import rebase_migration
    from db_ops.commands.recreate import recreate
    from db_ops.commands.server import start, stop, url
    from db_ops.commands.snapshot import restore, snapshot, snapshots
    from db_ops.commands.status import status
    from db_ops.commands.upgrade import upgrade
    from db_ops.commands.verify import verify
    from db_ops.errors import DbOpsError
    from db_ops.settings import DatabaseUrl, Settings, load
    from db_ops.target.alembic_hook import run_migrations

__version__ = "0.1.0"

_HOMES = {
    "db_ops.target.alembic_hook": ("run_migrations",),
    "db_ops.errors": ("DbOpsError",),
    "db_ops.settings": ("DatabaseUrl", "Settings", "load"),
    "db_ops.commands.cache": ("cache",),
    "db_ops.commands.create_migration": ("create_migration",),
    "db_ops.commands.delete_db": ("delete_db",),
    "db_ops.commands.init": ("init",),
    "db_ops.commands.recreate": ("recreate",),
    "db_ops.commands.doctor": ("doctor",),
    "db_ops.commands.diagram": ("diagram",),
    "db_ops.commands.check_models": ("check_models",),
    "db_ops.commands.history": ("history",),
    "db_ops.commands.status": ("status",),
    "db_ops.commands.downgrade": ("downgrade",),
    "db_ops.commands.upgrade": ("upgrade",),
    "db_ops.commands.plan": ("plan_downgrade", "plan_upgrade", "upgrade_sql"),
    "db_ops.commands.rebase": ("rebase_migration",),
    "db_ops.commands.new": ("new",),
    "db_ops.commands.server": ("start", "stop", "url"),
    "db_ops.commands.snapshot": ("restore", "snapshot", "snapshots"),
    "db_ops.commands.verify": ("verify",),
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
    "run_migrations",
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

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        for module, names in _HOMES.items():
            if name in names:
                found = getattr(import_module(module), name)
                if module.startswith("db_ops.commands."):
                    from db_ops.commands.one_at_a_time import one_at_a_time

                    # `new` takes no settings, and runs no env.py.
                    found = found if name == "new" else one_at_a_time(found)
                return globals().setdefault(name, found)
        raise AttributeError(f"module 'db_ops' has no attribute {name!r}")
