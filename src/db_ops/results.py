"""What operations return, and the events they report on the way.

All of it is frozen data that knows nothing of terminals. `location` is `host:port/database`, never
with a password; durations are seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from db_ops.errors import ExitCode


@dataclass(frozen=True)
class Result:
    """Base of what an operation returns; `exit_code` is what the command line exits with."""

    location: str

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.DONE


@dataclass(frozen=True)
class Revision:
    """One revision file: its identifier, the first line of its docstring, its path."""

    id: str
    summary: str
    path: str


@dataclass(frozen=True)
class Step:
    """One revision that was applied or reverted, and how long that took."""

    revision: Revision
    seconds: float


@dataclass(frozen=True)
class Migrated(Result):
    """The database is at `heads`; `steps` is what this call itself applied to get there."""

    heads: tuple[str, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Initialised(Migrated):
    """What `init` did. `mark` is the environment that the database carries, if any."""

    created: bool
    mark: str | None


@dataclass(frozen=True)
class Recreated(Initialised):
    """What `recreate` did; `dropped` is False when there was no database before."""

    dropped: bool


@dataclass(frozen=True)
class Deleted(Result):
    """What `delete-db` did; `existed` is False when there was nothing to drop."""

    existed: bool


@dataclass(frozen=True)
class Downgraded(Result):
    """The database is at `heads` (none is base) after `steps` were reverted, newest first."""

    heads: tuple[str, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class MigrationCreated(Result):
    """The revision file written, or None when models and database already agree."""

    revision: Revision | None
    operations: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """One thing in which models, migrations and database disagree, and what settles it."""

    kind: str
    description: str
    remedy: str


@dataclass(frozen=True)
class Verified(Result):
    """What `verify` found; nothing was written. `unchecked` says what could not be compared."""

    heads: tuple[str, ...]
    current: tuple[str, ...]
    differences: tuple[Difference, ...]
    unchecked: tuple[str, ...]

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.DIFFERENT if self.differences else ExitCode.DONE


@dataclass(frozen=True)
class Status(Result):
    """Where the database stands. `unknown` are recorded revisions that this checkout lacks."""

    environment: str
    mark: str | None
    exists: bool
    server_version: str
    current: tuple[str, ...]
    heads: tuple[str, ...]
    pending: tuple[Revision, ...]
    unknown: tuple[str, ...]
    check: bool
    next_command: str | None

    @property
    def up_to_date(self) -> bool:
        return self.exists and not self.pending and not self.unknown and len(self.heads) < 2

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.DIFFERENT if self.check and not self.up_to_date else ExitCode.DONE


@dataclass(frozen=True)
class ServerStarted(Result):
    """The embedded server runs; `started` is False when it already did."""

    directory: str
    started: bool


@dataclass(frozen=True)
class ServerStopped(Result):
    """The embedded server does not run; `stopped` is False when it did not before."""

    directory: str
    stopped: bool


@dataclass(frozen=True)
class ConnectionUrl(Result):
    """The URL for psql and the application, without its password unless that was asked for."""

    url: str


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
class NotMarked:
    """The database could not be marked with its environment; destructive commands will refuse."""

    location: str
    reason: str


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
    | NotMarked
    | RevisionStarted
    | RevisionFinished
    | RevisionRetried
)

OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Take an event and do nothing: the default of every operation."""
