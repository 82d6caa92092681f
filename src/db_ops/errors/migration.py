"""What revision files, models and the history recorded in a database can have wrong."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from db_ops.errors.base import DbOpsError, ExitCode, SourceError, enumerate_names, place_name
from db_ops.errors.server import ServerError


class UntrackedTables(ServerError):
    """Tables of the service are there but no revision is recorded: at which they are is unknown.

    Only the user can tell, so the hint names both ways out. `reason` says why tables that may be
    somebody else's are in the way.
    """

    what = "{location}: holds tables but no recorded revision: {tables}{reason}"
    then = "{remedy}"
    tables: tuple[str, ...]
    reason: str
    remedy: str


class VersionTableHidden(ServerError):
    """The version table exists, and this session does not look there or may not read it.

    A database without its revisions would look as if nothing were applied.
    """

    what = "{location}: the version table {table} is at {at}, not seen by this session: {reason}"
    then = "{remedy}"
    table: str
    at: str
    reason: str
    remedy: str


class VersionTableDenied(VersionTableHidden):
    """The version table is where this session looks, and the role may not read it."""


class VersionTableUnusable(ServerError):
    """A relation has the name of the version table and not its column."""

    what = "{location}: {table} is not a version table of Alembic's: {reason}"
    then = "give this service one of another name: version_table = NAME in alembic.ini"
    table: str
    reason: str


class UnknownRevisions(ServerError):
    """The database is at a revision that this checkout does not have, and not known to be ahead.

    `pending` are revisions of this checkout that are known not to be applied: the two have parted.
    """

    what = "{location}: is at {revisions}, which this checkout does not have{parted}"
    then = "{remedy}"
    revisions: tuple[str, ...]
    pending: tuple[str, ...]
    remedy: str

    def described(self) -> Mapping[str, object]:
        names = enumerate_names(self.pending)
        return {**super().described(), "parted": f", and {names} is not applied" if names else ""}


class DatabaseAhead(ServerError):
    """The command needs the files of revisions that are applied and that this checkout lacks."""

    what = "{location}: is ahead of this checkout by {revisions}: {reason}"
    then = "{remedy}"
    revisions: tuple[str, ...]
    reason: str
    remedy: str


class NotAtHead(ServerError):
    """The command needs the database at head, and revisions are pending."""

    what = "{location}: not at head, pending: {pending}"
    then = "apply them first: db-ops upgrade"
    pending: tuple[str, ...]


class NotThatFarAhead(DbOpsError):
    """A relative revision leads past the ends, or branches leave open what it means."""

    what = "{steps}: leads to no single revision; pending: {pending}"
    then = "{remedy}"
    steps: str
    pending: tuple[str, ...]
    command: str = "db-ops upgrade -r"

    def described(self) -> Mapping[str, object]:
        named = f"name the revision: {self.command} {self.pending[0]}" if self.pending else ""
        return {
            **super().described(),
            "pending": enumerate_names(self.pending) or "none",
            "remedy": named or "see what is applied: db-ops history",
        }


class TooManySteps(ServerError):
    """More revisions to revert than are applied, in all or of the `branch`."""

    what = "{location}: cannot revert {steps}, only {applied} applied{of}"
    then = "see what is applied: db-ops history"
    steps: int
    applied: int
    branch: str | None = None

    def described(self) -> Mapping[str, object]:
        return {**super().described(), "of": f" of {self.branch}" if self.branch else ""}


class AmbiguousDowngrade(ServerError):
    """The newest revisions are on several branches, so "the newest N" has no meaning.

    So many as `certain` says come before that; `commands` revert those, or the newest of each
    branch if there are none.
    """

    what = "{location}: {after}the newest revisions are on several branches: {revisions}"
    then = "{say}: {alternatives}"
    revisions: tuple[str, ...]
    certain: int
    commands: tuple[str, ...]

    def described(self) -> Mapping[str, object]:
        return {
            **super().described(),
            "after": f"below the newest {self.certain}, " if self.certain else "",
            "say": "revert those before first" if self.certain else "say on which",
            "alternatives": ", or ".join(self.commands),
        }


class NeededByOthers(ServerError):
    """A revision cannot be reverted alone: others, which are not to be reverted, need it."""

    what = "{location}: {revision} cannot be reverted alone, it is needed by: {by}"
    then = "revert that first: {command}"
    revision: str
    by: tuple[str, ...]
    command: str


class VersionTablesDiffer(ServerError):
    """The version tables of a project are at different revisions, so "newest" has no meaning."""

    what = "{location}: the version tables are at different revisions: {revisions}"
    then = "bring them together first: db-ops upgrade"
    revisions: tuple[str, ...]


class StepsDiffer(ServerError):
    """Alembic would not run the steps that were announced; none of them was run.

    `heads` is where Alembic takes the database to be.
    """

    what = (
        "{location}: {direction} refused: announced is {announced}, "
        "but from {heads} Alembic would run {planned}"
    )
    then = "see what {env_py} does with the version table and the folders of revisions"
    direction: str
    announced: tuple[str, ...]
    planned: tuple[str, ...]
    heads: tuple[str, ...]
    env_py: str

    def described(self) -> Mapping[str, object]:
        return {
            **super().described(),
            "announced": enumerate_names(self.announced) or "nothing",
            "planned": enumerate_names(self.planned) or "nothing",
            "heads": enumerate_names(self.heads) or "base",
        }


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
    """`env.py`, or a module that it imports, fails before any migration runs."""

    what = "{place}: does not run: {reason}"
    then = "correct {path}, then run the same command again; DB_OPS_DEBUG=1 shows the traceback"


class EmptyMetadata(DbOpsError):
    """The metadata handed to Alembic holds no table: the models were never imported."""

    what = "{path}: the metadata of the models is empty"
    then = "import the modules of the models in {path} before their metadata is used"
    path: str


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


class MigrationBlocked(MigrationFailed):
    """A revision did not get its table locks in time, in spite of being run again."""

    exit_code = ExitCode.TRY_AGAIN


class RebuildFailed(MigrationFailed):
    """A revision failed while the new database was built; the present one was not touched."""

    what = (
        "{place}: {direction} of {revision} failed: {reason}; the database is as it was: {location}"
    )


class ModelsBroken(SourceError):
    """SQLAlchemy cannot build the models: they contradict themselves or each other."""

    what = "{place}: its models cannot be built: {reason}"
    then = "correct the models that {path} holds or imports; DB_OPS_DEBUG=1 shows the traceback"


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

    `flags` are what `--rename` takes, one for each of the `questions`.
    """

    exit_code = ExitCode.REFUSED
    what = "create-migration: {asked}"
    then = "if so: db-ops create-migration -m {quoted}{answers}; if not, add --no-rename"
    questions: tuple[str, ...]
    flags: tuple[str, ...]
    message_given: str

    def described(self) -> Mapping[str, object]:
        return {
            "asked": "; ".join(self.questions),
            "quoted": shlex.quote(self.message_given),
            "answers": "".join(f" --rename {shlex.quote(flag)}" for flag in self.flags),
        }


class UnfinishedMigration(DbOpsError):
    """The newest revision still holds a TODO of ours: models and migrations cannot agree yet."""

    what = "{path}: still holds {count} TODO of create-migration, the first: {first}"
    then = "write it and delete the comment, or delete {path}; then run this again"
    path: str
    count: int
    first: str


class AppliedRevision(ServerError):
    """The revision to be put on top is in the database, which would then skip the others."""

    what = "{location}: {revision} is applied there, so it cannot be put on top of {head}"
    then = (
        "revert it first: db-ops downgrade --branch {revision}, "
        "or merge the heads: alembic merge -m 'merge' heads"
    )
    revision: str
    head: str
