"""What operations return, and the events they report on the way.

All of it is frozen data that knows nothing of terminals. `location` is `host:port/database`, never
with a password; durations are seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from db_ops.results.created import MigrationCreated, MigrationRebased
    from db_ops.results.diagrams import Diagram
    from db_ops.results.events import (
        BuildAbandoned,
        Connected,
        DatabaseCreated,
        DatabaseDropped,
        Event,
        InvalidIndexDropped,
        InvalidIndexLeft,
        NotMarked,
        NotRecorded,
        OnEvent,
        RevisionFinished,
        RevisionRetried,
        RevisionStarted,
        ServerStarting,
        StatementBlocked,
        WaitingForLock,
        WaitingForServer,
        ignore,
    )
    from db_ops.results.measured import (
        Effect,
        MeasuredRevision,
        MeasuredStatement,
        Measurement,
        Planned,
        Script,
        UnsafePattern,
    )
    from db_ops.results.outcomes import (
        Cache,
        CachedDatabase,
        ConnectionUrl,
        Deleted,
        Diagnosis,
        Difference,
        Downgraded,
        Drift,
        Finding,
        Initialised,
        Migrated,
        Origin,
        Pending,
        Recreated,
        Result,
        Revision,
        Scaffolded,
        ServerStarted,
        ServerStopped,
        Silenced,
        Status,
        Step,
        Verified,
    )
    from db_ops.results.records import History, HistoryEntry, QuicklyVerified, Record
    from db_ops.results.snapshots import Restored, Snapshot, Snapshots, SnapshotTaken

# In this order: nearly every command needs the first two, and each class costs at import.
_ROOMS = ("outcomes", "events", "created", "diagrams", "measured", "records", "snapshots")

__all__ = [
    "BuildAbandoned",
    "Cache",
    "CachedDatabase",
    "Connected",
    "ConnectionUrl",
    "DatabaseCreated",
    "DatabaseDropped",
    "Deleted",
    "Diagnosis",
    "Diagram",
    "Difference",
    "Downgraded",
    "Drift",
    "Effect",
    "Event",
    "Finding",
    "History",
    "HistoryEntry",
    "Initialised",
    "InvalidIndexDropped",
    "InvalidIndexLeft",
    "MeasuredRevision",
    "MeasuredStatement",
    "Measurement",
    "Migrated",
    "MigrationCreated",
    "MigrationRebased",
    "NotMarked",
    "NotRecorded",
    "OnEvent",
    "Origin",
    "Pending",
    "Planned",
    "QuicklyVerified",
    "Record",
    "Recreated",
    "Restored",
    "Result",
    "Revision",
    "RevisionFinished",
    "RevisionRetried",
    "RevisionStarted",
    "Scaffolded",
    "Script",
    "ServerStarted",
    "ServerStarting",
    "ServerStopped",
    "Silenced",
    "Snapshot",
    "SnapshotTaken",
    "Snapshots",
    "StatementBlocked",
    "Status",
    "Step",
    "UnsafePattern",
    "Verified",
    "WaitingForLock",
    "WaitingForServer",
    "ignore",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        for room in _ROOMS:
            module = import_module(f"{__name__}.{room}")
            if hasattr(module, name):
                return globals().setdefault(name, getattr(module, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
