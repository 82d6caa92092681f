"""The result of `--plan`: the measured effects of statements, and unsafe patterns."""

from __future__ import annotations

from collections.abc import Mapping

from db_ops.errors import ExitCode
from db_ops.frozen_data import FrozenData
from db_ops.results.migrate import Result, Revision
from db_ops.results.release import ReleaseCheck


class Effect(FrozenData):
    """What one statement does to one table that was there before the first measured revision.

    `lock` is the strongest table lock that the statement itself took, `held` the strongest one that
    its transaction holds since an earlier statement; both as in LOCK TABLE, None for none.
    `scanned` means that every row is read, `rewritten` that the table's file is written anew,
    `indexes` names what was built on the table.
    """

    table: str
    lock: str | None = None
    held: str | None = None
    scanned: bool = False
    rewritten: bool = False
    indexes: tuple[str, ...] = ()


class UnsafePattern(FrozenData):
    """What would hurt on a table with rows and users: its `name`, what happens, what to do instead.

    `on` is the object that it is about; the `instead` of one that only destroys is what to do
    before.
    """

    name: str
    on: str
    what: str
    instead: str


class MeasuredStatement(FrozenData):
    """One statement as the driver sent it, and what it did.

    `transaction` numbers the transactions of the run; None is a statement outside of any. `begin`
    is what the driver opened that transaction with. `skipped` marks one that was not run because it
    would have reached beyond the scratch database. `waits` means that it waits for transactions of
    others to end. `reads` are the tables whose rows it returned to the revision's own code.
    """

    sql: str
    transaction: int | None = None
    begin: str = "BEGIN"
    effects: tuple[Effect, ...] = ()
    unsafe: tuple[UnsafePattern, ...] = ()
    waits: bool = False
    skipped: bool = False
    reads: tuple[str, ...] = ()


class MeasuredRevision(FrozenData):
    """The statements of one revision, in their order, those that record it included."""

    revision: Revision
    statements: tuple[MeasuredStatement, ...]

    @property
    def unsafe(self) -> tuple[UnsafePattern, ...]:
        return tuple(pattern for one in self.statements for pattern in one.unsafe)


class Measurement(FrozenData):
    """What revisions did in a scratch database; `prelude` is what had to be written before them."""

    prelude: tuple[MeasuredStatement, ...]
    revisions: tuple[MeasuredRevision, ...]


class Planned(Result):
    """What `upgrade --plan` and `downgrade --plan` found; nothing was changed.

    `current` is where the database stands, `goal` where the revisions would leave it. `rows` is the
    server's estimate of the rows of each table that is named in an effect. The statements that
    record a revision are left out. `notes` say what a scratch database cannot show. `ahead` is that
    of `Status`: then there is nothing to apply. One to `check` exits with 3 if anything is unsafe.
    `release` is what was found for the release that `--against` names.
    """

    direction: str
    current: tuple[str, ...]
    goal: tuple[str, ...]
    revisions: tuple[MeasuredRevision, ...]
    rows: Mapping[str, int]
    notes: tuple[str, ...]
    ahead: tuple[str, ...] = ()
    check: bool = False
    release: ReleaseCheck | None = None

    @property
    def exit_code(self) -> ExitCode:
        found = self.unsafe or (self.release is not None and self.release.findings)
        return ExitCode.DIFFERENT if self.check and found else ExitCode.DONE

    @property
    def unsafe(self) -> tuple[UnsafePattern, ...]:
        return tuple(pattern for one in self.revisions for pattern in one.unsafe)


class Script(Result):
    """What `upgrade --sql` prints: SQL for psql that leads from `current` to `goal`."""

    current: tuple[str, ...]
    goal: tuple[str, ...]
    sql: str
    notes: tuple[str, ...]
