"""What operations return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
class Pending(Revision):
    """A revision that is not applied; when it was written (ISO 8601), and by whom, if known."""

    created: str | None = None
    author: str | None = None


@dataclass(frozen=True)
class Drift:
    """Whether the catalogs are as the last record left them.

    `state` is `equal`, `changed`, or `unknown` for the `reason`. `since` and `by` are the record's.
    """

    state: str
    reason: str | None = None
    since: str | None = None
    by: str | None = None


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
class Origin:
    """How a new database came to be, and in how many seconds.

    `source` is `migrations` if every revision ran, `template` for a copy of one, `spare` for a copy
    that was made before. `template` is its name; None if there is none to copy the next time.
    """

    source: str
    seconds: float
    template: str | None = None


@dataclass(frozen=True)
class Initialised(Migrated):
    """What `init` did. `mark` is the environment that it marked the database with, if it did.

    `origin` is None if the database was there before.
    """

    created: bool
    mark: str | None
    origin: Origin | None


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
class Difference:
    """One thing in which models, migrations and database disagree, and what settles it.

    `subject` names an object of the schema, or one attribute of it; `values` is what each side has
    that was asked (None for nothing), `remedies` all that settles it, in order. `loses_data` warns
    that one of them does.
    """

    kind: str
    description: str
    remedy: str
    subject: str | None = None
    values: Mapping[str, str | None] = field(default_factory=dict)
    remedies: tuple[str, ...] = ()
    loses_data: bool = False


@dataclass(frozen=True)
class Silenced:
    """What was not counted as a difference, and why."""

    subject: str
    reason: str


@dataclass(frozen=True)
class Verified(Result):
    """What `verify` found; nothing was written. `unchecked` says what could not be compared.

    `pending` and `unknown` are revisions, as in `Status`. `sides` tells how each side was come by,
    `seconds` how long each part took. `alembic` is what `alembic check` would change, None if it
    could not run. `stale` names entries of the baseline that match nothing; `accepted` how many
    differences were written to `baseline` just now, None if that was not asked for.
    """

    heads: tuple[str, ...]
    current: tuple[str, ...]
    differences: tuple[Difference, ...]
    unchecked: tuple[str, ...]
    pending: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    sides: Mapping[str, str] = field(default_factory=dict)
    alembic: tuple[str, ...] | None = None
    silenced: tuple[Silenced, ...] = ()
    stale: tuple[str, ...] = ()
    accepted: int | None = None
    baseline: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)

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
    pending: tuple[Pending, ...]
    unknown: tuple[str, ...]
    drift: Drift
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
class CachedDatabase:
    """A database of ours: of which `kind`, for which service, when it was built (UTC, ISO 8601)."""

    name: str
    kind: str
    service: str | None
    heads: tuple[str, ...]
    bytes: int
    built: str | None


@dataclass(frozen=True)
class Cache(Result):
    """What is kept on the server to be quick, and the names of those dropped just now."""

    databases: tuple[CachedDatabase, ...]
    cleared: tuple[str, ...]
