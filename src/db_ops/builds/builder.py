"""Build a migrated database for `init` and `recreate`: from a spare, a template or migrations.

A spare is renamed; else a template is copied; else the migrations run in a scratch database, which
is kept as the template of the next time. Either way the database gets its name when it is whole.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from db_ops.errors import (
    ConnectionRejected,
    DbOpsError,
    MigrationFailed,
    NoScratchDatabase,
    StatementFailed,
)
from db_ops.migrations.build_inputs import BuildInputs
from db_ops.postgres.locks.advisory_lock import advisory_lock, lock_key
from db_ops.postgres.own_databases import (
    TEMPLATE,
    drop_unused_databases,
    own_name,
    scratch_database,
)
from db_ops.postgres.replacement import rename_to_target, replace_target
from db_ops.postgres.templates import (
    contains_name,
    has_settings_or_grants,
    keep_as_template,
    make_spare,
    prune,
    server_defaults,
    spare_lock,
    spare_of,
    templates_built_from,
)
from db_ops.postgres.trial import TrialWatch, rolled_back
from db_ops.results import BuildAbandoned, Origin, Step
from db_ops.target.apply import apply_pending, is_bootstrapped
from db_ops.target.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

TEMPLATE_COMMAND = "template"
_NO_SUCH_DATABASE = "3D000"


class _OwnNameStored(Exception):
    """The built database stores its own name."""


class _TargetCreatedMeanwhile(Exception):
    """Another process has created the target in the meantime."""


@dataclass(frozen=True)
class BuildResult:
    """How the target was built, and the name of the database that it replaced, if any."""

    origin: Origin
    steps: tuple[Step, ...] = ()
    replaced: str | None = None


def build_replacement(
    target: Target, connection: Connection, present: int | None
) -> BuildResult | None:
    """Run the migrations in a scratch database and replace the target by it.

    In any environment. None, and nothing has changed, where the name of the database matters to a
    revision, or a pooler knows no other one.
    """
    inputs = BuildInputs(target.project, target.settings.cache_folder)
    builder = Builder(target, connection, inputs, "", replaces=True, present=present)
    return builder.migrate(time.monotonic(), keep=False)


@dataclass(frozen=True)
class Builder:
    """Builds a migrated database; `connection` is to the maintenance database."""

    target: Target
    connection: Connection
    inputs: BuildInputs
    key: str
    replaces: bool = False
    present: int | None = None

    @classmethod
    def of(
        cls,
        target: Target,
        connection: Connection,
        *,
        replaces: bool = False,
        present: int | None = None,
    ) -> Builder | None:
        """Return the builder of *target*; None where only its own migrations will do.

        They do outside development and test. A target that is there already is replaced only if
        *replaces*, and only the one whose oid is *present*.
        """
        if not target.settings.is_disposable or not target.graph.heads:
            return None
        inputs = BuildInputs(target.project, target.settings.cache_folder)
        records = "" if target.settings.records else "without records"
        environment = target.settings.environment
        key = own_name("key", inputs.digest, server_defaults(connection), environment, records)
        return cls(target, connection, inputs, key, replaces, present)

    @property
    def service(self) -> str:
        return self.target.server.url.database

    def build(self) -> BuildResult | None:
        """Replace the target by a migrated database; the present one is renamed.

        If a revision fails, a target that is to be replaced stays (`RebuildFailed`); without one,
        what was built so far takes its place, for the next command to go on from there. None, and
        nothing has changed, if a pooler knows the target and no other database, or if somebody has
        created the target meanwhile.
        """
        started = time.monotonic()
        with suppress(_TargetCreatedMeanwhile):
            copied = self._copy(started)
            if copied is not None:
                return copied
            with self._build_lock():
                # Somebody else may have built the template meanwhile.
                return self._copy(started) or self.migrate(started)
        return None

    def template(self) -> str | None:
        """Return the template that these migrations would build again, if there is one."""
        for database in templates_built_from(self.connection, self.key):
            if self.inputs.are_unchanged(database.facts.get("files", {})):
                return database.name
        return None

    def make_template(self) -> str | None:
        """Return the template, made now if there is none; None if these migrations allow none."""
        with self._build_lock():
            template = self.template()
            if template is not None:
                return template
            server, connection = self.target.server, self.connection
            # What has to stay on the server, or cannot, makes no template, which is no error.
            with (
                suppress(NoScratchDatabase, _OwnNameStored),
                rolled_back(server, connection, self._refusal) as watch,
                scratch_database(server, connection) as scratch,
            ):
                return self._run_in(scratch, time.monotonic(), watch)[1]
            return None

    def make_spare(self) -> None:
        """Make the spare, and the template that it is a copy of, unless they are there.

        Does nothing while another process makes or takes the spare.
        """
        with spare_lock(self.connection, self.service) as held:
            template = self.make_template() if held else None
            if template and not spare_of(self.connection, self.service, template):
                make_spare(self.target.server, self.connection, self.service, template)

    def _copy(self, started: float) -> BuildResult | None:
        template = self.template()
        if template is None:
            return None
        with spare_lock(self.connection, self.service) as held:
            if held and (spare := spare_of(self.connection, self.service, template)):
                return self._place(spare, Origin("spare", 0, template), started)
        return self._place_copy(Origin("template", 0, template), started)

    def _place_copy(
        self, origin: Origin, started: float, steps: tuple[Step, ...] = ()
    ) -> BuildResult | None:
        """Replace the target by a copy of the template; None if that has just been dropped."""
        server = self.target.server
        try:
            with scratch_database(server, self.connection, template=origin.template) as copy:
                return self._place(copy, origin, started, steps)
        except StatementFailed as failed:
            if failed.sqlstate != _NO_SUCH_DATABASE:
                raise
            return None

    def migrate(self, started: float, *, keep: bool = True) -> BuildResult | None:
        """Run the migrations in a scratch database, which replaces the target.

        With *keep*, as a template for the next time, of which a copy does. None if a pooler knows
        the target and no other database.
        """
        server, connection = self.target.server, self.connection
        drop_unused_databases(connection)
        watch = TrialWatch(connection, self._refusal, keeps=True, reserved=self.service)
        with scratch_database(server, connection) as scratch:
            try:
                steps, template = self._run_in(scratch, started, watch, keep=keep)
            except (ConnectionRejected, _OwnNameStored):
                return None
            except BaseException as error:
                if watch.refused or _misses(error, self.service):
                    return None
                self._settle_failed_build(scratch, error)
                raise
            if template is None:
                return self._place(scratch, Origin("migrations", 0), started, steps)
        placed = self._place_copy(Origin("migrations", 0, template), started, steps)
        return placed or self.migrate(started, keep=False)

    def _place(
        self, name: str, origin: Origin, started: float, steps: tuple[Step, ...] = ()
    ) -> BuildResult:
        server, replaced = self.target.server, None
        if self.replaces:
            replaced = replace_target(server, self.connection, name, self.present)
        elif not rename_to_target(server, self.connection, name):
            raise _TargetCreatedMeanwhile
        return BuildResult(replace(origin, seconds=time.monotonic() - started), steps, replaced)

    def _run_in(
        self, scratch: str, started: float, watch: TrialWatch, *, keep: bool = True
    ) -> tuple[tuple[Step, ...], str | None]:
        """Run the migrations in *scratch*; return the steps, and the template it has become.

        None for what a copy under another name would lack or have wrong.
        """
        with self.inputs.recording() as used:
            steps = apply_pending(self._scratch_target(scratch, watch), ())
        with self._scratch_target(scratch).server.target() as connection:
            if contains_name(connection, scratch):
                raise _OwnNameStored
        files = used.files() if keep else None
        if files is None or watch.changes or has_settings_or_grants(self.connection, scratch):
            return steps, None
        facts = {
            "service": self.service,
            "heads": self.target.graph.heads,
            "inputs": self.key,
            "files": files,
            "bootstrapped": is_bootstrapped(self.target, steps),
            **{"built": time.time(), "seconds": round(time.monotonic() - started, 3)},
        }
        name = own_name(TEMPLATE, self.key, *files, *files.values())
        keep_as_template(self.connection, scratch, name, facts)
        prune(self.connection, self.service)
        return steps, name

    def _settle_failed_build(self, scratch: str, error: BaseException) -> None:
        """Decide what a failed build leaves: the database as it was, or what was built so far."""
        server = self.target.server
        if self.replaces:
            server.on_event(BuildAbandoned(server.location))
            if isinstance(error, MigrationFailed):
                raise error.of_rebuild() from error
            return
        with suppress(DbOpsError):
            resumable = getattr(error, "is_resumable", None)
            if self._scratch_target(scratch).recorded() if resumable is None else resumable:
                rename_to_target(server, self.connection, scratch)

    def _scratch_target(self, scratch: str, watch: TrialWatch | None = None) -> Target:
        server = self.target.server
        # For a command that only looks, it never becomes the database that is meant.
        aside = server.command == TEMPLATE_COMMAND
        url = server.url.scratch_at(scratch) if aside else server.url.built_as(scratch)
        return self.target.at(replace(server, url=url, watch=watch))

    def _refusal(self, reason: str) -> NoScratchDatabase:
        return NoScratchDatabase(self.target.location, reason, "run the migrations in the database")

    @contextmanager
    def _build_lock(self) -> Iterator[None]:
        """Keep others, of any service, from building the same template meanwhile."""
        server = self.target.server
        with advisory_lock(
            self.connection,
            lock_key(self.key),
            location=server.location,
            timeout=server.settings.migration_lock_timeout,
            on_event=server.on_event,
        ):
            yield


def _misses(error: BaseException, database: str) -> bool:
    """Tell whether a revision has asked for *database* by a name that nothing has as yet."""
    cause = error.__cause__
    while cause is not None:
        if getattr(getattr(cause, "orig", cause), "pgcode", None) == _NO_SUCH_DATABASE:
            return database in str(cause)
        cause = cause.__cause__
    return False
