"""The results of commands that change a database."""

from __future__ import annotations

from db_ops.errors import ExitCode
from db_ops.frozen_data import FrozenData, field


class Result(FrozenData):
    """Base of what an operation returns; `exit_code` is what the command line exits with."""

    location: str

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.DONE


class Revision(FrozenData):
    """One revision file: its identifier, the first line of its docstring, its path."""

    id: str
    summary: str
    path: str


class Undo(FrozenData):
    """What `undo` can do about a database that was replaced or dropped, or about its data.

    `until` when it brings that back (UTC, ISO 8601), or the `reason` why nothing is kept.
    """

    until: str | None = None
    reason: str | None = None


class Step(FrozenData):
    """One revision that was applied or reverted, and how long that took."""

    revision: Revision
    seconds: float


class SchemaFile(FrozenData):
    """The project's schema file: whether it was `written` now, or the `problem` why it was not.

    Without either, it was as the migrations make the schema already.
    """

    path: str
    written: bool = False
    problem: str | None = None


class Migrated(Result):
    """The database is at `heads`; `steps` is what this call itself applied to get there.

    `schema_file` is None where there is none to write. `ahead` are applied revisions, oldest first,
    that this checkout lacks: then it does nothing.
    """

    heads: tuple[str, ...]
    steps: tuple[Step, ...]
    ahead: tuple[str, ...] = field(default=(), kw_only=True)
    schema_file: SchemaFile | None = field(default=None, kw_only=True)


class Origin(FrozenData):
    """How a new database came to be, and in how many seconds.

    `source` is `migrations` if every revision ran, `template` for a copy of one, `spare` for a copy
    that was made before, `branch` for one of the database of another git branch. `template` is what
    was copied, or can be the next time; None if there is none.
    """

    source: str
    seconds: float
    template: str | None = None


class SeededTable(FrozenData):
    """A table that seeds have written to, and how many rows they inserted, updated and deleted."""

    table: str
    inserted: int
    updated: int
    deleted: int


class Initialised(Migrated):
    """What `init` did. `mark` is the environment that it marked the database with, if it did.

    `origin` is None if the database was there before; `seeded` are the tables that seeds have
    written to, None where none ran.
    """

    created: bool
    mark: str | None
    origin: Origin | None
    seeded: tuple[SeededTable, ...] | None = field(default=None, kw_only=True)


class ObjectCount(FrozenData):
    """So many objects of a kind, as the server calls it."""

    kind: str
    count: int


class ObjectsDropped(FrozenData):
    """What a soft reset dropped of what the role owns, in how many `transactions`.

    `extensions`, what `others` own, and those of its own `schemas` that are not empty or could not
    be created again, have stayed.
    """

    location: str
    counts: tuple[ObjectCount, ...]
    extensions: tuple[str, ...]
    others: tuple[str, ...]
    schemas: tuple[str, ...]
    transactions: int


class Recreated(Initialised):
    """What `recreate` did; `dropped` is False when there was no database before.

    `soft_reset` is what it dropped in the database, None where it replaced the database. `undo` is
    None where nothing was replaced, or nothing is kept in this environment.
    """

    dropped: bool
    soft_reset: ObjectsDropped | None = field(default=None, kw_only=True)
    undo: Undo | None = field(default=None, kw_only=True)


class Seeded(Result):
    """What `seed` wrote, and in how many seconds; no `tables` if all of it was there already."""

    tables: tuple[SeededTable, ...]
    seconds: float


class Deleted(Result):
    """What `delete-db` did; `existed` is False when there was nothing to drop."""

    existed: bool
    undo: Undo | None = field(default=None, kw_only=True)


class Downgraded(Result):
    """The database is at `heads` (none is base) after `steps` were reverted, newest first."""

    heads: tuple[str, ...]
    steps: tuple[Step, ...]
    undo: Undo | None = field(default=None, kw_only=True)
