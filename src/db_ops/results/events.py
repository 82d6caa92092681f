"""What operations report on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from db_ops.results.outcomes import Revision, Step


@dataclass(frozen=True)
class Connected:
    """A connection was opened; `cancel` ends its running statement, from any thread."""

    cancel: Callable[[], None]


@dataclass(frozen=True)
class ServerStarting:
    """The embedded server is being started, and created first if `creating`."""

    directory: str
    creating: bool


@dataclass(frozen=True)
class WaitingForServer:
    """The server does not take connections yet; another attempt follows."""

    location: str
    reason: str


@dataclass(frozen=True)
class WaitingForLock:
    """Another process holds the lock; `holder` says which, `remedy` is the SQL that ends it."""

    location: str
    holder: str
    remedy: str
    waited: float


@dataclass(frozen=True)
class InvalidIndexDropped:
    """An index that a failed build had left INVALID is gone; a pending revision builds it again."""

    location: str
    index: str


@dataclass(frozen=True)
class InvalidIndexLeft:
    """An index is INVALID although everything is applied: no pending revision has named it."""

    location: str
    index: str


@dataclass(frozen=True)
class DatabaseCreated:
    """The database did not exist and now does, still empty."""

    location: str


@dataclass(frozen=True)
class DatabaseDropped:
    """The database is gone."""

    location: str


@dataclass(frozen=True)
class BuildAbandoned:
    """A build failed before it replaced anything: the database is as it was."""

    location: str


@dataclass(frozen=True)
class NotMarked:
    """The database could not be marked with its environment; destructive commands will refuse."""

    location: str
    reason: str


@dataclass(frozen=True)
class NotRecorded:
    """What this run applies or reverts is not recorded any more; `remedy` would change that."""

    location: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class RevisionStarted:
    """A revision is about to run: number `position` of `total`."""

    revision: Revision
    direction: str
    position: int
    total: int


@dataclass(frozen=True)
class RevisionFinished:
    """A revision was committed."""

    step: Step
    direction: str
    position: int
    total: int


@dataclass(frozen=True)
class StatementBlocked:
    """The running statement waits for a lock that the sessions of `blocker` hold."""

    location: str
    blocker: str


@dataclass(frozen=True)
class RevisionRetried:
    """A revision met a lock, was rolled back, and will be run again for the `attempt`th time."""

    revision: str
    reason: str
    attempt: int
    attempts: int


Event = (
    Connected
    | ServerStarting
    | WaitingForServer
    | WaitingForLock
    | DatabaseCreated
    | InvalidIndexDropped
    | InvalidIndexLeft
    | DatabaseDropped
    | BuildAbandoned
    | NotMarked
    | NotRecorded
    | RevisionStarted
    | RevisionFinished
    | RevisionRetried
    | StatementBlocked
)

OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Take an event and do nothing: the default of every operation."""
