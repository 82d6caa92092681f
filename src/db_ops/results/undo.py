"""The results of `undo` and `undo --list`."""

from __future__ import annotations

from db_ops.frozen_data import FrozenData
from db_ops.results.migrate import Result, Revision, Undo


class KeptDatabase(FrozenData):
    """What `command` has replaced, dropped or reverted, `kept` from then `until` (UTC, ISO 8601).

    It is at `heads`, None where it cannot be asked.
    """

    command: str
    kept: str
    until: str
    heads: tuple[str, ...] | None
    bytes: int


class Undone(Result):
    """The database is again what it was before the command of `brought_back`.

    `pending` are the revisions that this checkout has beyond it, `unknown` the recorded ones that
    it lacks. `existed` is False where there was no database to replace; else `undo` brings that
    one back.
    """

    brought_back: KeptDatabase
    existed: bool
    seconds: float
    pending: tuple[Revision, ...]
    unknown: tuple[str, ...]
    undo: Undo | None


class UndoList(Result):
    """What is kept of the database, the newest first: that is what `undo` brings back."""

    kept: tuple[KeptDatabase, ...]
