"""The results of `history` and `verify --quick`."""

from __future__ import annotations

from db_ops.errors import ExitCode
from db_ops.frozen_data import FrozenData
from db_ops.results.migrate import Result
from db_ops.results.status import Drift


class Record(FrozenData):
    """What is recorded of one step: `heads` are what the version table holds after it.

    `action` is `upgrade`, `downgrade`, `stamp`, `unstamp`, `accept` (recorded as it was found) or
    `forget` (its file is gone, on purpose). `parents` are what its file says it follows and depends
    on: by them a checkout without that file knows its place. None where no file was seen.
    """

    revision: str
    action: str
    heads: tuple[str, ...]
    checksum: str | None = None
    seconds: float | None = None
    parents: tuple[str, ...] | None = None


class HistoryEntry(FrozenData):
    """One revision, and what is recorded of it; times are UTC in ISO 8601, None without a record.

    `file` is `unchanged`, `edited` or `missing` since it was applied, or `unknown`. `action` is
    what was done last: `upgrade`, `downgrade`, `stamp`, `unstamp`, `accept`. `copied` tells that it
    was done in a database that this one is a copy of. `acting_role` is what `role` acted as, None
    if it was itself.
    """

    id: str
    summary: str
    path: str | None
    down: tuple[str, ...]
    applied: bool
    file: str
    action: str | None = None
    finished: str | None = None
    seconds: float | None = None
    role: str | None = None
    os_user: str | None = None
    command: str | None = None
    copied: bool = False
    acting_role: str | None = None


class History(Result):
    """Every revision, newest first. `accepted` tells that the present state was recorded just now.

    `ahead` are the revisions by which the database is ahead of this checkout, as in `Status`.
    `problem` says why nothing is known of when and by whom, or of what is applied; None if that is.
    """

    exists: bool
    current: tuple[str, ...]
    heads: tuple[str, ...]
    entries: tuple[HistoryEntry, ...]
    problem: str | None
    accepted: bool
    ahead: tuple[str, ...] = ()


class QuicklyVerified(Result):
    """What `verify --quick` found; nothing was written, and no model was looked at.

    `pending`, `unknown`, `ahead` and `heads_are_meant` are those of `Status`.
    """

    exists: bool
    current: tuple[str, ...]
    heads: tuple[str, ...]
    pending: tuple[str, ...]
    unknown: tuple[str, ...]
    drift: Drift
    next_command: str | None
    heads_are_meant: bool = True
    ahead: tuple[str, ...] = ()
    ahead_is_different: bool = False

    @property
    def agreed(self) -> bool:
        beyond = bool(self.unknown) and (not self.ahead or self.ahead_is_different)
        at_head = self.exists and self.heads_are_meant and not self.pending and not beyond
        return at_head and self.drift.state == "equal"

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.DONE if self.agreed else ExitCode.DIFFERENT
