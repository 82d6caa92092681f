"""What the history table holds, read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from db_ops.frozen_data import FrozenData


class HistoryRow(FrozenData):
    """One record; `finished` is UTC in ISO 8601.

    `copied` tells that it was written in a database of another name, of which this one is a copy.
    `parents` is what the revision follows and depends on, None where that was not recorded.
    `acting_role` is what `role` acted as, None if it was itself.
    """

    number: int
    revision: str
    action: str
    heads: tuple[str, ...]
    checksum: str | None
    fingerprint: str | None
    finished: str
    seconds: float | None
    role: str
    os_user: str | None
    command: str | None
    copied: bool
    parents: tuple[str, ...] | None = None
    acting_role: str | None = None


class RecordedHistory(FrozenData):
    """All records of a service, oldest first; `problem` says why there are none."""

    rows: tuple[HistoryRow, ...] = ()
    problem: str | None = None

    @cached_property
    def newest(self) -> Mapping[str, HistoryRow]:
        """The newest row of each revision."""
        return {row.revision: row for row in self.rows}

    @property
    def heads(self) -> tuple[str, ...]:
        """What the version table held after the last row."""
        return self.rows[-1].heads if self.rows else ()

    @cached_property
    def parents(self) -> Mapping[str, tuple[str, ...]]:
        """What each revision follows and depends on, as its file said when it was last seen."""
        return {row.revision: row.parents for row in self.rows if row.parents is not None}

    @cached_property
    def done(self) -> Mapping[str, HistoryRow]:
        """The newest row of each revision that tells of something done to the database."""
        accepted = {row.revision: row for row in self.rows if row.action in ("accept", "forget")}
        return accepted | {
            row.revision: row for row in self.rows if row.action not in ("accept", "forget")
        }
