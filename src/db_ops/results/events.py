"""The events that commands report while they run."""

from __future__ import annotations

from collections.abc import Callable

from db_ops.frozen_data import FrozenData
from db_ops.results.fleet import FleetMember, FleetProgress
from db_ops.results.migrate import ObjectsDropped, Revision, Step


class Connected(FrozenData):
    """A connection was opened; `cancel` ends its running statement, from any thread."""

    cancel: Callable[[], None]


class ConnectionNotice(FrozenData):
    """The server, or libpq, has warned of something while a connection was made."""

    location: str
    text: str


class ServerStarting(FrozenData):
    """The embedded server is being started, and created first if `creating`."""

    directory: str
    creating: bool


class WaitingForServer(FrozenData):
    """The server does not take connections yet; another attempt follows."""

    location: str
    reason: str


class WaitingForLock(FrozenData):
    """Another process holds the lock; `holder` says which, `remedy` is the SQL that ends it."""

    location: str
    holder: str
    remedy: str
    waited: float


class InvalidIndexDropped(FrozenData):
    """An index that a failed build had left INVALID is gone; a pending revision builds it again."""

    location: str
    index: str


class InvalidIndexLeft(FrozenData):
    """An index is INVALID although everything is applied: no pending revision has named it."""

    location: str
    index: str


class DatabaseCreated(FrozenData):
    """The database did not exist and now does, still empty."""

    location: str


class BranchCopied(FrozenData):
    """The database of a new branch is made: `bytes` are copied from `database`, of `branch`."""

    location: str
    branch: str
    database: str
    bytes: int


class BranchNotCopied(FrozenData):
    """`database`, of `branch`, is at `revisions` that this checkout lacks: it is not copied."""

    location: str
    branch: str
    database: str
    revisions: tuple[str, ...]


class BranchNotKept(FrozenData):
    """Git did not write down the database of `branch`, so a rename of the branch loses it."""

    location: str
    branch: str


class DatabaseDropped(FrozenData):
    """The database is gone."""

    location: str


class DatabaseSetAside(FrozenData):
    """The database can only be rebuilt under its own name: till then it is kept as a `snapshot`."""

    location: str
    snapshot: str


class BuildAbandoned(FrozenData):
    """A build failed, and has replaced nothing: the database is as it was."""

    location: str


class KeptForUndo(FrozenData):
    """A command failed, and `undo` brings back what was there before it."""

    location: str


class NotMarked(FrozenData):
    """The database could not be marked with its environment; destructive commands will refuse."""

    location: str
    reason: str


class NotRecorded(FrozenData):
    """What this run applies or reverts is not recorded any more; `remedy` would change that."""

    location: str
    reason: str
    remedy: str


class OtherTables(FrozenData):
    """The database holds tables that neither models nor migrations create; they are left alone."""

    location: str
    tables: tuple[str, ...]


class LeftOnServer(FrozenData):
    """A trial in a scratch database has left `what` on the server around it, and why."""

    location: str
    what: str


class BootstrapStarted(FrozenData):
    """The project's own `function` is about to make the schema that the revisions rest on."""

    function: str
    scratch: bool = False


class SeedStarted(FrozenData):
    """A `seed` of the project's, a function or an SQL file, is about to write rows."""

    seed: str


class SequenceBehind(FrozenData):
    """Seeds gave `column` values of their own, up to `highest`, and its sequence lags behind."""

    location: str
    sequence: str
    column: str
    highest: int
    remedy: str


class HookMissing(FrozenData):
    """A post-write hook that `path` names is not installed; a new file will be left without it."""

    path: str
    hook: str


class PhaseStarted(FrozenData):
    """A part of the command that may take a while has begun: step `position` of `total`, if known.

    For whoever watches; what happens in it to a database has events of its own.
    """

    phase: str
    position: int | None = None
    total: int | None = None


class TableCopied(FrozenData):
    """A dump is written or loaded: `table` is copied, the `position`th, `bytes` of the file done.

    `total` is how many tables there are; None where that, or the bytes, cannot be known. Told again
    while it lasts.
    """

    table: str
    position: int
    total: int | None
    bytes: int | None
    loading: bool


class RevisionStarted(FrozenData):
    """A revision is about to run: number `position` of `total`.

    In a `scratch` database, nothing of that happens to the one that is meant.
    """

    revision: Revision
    direction: str
    position: int
    total: int
    scratch: bool = False


class RevisionFinished(FrozenData):
    """A revision was committed."""

    step: Step
    direction: str
    position: int
    total: int
    scratch: bool = False


class StatementBlocked(FrozenData):
    """The running statement waits for a lock that the sessions of `blocker` hold."""

    location: str
    blocker: str


class RevisionRetried(FrozenData):
    """A revision met a lock, was rolled back, and will be run again for the `attempt`th time."""

    revision: str
    reason: str
    attempt: int
    attempts: int


Event = (
    Connected
    | ServerStarting
    | ConnectionNotice
    | WaitingForServer
    | WaitingForLock
    | DatabaseCreated
    | InvalidIndexDropped
    | InvalidIndexLeft
    | DatabaseDropped
    | DatabaseSetAside
    | ObjectsDropped
    | BuildAbandoned
    | KeptForUndo
    | NotMarked
    | NotRecorded
    | OtherTables
    | LeftOnServer
    | BootstrapStarted
    | SeedStarted
    | SequenceBehind
    | HookMissing
    | PhaseStarted
    | TableCopied
    | BranchCopied
    | BranchNotCopied
    | BranchNotKept
    | RevisionStarted
    | RevisionFinished
    | RevisionRetried
    | StatementBlocked
    | FleetMember
    | FleetProgress
)

OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Take an event and do nothing: the default of every operation."""
