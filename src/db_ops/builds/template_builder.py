"""Build a migrated database that is kept as a template, with the seeds or without.

The migrations run in a scratch database, or the seeds in a copy of the template without them. What
it becomes carries in its comment what it was built from, so that it is known when to build again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from db_ops.errors import NoScratchDatabase
from db_ops.frozen_data import FrozenData, replace
from db_ops.migrations.build_inputs import BuildInputs, Files
from db_ops.postgres.locks.advisory_lock import advisory_lock, lock_key, lock_options
from db_ops.postgres.own_databases import TEMPLATE, OwnDatabase, own_name, scratch_database
from db_ops.postgres.replacement import wait_until_unused
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
from db_ops.results import Origin, SeededTable, Step
from db_ops.target.apply import apply_pending, is_bootstrapped
from db_ops.target.seeds import run_seeds
from db_ops.target.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

TEMPLATE_COMMAND = "template"


class OwnNameStored(Exception):
    """The built database stores its own name."""


class BuildResult(FrozenData):
    """How the target was built."""

    origin: Origin
    steps: tuple[Step, ...] = ()
    seeded: tuple[SeededTable, ...] | None = None


@dataclass(frozen=True)
class TemplateBuilder:
    """Builds templates; `connection` is to the maintenance database."""

    target: Target
    connection: Connection
    inputs: BuildInputs
    key: str

    @classmethod
    def of(
        cls,
        target: Target,
        connection: Connection,
        *,
        seeds: tuple[str, ...] = (),
        **more: Any,
    ) -> Self | None:
        """Return the builder of *target*, with *seeds*; None where only its own migrations will do.

        They do outside development and test.
        """
        if not target.settings.is_disposable or not target.graph.heads:
            return None
        inputs = BuildInputs(target.project, target.settings.cache_folder, seeds)
        records = "" if target.settings.records else "without records"
        environment = target.settings.environment
        key = own_name("key", inputs.digest, server_defaults(connection), environment, records)
        return cls(target, connection, inputs, key, **more)

    @property
    def service(self) -> str:
        return self.target.server.url.database

    @property
    def seeds(self) -> tuple[str, ...]:
        return self.inputs.seeds

    @cached_property
    def unseeded(self) -> TemplateBuilder:
        """The builder of the same database without seeds, whose template serves this one too."""
        return (self.seeds and TemplateBuilder.of(self.target, self.connection)) or self

    def template(self) -> str | None:
        """Return the template that these migrations would build again, if there is one."""
        found = self.find_template()
        return found.name if found else None

    def find_template(self) -> OwnDatabase | None:
        """Return what `template` does, with what its comment says."""
        for database in templates_built_from(self.connection, self.key):
            if self.inputs.are_unchanged(database.facts.get("files", {})):
                return database
        return None

    def template_without_seeds(self) -> OwnDatabase | None:
        """Return the template that only the seeds have to be run in, if there is one."""
        return self.unseeded.find_template() if self.seeds else None

    def make_template(self) -> str | None:
        """Return the template, made now if there is none; None if these migrations allow none."""
        with self.build_lock():
            template = self.template()
            if template is not None:
                return template
            server, connection = self.target.server, self.connection
            base = self.template_without_seeds()
            # What has to stay on the server, or cannot, makes no template, which is no error.
            with (
                suppress(NoScratchDatabase, OwnNameStored),
                rolled_back(server, connection, self.refusal) as watch,
                scratch_database(server, connection, template=base.name if base else None) as name,
            ):
                return self.run_in(name, time.monotonic(), watch, base).origin.template
            return None

    def make_spare(self) -> None:
        """Make the spare, and the template that it is a copy of, unless they are there.

        Does nothing while another process makes or takes the spare.
        """
        with spare_lock(self.connection, self.service) as held:
            template = self.make_template() if held else None
            if template and not spare_of(self.connection, self.service, template):
                make_spare(self.target.server, self.connection, self.service, template)

    def run_in(
        self,
        scratch: str,
        started: float,
        watch: TrialWatch,
        base: OwnDatabase | None = None,
        *,
        keep: bool = True,
    ) -> BuildResult:
        """Run the migrations in *scratch*, unless it is a copy of *base*, then the seeds.

        Its origin names the template that *scratch* has become, or None for what a copy under
        another name would lack or have wrong.
        """
        target = self.scratch_target(scratch, watch)
        steps: tuple[Step, ...] = ()
        seeded = None
        facts = dict(base.facts) if base else {}
        with self.inputs.recording() as used:
            if base is None:
                with self.unseeded.inputs.recording() as migrated:
                    steps = apply_pending(target, ())
                facts["bootstrapped"] = is_bootstrapped(self.target, steps)
            if self.seeds:
                if base is None and keep and self._is_copyable(scratch, watch):
                    server = self.target.server
                    wait_until_unused(self.connection, scratch)
                    with scratch_database(server, self.connection, template=scratch) as copy:
                        self.unseeded._keep(copy, started, facts, migrated.files())
                seeded = run_seeds(target, self.seeds).tables
                facts["seeded"] = [tuple(vars(table).values()) for table in seeded]
        template = None
        if self._is_copyable(scratch, watch) and keep:
            template = self._keep(scratch, started, facts, used.files())
        return BuildResult(Origin("template" if base else "migrations", 0, template), steps, seeded)

    def _is_copyable(self, scratch: str, watch: TrialWatch) -> bool:
        with self.scratch_target(scratch).server.target() as connection:
            if contains_name(connection, scratch):
                raise OwnNameStored
        return not watch.changes and not has_settings_or_grants(self.connection, scratch)

    def _keep(
        self, scratch: str, started: float, facts: Mapping[str, Any], files: Files | None
    ) -> str | None:
        """Make *scratch* the template of what *files*, if they are known, have made of it."""
        if files is None:
            return None
        files = {**facts.get("files", {}), **files}
        name = own_name(TEMPLATE, self.key, *files, *files.values())
        told = {
            **facts,
            "service": self.service,
            "heads": self.target.graph.heads,
            "inputs": self.key,
            "files": files,
            **{"built": time.time(), "seconds": round(time.monotonic() - started, 3)},
        }
        keep_as_template(self.connection, scratch, name, told)
        prune(self.connection, self.service)
        return name

    def scratch_target(self, scratch: str, watch: TrialWatch | None = None) -> Target:
        """Return the project with the database *scratch*."""
        server = self.target.server
        # For a command that only looks, it never becomes the database that is meant.
        aside = server.command == TEMPLATE_COMMAND
        url = server.url.scratch_at(scratch) if aside else server.url.built_as(scratch)
        return self.target.at(replace(server, url=url, watch=watch))

    def refusal(self, reason: str) -> NoScratchDatabase:
        """Return the error for what must not be done in a scratch database."""
        return NoScratchDatabase(self.target.location, reason, "run the migrations in the database")

    @contextmanager
    def build_lock(self) -> Iterator[None]:
        """Keep others, of any service, from building the same template meanwhile."""
        with ExitStack() as stack:
            options = lock_options(self.target.server)
            for key in dict.fromkeys((self.key, self.unseeded.key)):
                held = advisory_lock(self.connection, lock_key(key), **options)
                stack.enter_context(held)
            yield
