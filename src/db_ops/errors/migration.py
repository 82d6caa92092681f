"""Errors of revision files, models and running revisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from db_ops.errors.base import DbOpsError, ExitCode, SourceError, enumerate_names, place_name
from db_ops.errors.server import ServerError


class RevisionFileBroken(SourceError):
    """A revision file is not Python, or it or what it imports fails while it is imported."""

    what = "{place}: does not import: {reason}"
    then = "correct {path}, then run the same command again"


class FunctionMissing(DbOpsError):
    """A revision file has no `upgrade()` or no `downgrade()`, and it would have to run."""

    what = "{path}: has no {function}()"
    then = "write {function}() in {path}, then run the same command again"
    path: str
    function: str


class EnvironmentBroken(SourceError):
    """`env.py`, or a module that it imports, fails before any migration runs.

    `unsearched` is the file or folder of a module that was not found because Python does not look
    in the folder it is in; `remedy` is what lets it.
    """

    what = "{place}: does not run: {reason}"
    then = "{correct}, then run the same command again; DB_OPS_DEBUG=1 shows the traceback"
    unsearched: str = ""
    remedy: str = ""

    def described(self) -> Mapping[str, object]:
        return {**super().described(), "correct": self.remedy or f"correct {self.path}"}


class AlembicFailed(ServerError):
    """Alembic failed outside of any revision, and not because of the server."""

    what = "{location}: {action} failed: {reason}"
    then = "DB_OPS_DEBUG=1 shows the traceback; then run the same command again"
    action: str
    reason: str


class NotMeasurable(DbOpsError):
    """A revision ran on a connection that the caller does not know, so nothing of it was seen."""

    what = "{path}: revision {revision} ran on a connection of its own, nothing could be measured"
    then = "let {path} call db_ops.run_migrations"
    path: str
    revision: str


class MigrationFailed(ServerError):
    """A revision failed and was rolled back; those before it stay as they were made."""

    what = (
        "{place}: {direction} of {revision} failed: {reason}; {location}: "
        "{count} of {total} {verb}{named}, database at {current}"
    )
    then = "{remedy}"
    # Whether what was applied before is of use to the next attempt.
    is_resumable: ClassVar[bool] = True
    direction: str
    revision: str
    reason: str
    done: tuple[str, ...]
    total: int
    current: tuple[str, ...]
    remedy: str
    path: str = ""
    line: int | None = None
    code: str = ""
    statement: str = ""
    said: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        shown = (f"{self.line} | {self.code}",) if self.code else ()
        return (*shown, *((f"SQL: {self.statement}",) if self.statement else ()), *self.said)

    def described(self) -> Mapping[str, object]:
        return {
            **super().described(),
            "place": place_name(self.path, self.line) or self.revision,
            "count": len(self.done),
            "verb": "applied" if self.direction == "upgrade" else "reverted",
            "named": f" ({enumerate_names(self.done)})" if self.done else "",
            "current": enumerate_names(self.current) or "base",
        }

    def of_rebuild(self) -> MigrationFailed:
        """Return the error for a rebuild that this has ended."""
        return RebuildFailed(**vars(self))


class MigrationBlocked(MigrationFailed):
    """A revision did not get its table locks in time, in spite of being run again."""

    exit_code = ExitCode.TRY_AGAIN


class RebuildFailed(MigrationFailed):
    """A revision failed while the new database was built; the present one was not touched."""

    what = (
        "{place}: {direction} of {revision} failed: {reason}; the database is as it was: {location}"
    )


class HistoryNotFromEmpty(MigrationFailed):
    """The revisions rest on a schema that none of them creates; `reason` names what they lack."""

    what = (
        "{location}: the revisions do not start from an empty database: {revision} needs {reason}, "
        "which no revision creates ({place}); database at {current}"
    )
    # A bootstrap is for an empty database, which half of a history is not.
    is_resumable = False

    def of_rebuild(self) -> MigrationFailed:
        # It is about the whole history, and the way out is another one.
        return self

    @property
    def brief(self) -> str:
        """Say what the history lacks, without the place where that was seen."""
        return f"revision {self.revision} needs {self.reason}, which no revision creates"


class BootstrapFailed(SourceError):
    """The project's own function for an empty database, which `[tool.db_ops]` names, failed."""

    what = "{place}: the bootstrap of an empty database failed: {reason}"
    then = (
        "correct {path}, or what [tool.db_ops] bootstrap names in pyproject.toml, then run the "
        "same command again; DB_OPS_DEBUG=1 shows the traceback"
    )


