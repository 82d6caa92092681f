"""Errors of creating or replacing a database."""

from __future__ import annotations

from collections.abc import Mapping

from db_ops.errors.base import DbOpsError, ExitCode, SourceError
from db_ops.errors.server import ServerError


class TemplateInUse(ServerError):
    """Sessions are connected to the database that CREATE DATABASE copies."""

    exit_code = ExitCode.TRY_AGAIN
    what = "{location}: cannot be created: {template} is in use by {holders}"
    then = "let them end and run this again, or end them: {remedy}"
    template: str
    holders: str
    remedy: str


class FleetSourceFailed(SourceError):
    """What `[tool.db_ops.fleet]` names did not tell where the databases are."""

    what = "{place}: the databases of the fleet are not known: {reason}"
    then = "correct {path}, or [tool.db_ops.fleet] in pyproject.toml, then run the same again"


class WorkerLost(DbOpsError):
    """The process that worked on a database of a fleet has ended before it was done."""

    exit_code = ExitCode.TRY_AGAIN
    what = "{name}: the process that worked on it is gone: {reason}"
    then = "what was committed stays; the same for this one alone: {command}"
    name: str
    reason: str
    command: str


class ParentInUse(ServerError):
    """Sessions are connected to the database that the one of a new branch is copied from."""

    exit_code = ExitCode.TRY_AGAIN
    what = "{location}: cannot copy {database}, the database of {branch}: it is in use by {holders}"
    then = (
        "stop what uses it, or end its sessions: {remedy}; then run this again; or without its"
        " rows: db-ops init --from-migrations"
    )
    branch: str
    database: str
    holders: str
    remedy: str


class ParentProtected(ServerError):
    """The database of the branch that a new one was made from is not one of development."""

    exit_code = ExitCode.REFUSED
    what = "{location}: not copied: {database}, the database of {branch}, is marked {mark}"
    then = (
        "name a development database, or work on that one: DB_OPS_DATABASE_PER_BRANCH=0 db-ops init"
    )
    branch: str
    database: str
    mark: str


class CollationMismatch(ServerError):
    """The database that CREATE DATABASE copies was made with another version of its collation."""

    what = (
        "{location}: cannot be created: {template} was made with collation version {recorded}, the"
        " operating system has {actual}"
    )
    then = "{remedy}"
    template: str
    recorded: str
    actual: str
    remedy: str


class DatabaseReplaced(ServerError):
    """Somebody has created, dropped or renamed the database while its successor was built."""

    exit_code = ExitCode.TRY_AGAIN
    what = "{location}: somebody else has created or replaced it meanwhile; it is left as it is"
    then = "see what it is: db-ops status, then run this again"


class OthersWouldGo(ServerError):
    """What other roles own depends on what a soft reset drops, so it would be dropped too."""

    what = "{location}: soft reset refused: it would also drop {objects}; {outcome}"
    then = "drop that as its owner, or what in it depends on this role's; then: db-ops recreate"
    objects: tuple[str, ...]
    outcome: str


class ObjectsLocked(ServerError):
    """A soft reset could not get a lock in time."""

    exit_code = ExitCode.TRY_AGAIN
    what = "{location}: a table is locked{blockers}; {outcome} (tried {attempts} times)"
    then = "let that transaction end, or end it, then: db-ops recreate"
    blockers: str
    outcome: str
    attempts: int


class VersionTableKept(ServerError):
    """The version table is another role's: a soft reset would leave it, and all it says."""

    what = "{location}: soft reset refused: {table} belongs to {owner}, so it would stay as it is"
    then = "as a superuser: ALTER TABLE {table} OWNER TO {role}, or set DB_OPS_ROLE to its owner"
    table: str
    owner: str
    role: str


class DatabaseInUse(ServerError):
    """Something that ending sessions does not end keeps the database from being dropped."""

    what = "{location}: cannot be dropped: {reason}"
    then = "{remedy}"
    reason: str
    remedy: str


class SnapshotExists(ServerError):
    """A snapshot of this name is kept already."""

    what = "{location}: there is a snapshot {name!r} already"
    then = "choose another name, or drop it: db-ops snapshots --drop {quoted}"
    name: str

    def described(self) -> Mapping[str, object]:
        import shlex

        return {**super().described(), "quoted": shlex.quote(self.name)}


class SnapshotMissing(ServerError):
    """No snapshot of this name is kept, or it belongs to another role."""

    what = "{location}: there is no snapshot {name!r}"
    then = "see which there are: db-ops snapshots"
    name: str
    known: tuple[str, ...]


class NothingToUndo(ServerError):
    """Nothing is kept of the database, and what it had was not replaced for a day, if ever."""

    what = (
        "{location}: there is nothing to undo: {existing}, and nothing is kept that a command has"
        " replaced, dropped or reverted"
    )
    then = "see what else is kept: db-ops snapshots"
    existing: str


class UndoRefused(ServerError):
    """Nothing is kept for `undo` outside development and test, nor where `CI` is set."""

    exit_code = ExitCode.REFUSED
    what = "{location}: undo refused: {reason}, where nothing is kept"
    then = "see what else is kept: db-ops snapshots"
    reason: str


class DumpFailed(ServerError):
    """A client of PostgreSQL could not write a dump; there is no half file of it."""

    what = "{location}: {path} was not written: {reason}"
    then = "{remedy}"
    path: str
    reason: str
    remedy: str
    said: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        return self.said


class LoadFailed(DumpFailed):
    """A dump could not be loaded; the database is as it was."""

    what = "{location}: {path} was not loaded: {reason}"


class DumpUnreadable(DbOpsError):
    """A file is no dump, or only a part of one; the database is as it was."""

    what = "{path}: {reason}"
    then = "take it again: db-ops dump FILE"
    path: str
    reason: str
