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
    from db_ops.commands.branches import branches
    from db_ops.commands.cache import cache
    from db_ops.commands.check_models import check_models
    from db_ops.commands.create_migration import create_migration
    from db_ops.commands.delete_db import delete_db
    from db_ops.commands.diagram import diagram
    from db_ops.commands.doctor import doctor
    from db_ops.commands.downgrade import downgrade
    from db_ops.commands.dump import dump, load_dump
    from db_ops.commands.fleet import fleet
    from db_ops.commands.history import history
    from db_ops.commands.init import init
    from db_ops.commands.new import new
    from db_ops.commands.plan import plan_downgrade, plan_upgrade, upgrade_sql
    from db_ops.commands.rebase import rebase_migration
    from db_ops.commands.recreate import recreate
    from db_ops.commands.seed import seed
    from db_ops.commands.server import start, stop, url
    from db_ops.commands.shell import shell
    from db_ops.commands.snapshot import restore, snapshot, snapshots
    from db_ops.commands.squash import squash
    from db_ops.commands.stamp import find_revisions, stamp
    from db_ops.commands.status import status
    from db_ops.commands.undo import undo, undo_list
    from db_ops.commands.upgrade import upgrade
    from db_ops.commands.verify import verify
    from db_ops.errors import DbOpsError
    from db_ops.settings import DatabaseUrl, Settings, load
    from db_ops.settings.application import database_url
    from db_ops.target.alembic_hook import run_migrations

__version__ = "0.1.0"

# Where the names are that are not of a command in a module of its own name.
_HOMES = {
    "DatabaseUrl": "settings",
    "database_url": "settings.application",
    "DbOpsError": "errors",
    "Settings": "settings",
    "find_revisions": "commands.stamp",
    "load": "settings",
    "load_dump": "commands.dump",
    "plan_downgrade": "commands.plan",
    "plan_upgrade": "commands.plan",
    "rebase_migration": "commands.rebase",
    "restore": "commands.snapshot",
    "run_migrations": "target.alembic_hook",
    "snapshots": "commands.snapshot",
    "start": "commands.server",
    "stop": "commands.server",
    "undo_list": "commands.undo",
    "upgrade_sql": "commands.plan",
    "url": "commands.server",
}

__all__ = [
    "DatabaseUrl",
    "DbOpsError",
    "Settings",
    "branches",
    "cache",
    "check_models",
    "create_migration",
    "database_url",
    "delete_db",
    "diagram",
    "doctor",
    "downgrade",
    "dump",
    "find_revisions",
    "fleet",
    "history",
    "init",
    "load",
    "load_dump",
    "new",
    "plan_downgrade",
    "plan_upgrade",
    "rebase_migration",
    "recreate",
    "restore",
    "run_migrations",
    "seed",
    "shell",
    "snapshot",
    "snapshots",
    "squash",
    "stamp",
    "start",
    "status",
    "stop",
    "undo",
    "undo_list",
    "upgrade",
    "upgrade_sql",
    "url",
    "verify",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module 'db_ops' has no attribute {name!r}")
        home = _HOMES.get(name, f"commands.{name}")
        found = getattr(import_module(f"db_ops.{home}"), name)
        # `new` takes no settings, and runs no env.py.
        if home.startswith("commands.") and name != "new":
            from db_ops.commands.one_at_a_time import one_at_a_time

            found = one_at_a_time(found)
        return globals().setdefault(name, found)
