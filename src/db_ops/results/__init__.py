"""The results that commands return, and the events that they report.

All of it is frozen data that knows nothing of terminals. `location` is `host:port/database`, never
with a password; durations are seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from db_ops.results.branches import BranchDatabase, Branches
    from db_ops.results.create_migration import MigrationCreated, MigrationRebased
    from db_ops.results.diagram import Diagram
    from db_ops.results.dump import Dumped, Loaded
    from db_ops.results.events import (
        BootstrapStarted,
        BranchCopied,
        BranchNotCopied,
        BranchNotKept,
        BuildAbandoned,
        Connected,
        ConnectionNotice,
        DatabaseCreated,
        DatabaseDropped,
        DatabaseSetAside,
        Event,
        HookMissing,
        InvalidIndexDropped,
        InvalidIndexLeft,
        KeptForUndo,
        LeftOnServer,
        NotMarked,
        NotRecorded,
        OnEvent,
        OtherTables,
        PhaseStarted,
        RevisionFinished,
        RevisionRetried,
        RevisionStarted,
        SeedStarted,
        SequenceBehind,
        ServerStarting,
        StatementBlocked,
        TableCopied,
        WaitingForLock,
        WaitingForServer,
        ignore,
    )
    from db_ops.results.fleet import FleetMember, FleetProgress, FleetReport
    from db_ops.results.history import History, HistoryEntry, QuicklyVerified, Record
    from db_ops.results.migrate import (
        Deleted,
        Downgraded,
        Initialised,
        Migrated,
        ObjectCount,
        ObjectsDropped,
        Origin,
        Recreated,
        Result,
        Revision,
        SchemaFile,
        Seeded,
        SeededTable,
        Step,
        Undo,
    )
    from db_ops.results.plan import (
        Effect,
        MeasuredRevision,
        MeasuredStatement,
        Measurement,
        Planned,
        Script,
        UnsafePattern,
    )
    from db_ops.results.project import Diagnosis, Finding, Scaffolded
    from db_ops.results.release import ReleaseCheck, ReleaseFinding
    from db_ops.results.server import (
        Cache,
        CachedDatabase,
        ConnectionUrl,
        ServerStarted,
        ServerStopped,
        ShellEnded,
    )
    from db_ops.results.snapshot import Restored, Snapshot, Snapshots, SnapshotTaken
    from db_ops.results.squash import DataStep, Squashed
    from db_ops.results.stamp import RevisionsFound, Stamped
    from db_ops.results.status import Drift, Pending, Status
    from db_ops.results.undo import KeptDatabase, UndoList, Undone
    from db_ops.results.verify import Difference, Silenced, Verified

# In this order: nearly every command needs the first two, and each class costs at import.
_MODULES = (
    "migrate",
    "events",
    "status",
    "history",
    "server",
    "branches",
    "fleet",
    "verify",
    "snapshot",
    "undo",
    "stamp",
    "squash",
    "dump",
    "create_migration",
    "project",
    "diagram",
    "plan",
    "release",
)

__all__ = [
    "BootstrapStarted",
    "BranchCopied",
    "BranchDatabase",
    "BranchNotCopied",
    "BranchNotKept",
    "Branches",
    "BuildAbandoned",
    "Cache",
    "CachedDatabase",
    "Connected",
    "ConnectionNotice",
    "ConnectionUrl",
    "DataStep",
    "DatabaseCreated",
    "DatabaseDropped",
    "DatabaseSetAside",
    "Deleted",
    "Diagnosis",
    "Diagram",
    "Difference",
    "Downgraded",
    "Drift",
    "Dumped",
    "Effect",
    "Event",
    "Finding",
    "FleetMember",
    "FleetProgress",
    "FleetReport",
    "History",
    "HistoryEntry",
    "HookMissing",
    "Initialised",
    "InvalidIndexDropped",
    "InvalidIndexLeft",
    "KeptDatabase",
    "KeptForUndo",
    "LeftOnServer",
    "Loaded",
    "MeasuredRevision",
    "MeasuredStatement",
    "Measurement",
    "Migrated",
    "MigrationCreated",
    "MigrationRebased",
    "NotMarked",
    "NotRecorded",
    "ObjectCount",
    "ObjectsDropped",
    "OnEvent",
    "Origin",
    "OtherTables",
    "Pending",
    "PhaseStarted",
    "Planned",
    "QuicklyVerified",
    "Record",
    "Recreated",
    "ReleaseCheck",
    "ReleaseFinding",
    "Restored",
    "Result",
    "Revision",
    "RevisionFinished",
    "RevisionRetried",
    "RevisionStarted",
    "RevisionsFound",
    "Scaffolded",
    "SchemaFile",
    "Script",
    "SeedStarted",
    "Seeded",
    "SeededTable",
    "SequenceBehind",
    "ServerStarted",
    "ServerStarting",
    "ServerStopped",
    "ShellEnded",
    "Silenced",
    "Snapshot",
    "SnapshotTaken",
    "Snapshots",
    "Squashed",
    "Stamped",
    "StatementBlocked",
    "Status",
    "Step",
    "TableCopied",
    "Undo",
    "UndoList",
    "Undone",
    "UnsafePattern",
    "Verified",
    "WaitingForLock",
    "WaitingForServer",
    "ignore",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in __all__:
            for module_name in _MODULES:
                module = import_module(f"{__name__}.{module_name}")
                if hasattr(module, name):
                    return globals().setdefault(name, getattr(module, name))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
