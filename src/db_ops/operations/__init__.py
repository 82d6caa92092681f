"""The commands: guard, compose, return a result. One function for each, of the same name."""

from db_ops.operations.caching import cache
from db_ops.operations.databases import delete_db, init, recreate
from db_ops.operations.diagnosing import doctor
from db_ops.operations.diagrams import diagram
from db_ops.operations.fresh import check_models
from db_ops.operations.history import history
from db_ops.operations.looking import status
from db_ops.operations.migrating import downgrade, upgrade
from db_ops.operations.raw_alembic import connect_for_alembic
from db_ops.operations.scaffolding import new
from db_ops.operations.serving import start, stop, url
from db_ops.operations.snapshots import restore, snapshot, snapshots
from db_ops.operations.verifying import verify

__all__ = [
    "cache",
    "check_models",
    "connect_for_alembic",
    "delete_db",
    "diagram",
    "doctor",
    "downgrade",
    "history",
    "init",
    "new",
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
