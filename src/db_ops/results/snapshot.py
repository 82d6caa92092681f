"""The results of `snapshot`, `restore` and `snapshots`."""

from __future__ import annotations

from db_ops.frozen_data import FrozenData, field
from db_ops.results.migrate import Result, Revision, Undo


class Snapshot(FrozenData):
    """A copy of the database that is kept under a name of the user's.

    `heads` is the revision that it is at, `taken` when it was made (UTC, ISO 8601).
    """

    name: str
    heads: tuple[str, ...]
    taken: str
    bytes: int


class SnapshotTaken(Result):
    """What `snapshot` kept, and in how many seconds."""

    snapshot: Snapshot
    seconds: float


class Restored(Result):
    """The database is again what it was when `snapshot` was taken.

    `pending` are the revisions that this checkout has beyond it, `unknown` the recorded ones that
    it lacks. `existed` is False where there was no database to replace.
    """

    snapshot: Snapshot
    existed: bool
    seconds: float
    pending: tuple[Revision, ...]
    unknown: tuple[str, ...]
    undo: Undo | None = field(default=None, kw_only=True)


class Snapshots(Result):
    """The snapshots of the database, newest first, and the name of the one dropped just now."""

    snapshots: tuple[Snapshot, ...]
    dropped: str | None
