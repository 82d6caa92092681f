"""Errors of the revisions recorded in a database, and of the steps from them."""

from __future__ import annotations

from collections.abc import Mapping

from db_ops.errors.base import DbOpsError, ExitCode, enumerate_names
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


class NotCompared(ServerError):
    """The schema at the revisions that are to be stamped could not be built to compare with."""

    what = "{location}: not stamped, the schema at {revisions} could not be built: {reason}"
    then = "{remedy}; to record it without a comparison: db-ops stamp {arguments} --anyway"
    revisions: tuple[str, ...]
    reason: str
    remedy: str
    arguments: str

    def described(self) -> Mapping[str, object]:
        return {**super().described(), "revisions": enumerate_names(self.revisions) or "base"}


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


class RevisionSquashed(ServerError):
    """The database is at a revision that was squashed away: only the old files lead on from it."""

    what = "{location}: is at {revision}, which was squashed into {into}"
    then = "{remedy}"
    revision: str
    into: str
    remedy: str


class SquashRefused(DbOpsError):
    """Revisions cannot be squashed, or not here and not now; no file was changed."""

    exit_code = ExitCode.REFUSED
    what = "squash: {reason}"
    then = "{remedy}"
    reason: str
    remedy: str


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
            "say": "revert those before first" if self.certain else "name the branch",
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
    then = "bring all of them to the head first: db-ops upgrade"
    revisions: tuple[str, ...]


class StepsDiffer(ServerError):
    """Alembic would not run the steps that were announced; none of them was run.

    `heads` is where Alembic takes the database to be.
    """

    what = (
        "{location}: {direction} refused: announced is {announced}, "
        "but from {heads} Alembic would run {planned}"
    )
    then = "check what {env_py} does with the version table and the folders of revisions"
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
