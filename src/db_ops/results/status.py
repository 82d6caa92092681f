"""The result of `status`."""

from __future__ import annotations

from collections.abc import Mapping

from db_ops.errors import ExitCode
from db_ops.frozen_data import FrozenData, field
from db_ops.results.migrate import Result, Revision


class Pending(Revision):
    """A revision that is not applied; when it was written (ISO 8601), and by whom, if known."""

    created: str | None = None
    author: str | None = None


class Drift(FrozenData):
    """Whether the catalogs are as the last record left them.

    `state` is `equal`, `changed`, or `unknown` for the `reason`. `since` and `by` are the record's.
    """

    state: str
    reason: str | None = None
    since: str | None = None
    by: str | None = None


class Status(Result):
    """Where the database stands. `unknown` are recorded revisions that this checkout lacks.

    `ahead` are the revisions, oldest first, by which the database is ahead of this checkout, if all
    that this checkout has is applied; `ahead_is_different` says that this is not up to date.
    `pending` is empty where it is not known what is applied. `heads_are_meant` is False if several
    heads have to be merged before anything can be applied. `squashed` says of unknown revisions
    that were squashed away which one they are part of now.
    """

    environment: str
    mark: str | None
    exists: bool
    server_version: str
    current: tuple[str, ...]
    heads: tuple[str, ...]
    pending: tuple[Pending, ...]
    unknown: tuple[str, ...]
    drift: Drift
    check: bool
    next_command: str | None
    heads_are_meant: bool = True
    ahead: tuple[str, ...] = ()
    ahead_is_different: bool = False
    squashed: Mapping[str, str] = field(default_factory=dict)

    @property
    def up_to_date(self) -> bool:
        beyond = bool(self.unknown) and (not self.ahead or self.ahead_is_different)
        return self.exists and not self.pending and not beyond and self.heads_are_meant

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.DIFFERENT if self.check and not self.up_to_date else ExitCode.DONE
