"""What operations report on the way."""

from __future__ import annotations

from collections.abc import Callable

from db_ops.results.base import Value
from db_ops.results.migrate import Revision, Step


class Connected(Value):
    """A connection was opened; `cancel` ends its running statement, from any thread."""

    cancel: Callable[[], None]


class ConnectionNotice(Value):
    """The server, or libpq, has warned of something while a connection was made."""

    location: str
    text: str


class ServerStarting(Value):
    """The embedded server is being started, and created first if `creating`."""

    directory: str
    creating: bool


class WaitingForServer(Value):
    """The server does not take connections yet; another attempt follows."""

    location: str
    reason: str


class WaitingForLock(Value):
    """Another process holds the lock; `holder` says which, `remedy` is the SQL that ends it."""

    location: str
    holder: str
    remedy: str
    waited: float


class InvalidIndexDropped(Value):
    """An index that a failed build had left INVALID is gone; a pending revision builds it again."""

    location: str
    index: str


class InvalidIndexLeft(Value):
    """An index is INVALID although everything is applied: no pending revision has named it."""

    location: str
    index: str


class DatabaseCreated(Value):
    """The database did not exist and now does, still empty."""

    location: str


class DatabaseDropped(Value):
    """The database is gone."""

    location: str


class DatabaseSetAside(Value):
    """The database can only be rebuilt under its own name: till then it is kept as a `snapshot`."""

    location: str
    snapshot: str


class BuildAbandoned(Value):
    """A build failed, and has replaced nothing: the database is as it was."""

    location: str


class NotMarked(Value):
    """The database could not be marked with its environment; destructive commands will refuse."""

    location: str
    reason: str


class NotRecorded(Value):
    """What this run applies or reverts is not recorded any more; `remedy` would change that."""

    location: str
    reason: str
    remedy: str


class OtherTables(Value):
    """The database holds tables that neither models nor migrations create; they are left alone."""

    location: str
    tables: tuple[str, ...]


class LeftOnServer(Value):
    """A trial in a scratch database has left `what` on the server around it, and why."""

    location: str
    what: str


class RevisionStarted(Value):
    """A revision is about to run: number `position` of `total`.

    In a `scratch` database, nothing of that happens to the one that is meant.
    """

    revision: Revision
    direction: str
    position: int
    total: int
    scratch: bool = False


class RevisionFinished(Value):
    """A revision was committed."""

    step: Step
    direction: str
    position: int
    total: int
    scratch: bool = False


class StatementBlocked(Value):
    """The running statement waits for a lock that the sessions of `blocker` hold."""

    location: str
    blocker: str


class RevisionRetried(Value):
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
    | BuildAbandoned
    | NotMarked
    | NotRecorded
    | OtherTables
    | LeftOnServer
    | RevisionStarted
    | RevisionFinished
    | RevisionRetried
    | StatementBlocked
)

OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Take an event and do nothing: the default of every operation."""