class SeedFailed(SourceError):
    """A seed of the project's failed, and nothing of what seeds wrote has stayed.

    `outcome` says how the database is left.
    """

    what = "{place}: seed {seed} failed: {reason}; {location}: {outcome}"
    then = "{remedy}"
    seed: str = ""
    location: str = ""
    outcome: str = ""
    remedy: str = ""
    statement: str = ""
    said: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        sql = (f"SQL: {self.statement}",) if self.statement else ()
        return (*super().notes, *sql, *self.said)

    def of_rebuild(self) -> SeedFailed:
        """Return the error for a rebuild that this has ended."""
        outcome = "the database is as it was"
        remedy = f"correct {self.path}, then run the same command again"
        return SeedFailed(**{**vars(self), "outcome": outcome, "remedy": remedy})


class RevisionNotWritten(DbOpsError):
    """No revision file could be made: its template, its name, its time zone, or its folder."""

    what = "{path}: no revision was written: {reason}"
    then = "{remedy}"
    path: str
    reason: str
    remedy: str


class GeneratedFileBroken(SourceError):
    """The migration just written does not import; it was removed again."""

    what = "{place}: removed, because the generated migration does not import: {reason}"
    then = "add what is missing to script.py.mako or to the models, then run this again"


class RenameUndecided(DbOpsError):
    """Something was dropped and something like it added: only the author knows if it is the same.

    `flags` are what `--rename` takes, one for each of the `questions`, the likeliest first. Those
    in the hint go together: each name is in one of them.
    """

    exit_code = ExitCode.REFUSED
    what = "create-migration: {asked}"
    then = "if so: db-ops create-migration -m {quoted}{answers}; if not, add --no-rename"
    questions: tuple[str, ...]
    flags: tuple[str, ...]
    message_given: str

    def described(self) -> Mapping[str, object]:
        import shlex

        chosen: dict[str, str] = {}
        names: set[tuple[str, str]] = set()
        for question, flag in zip(self.questions, self.flags, strict=True):
            old, _, new = flag.rpartition(":")
            pair = {("old", old), (old.rpartition(".")[0], new)}
            if names.isdisjoint(pair):
                names |= pair
                chosen[flag] = question
        return {
            "asked": "; ".join(chosen.values()),
            "quoted": shlex.quote(self.message_given),
            "answers": "".join(f" --rename {shlex.quote(flag)}" for flag in chosen),
        }


class UnfinishedMigration(DbOpsError):
    """A revision still holds a TODO of ours: models and migrations cannot agree yet.

    `remedy` is the command that applies it all the same, if there is one.
    """

    what = "{path}: still holds {count} TODO of create-migration, the first: {first}"
    then = "write it and delete the comment, or delete {path}; then run this again{otherwise}"
    path: str
    count: int
    first: str
    remedy: str = ""

    def described(self) -> Mapping[str, object]:
        otherwise = f"; or apply it as it is: {self.remedy}" if self.remedy else ""
        return {**super().described(), "otherwise": otherwise}


class AppliedRevision(ServerError):
    """The revision to be rebased is applied in the database, which would then skip the others."""

    what = "{location}: {revision} is applied there, so it cannot be moved after {head}"
    then = (
        "revert it first: db-ops downgrade --branch {revision}, "
        "or merge the heads: alembic merge -m 'merge' heads"
    )
    revision: str
    head: str
