"""Build a migrated database for `init` and `recreate`: from a spare, a template or migrations.

A spare is renamed; else a template is copied; else the migrations run in a scratch database, which
is kept as the template of the next time. Either way the database gets its name when it is whole.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

from db_ops.builds.template_builder import BuildResult, OwnNameStored, TemplateBuilder
from db_ops.errors import (
    ConnectionRejected,
    DbOpsError,
    MigrationFailed,
    SeedFailed,
    StatementFailed,
)
from db_ops.errors.tracebacks import chained_errors
from db_ops.frozen_data import replace
from db_ops.postgres.own_databases import drop_unused_databases, scratch_database
from db_ops.postgres.replacement import rename_to_target, replace_target
from db_ops.postgres.templates import spare_lock, spare_of
from db_ops.postgres.trial import TrialWatch
from db_ops.postgres.undo import PresentTarget
from db_ops.results import BuildAbandoned, Origin, PhaseStarted, SeededTable

_NO_SUCH_DATABASE = "3D000"


class _TargetCreatedMeanwhile(Exception):
    """Another process has created the target in the meantime."""


@dataclass(frozen=True)
class Builder(TemplateBuilder):
    """Builds the target.

    One that is there already is replaced only if `replaces`, and only the one that is `present`.
    """

    replaces: bool = False
    present: PresentTarget | None = None

    def build(self) -> BuildResult | None:
        """Replace the target by a migrated database; the present one is renamed.

        If a revision or a seed fails, a target that is to be replaced stays; without one, what was
        built so far takes its place, for the next command to go on from there. None, and
        nothing has changed, if a pooler knows the target and no other database, or if somebody has
        created the target meanwhile.
        """
        started = time.monotonic()
        with suppress(_TargetCreatedMeanwhile):
            copied = self._copy(started)
            if copied is not None:
                return copied
            with self.build_lock():
                # Somebody else may have built the template meanwhile.
                return self._copy(started) or self.migrate(started)
        return None

    def _copy(self, started: float) -> BuildResult | None:
        template = self.find_template()
        if template is None:
            return None
        rows = template.facts.get("seeded")
        seeded = rows and tuple(SeededTable(*row) for row in rows)
        built = BuildResult(Origin("template", 0, template.name), seeded=seeded)
        with spare_lock(self.connection, self.service) as held:
            if held and (spare := spare_of(self.connection, self.service, template.name)):
                origin = replace(built.origin, source="spare")
                return self._place(spare, replace(built, origin=origin), started)
        return self._place_copy(built, started)

    def _place_copy(self, built: BuildResult, started: float) -> BuildResult | None:
        """Replace the target by a copy of the template; None if that has just been dropped."""
        server, template = self.target.server, built.origin.template
        server.on_event(PhaseStarted("copying the template"))
        try:
            with scratch_database(server, self.connection, template=template) as copy:
                return self._place(copy, built, started)
        except StatementFailed as failed:
            if failed.sqlstate != _NO_SUCH_DATABASE:
                raise
            return None

    def migrate(self, started: float, *, keep: bool = True) -> BuildResult | None:
        """Run the migrations and the seeds in a scratch database, which replaces the target.

        With *keep*, as a template for the next time, of which a copy does. None if a pooler knows
        the target and no other database.
        """
        server, connection = self.target.server, self.connection
        drop_unused_databases(connection)
        watch = TrialWatch(connection, self.refusal, keeps=True, reserved=self.service)
        base = self.template_without_seeds() if keep else None
        with scratch_database(server, connection, template=base.name if base else None) as scratch:
            try:
                built = self.run_in(scratch, started, watch, base, keep=keep)
            except (ConnectionRejected, OwnNameStored):
                return None
            except BaseException as error:
                if watch.refused or _misses(error, self.service):
                    return None
                self._settle_failed_build(scratch, error)
                raise
            if built.origin.template is None:
                return self._place(scratch, built, started)
        return self._place_copy(built, started) or self.migrate(started, keep=False)

    def _place(self, name: str, built: BuildResult, started: float) -> BuildResult:
        server = self.target.server
        if self.replaces:
            server.on_event(PhaseStarted("replacing the database"))
            replace_target(server, self.connection, name, self.present)
        elif not rename_to_target(server, self.connection, name):
            raise _TargetCreatedMeanwhile
        origin = replace(built.origin, seconds=time.monotonic() - started)
        return replace(built, origin=origin)

    def _settle_failed_build(self, scratch: str, error: BaseException) -> None:
        """Decide what a failed build leaves: the database as it was, or what was built so far."""
        server = self.target.server
        if self.replaces and not (isinstance(error, SeedFailed) and self.present is None):
            server.on_event(BuildAbandoned(server.location))
            if isinstance(error, MigrationFailed | SeedFailed):
                raise error.of_rebuild() from error
            return
        with suppress(DbOpsError):
            resumable = getattr(error, "is_resumable", None)
            if self.scratch_target(scratch).recorded() if resumable is None else resumable:
                rename_to_target(server, self.connection, scratch)


def _misses(error: BaseException, database: str) -> bool:
    """Tell whether a revision has asked for *database* by a name that nothing has as yet."""
    for one in chained_errors(error):
        if getattr(getattr(one, "orig", one), "pgcode", None) == _NO_SUCH_DATABASE:
            return database in str(one)
    return False
