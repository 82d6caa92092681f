"""Scratch databases, empty or migrated, which are dropped after use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING

from db_ops.builds.scratch_server import (
    ANOTHER_SERVER,
    TargetFacts,
    check_allowed_server,
    embedded_server,
    named_server,
    protection_reason,
    read_target_facts,
)
from db_ops.builds.template_builder import TemplateBuilder
from db_ops.builds.worker import make_template_in_subprocess
from db_ops.errors import (
    ConnectionRejected,
    DbOpsError,
    InsufficientPrivilege,
    NoMaintenanceDatabase,
    NoScratchDatabase,
    StatementFailed,
)
from db_ops.frozen_data import replace
from db_ops.migrations.build_inputs import BuildInputs, Files
from db_ops.migrations.revisions.graph import Graph
from db_ops.postgres.connection.server import Server
from db_ops.postgres.connection.session import read_only_reason, set_up_session
from db_ops.postgres.database_aside import DatabaseAside
from db_ops.postgres.databases import may_create_databases
from db_ops.postgres.environment_mark import read_mark
from db_ops.postgres.own_databases import drop_unused_databases, scratch_database
from db_ops.postgres.templates import templates_built_from
from db_ops.postgres.trial import TrialWatch, rolled_back
from db_ops.target.apply import apply_pending, is_bootstrapped
from db_ops.target.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_NO_SUCH_DATABASE = "3D000"


@dataclass(frozen=True)
class ScratchOrigin:
    """How a scratch database came to be: a copy of a `template`, or the `migrations` ran.

    By `bootstrap` no revision ran: the project's own function has made all of it.
    `files` were used beyond what `BuildInputs` knows, None if that is not certain.
    """

    source: str
    files: Files | None


@dataclass
class ScratchDatabases:
    """Creates scratch databases for *target*; a context manager that connects when first used.

    What killed processes have left there is dropped first. Where it *needs_empty*, an empty one
    beside that at head, both are created at a time.
    """

    target: Target
    needs_empty: bool = False
    _stack: ExitStack = field(default_factory=ExitStack)
    # What "at head" means, if no longer the heads of the graph.
    _heads: tuple[str, ...] | None = None
    _prepared: DatabaseAside | None = None
    _used: DatabaseAside | None = None

    def __enter__(self) -> ScratchDatabases:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    @cached_property
    def host(self) -> Target:
        """The project, with the server that its scratch databases are created on.

        Raises `NoScratchDatabase` where there is none.
        """
        url = self.target.settings.scratch_url
        if url is not None:
            return self.target.at(named_server(self.target, url))
        reason = protection_reason(self.target, self._mark)
        if reason is None:
            return self.target
        server = embedded_server(self.target, self._facts.major, reason)
        return self.target.at(server)

    def keep_heads(self, graph: Graph) -> None:
        """Go on to migrate to the heads of now, although *graph* has a revision after them."""
        self._heads, self.host = self.host.graph.heads, replace(self.host, graph=graph)

    @cached_property
    def connection(self) -> Connection:
        """A connection to the maintenance database of that server.

        Raises `NoScratchDatabase`, `ScratchServerDiffers`.
        """
        if self.host is self.target:
            connection = self._beside_target
        else:
            connection = self._maintenance(self.host.server)
            check_allowed_server(self.target, self._facts, connection)
        reason = read_only_reason(connection)
        if reason:
            raise self._none(reason, ANOTHER_SERVER)
        if not may_create_databases(connection):
            location = self.host.server.location
            lacking = InsufficientPrivilege.to_create(location, connection.info.user)
            raise self._none(
                lacking.message.partition(": ")[2], f"{lacking.remedy}, or {ANOTHER_SERVER}"
            )
        set_up_session(self.host.server, connection)
        drop_unused_databases(connection)
        return connection

    @cached_property
    def _beside_target(self) -> Connection:
        return self._maintenance(self.target.server)

    @cached_property
    def _facts(self) -> TargetFacts:
        return read_target_facts(self.target)

    @property
    def _mark(self) -> str | None:
        """The target's own mark, where the settings alone do not protect it."""
        if not self.target.settings.is_disposable:
            return None
        return read_mark(self._beside_target, self.target.server.url.database)

    def _maintenance(self, server: Server) -> Connection:
        try:
            return self._stack.enter_context(server.maintenance())
        except (NoMaintenanceDatabase, ConnectionRejected) as error:
            raise self._none(error.message, error.hint) from None

    @contextmanager
    def empty_database(self) -> Iterator[Target]:
        """Create an empty database for a `with` block. Raises `NoScratchDatabase`."""
        if self._prepared is None:
            with self._database() as target:
                yield target
            return
        aside, self._prepared = self._prepared, None
        with self._watching() as watch:
            try:
                yield self._watched(aside.wait(), watch)
            finally:
                self._used = aside
                if watch.changes:
                    # They are taken back now, and it may need them as long as it is there.
                    aside.close()

    @contextmanager
    def migrated_database(
        self, revisions: tuple[str, ...] | None = None
    ) -> Iterator[tuple[Target, ScratchOrigin]]:
        """Create a database at head for a `with` block; yield it and its origin.

        A copy of the template; in development and test one is made if there is none. Elsewhere,
        where none can be made, and to stop at *revisions*, the migrations run. Raises
        `NoScratchDatabase`, `MigrationFailed` and what else migrations raise.
        """
        template, files, bootstrapped = self._template if revisions is None else (None, None, False)
        if template is not None:
            self._prepare()
            with ExitStack() as stack:
                try:
                    copy = stack.enter_context(self._database(template))
                except StatementFailed as failed:
                    # Somebody has just cleared the templates.
                    if failed.sqlstate != _NO_SUCH_DATABASE:
                        raise
                else:
                    yield copy, ScratchOrigin("bootstrap" if bootstrapped else "template", files)
                    return
        with self._database() as target:
            with BuildInputs(target.project, target.settings.cache_folder).recording() as used:
                goal = self._heads if revisions is None else revisions
                steps = apply_pending(target, (), goal)
            if revisions is not None and target.project.bootstrap:
                self._check_bootstrapped(target, revisions)
            source = "bootstrap" if is_bootstrapped(target, steps) else "migrations"
            yield target, ScratchOrigin(source, used.files())

    @contextmanager
    def database_without_convention(self) -> Iterator[Target]:
        """Run the migrations as before the models had a naming convention, for a `with` block.

        Raises what migrations raise: later ones may rely on names that it gives.
        """
        from db_ops.migrations.env.runtime import without_naming_convention

        with self._database() as target:
            with without_naming_convention():
                apply_pending(target, (), self._heads)
            yield target

    def _check_bootstrapped(self, target: Target, revisions: tuple[str, ...]) -> None:
        """Refuse a database that the project's bootstrap has brought further than *revisions*."""
        recorded = target.recorded()
        if set(recorded) != set(revisions):
            at = ", ".join(recorded) or "base"
            raise self._none(
                f"{target.project.bootstrap} makes one at {at}, not at {', '.join(revisions)}",
                f"compare at {at}: db-ops upgrade",
            )

    @cached_property
    def _template(self) -> tuple[str | None, Files | None, bool]:
        """The name of the template, made now if there is none, and the files it is of.

        And whether the project's bootstrap alone has made it. It stays the same when a revision is
        written meanwhile.
        """
        builder = TemplateBuilder.of(self.host, self.connection)
        if builder is None or len(builder.target.graph.heads) > 1:
            return None, None, False
        template = builder.template()
        if template is None:
            # We may have imported what the revisions import; another process sees all they use.
            make_template_in_subprocess(self.host)
            template = builder.template()
        for database in templates_built_from(self.connection, builder.key):
            if database.name == template:
                facts = database.facts
                return template, facts.get("files", {}), bool(facts.get("bootstrapped"))
        return None, None, False

    @contextmanager
    def _database(self, template: str | None = None) -> Iterator[Target]:
        server = self.host.server
        with (
            self._watching() as watch,
            scratch_database(server, self.connection, template=template) as name,
        ):
            try:
                yield self._watched(name, watch)
            finally:
                if self._used is not None:
                    self._used.drop()

    def _prepare(self) -> None:
        """Begin to create the `empty_database`, if there is to be one beside that at head.

        It is dropped at the same time as that one: to drop a database, the server writes out what
        is new in all others, but for those that are being dropped as well.
        """
        if not self.needs_empty:
            return
        self.needs_empty, server = False, self.host.server
        with suppress(DbOpsError):
            session = self._stack.enter_context(server.maintenance())
            set_up_session(server, session)
            self._prepared = DatabaseAside(server, self.connection, session)
            self._stack.callback(self._prepared.close)

    def _watched(self, name: str, watch: TrialWatch) -> Target:
        server = self.host.server
        # It is dropped again: records would only cost what it takes to compute them.
        settings = replace(server.settings, records=False)
        url = server.url.scratch_at(name)
        return self.host.at(replace(server, url=url, watch=watch, settings=settings))

    @contextmanager
    def _watching(self) -> Iterator[TrialWatch]:
        """Take back what is written outside of the databases that a `with` block makes."""

        def refusal(reason: str) -> NoScratchDatabase:
            return self._none(f"a revision or a model goes beyond it: {reason}", ANOTHER_SERVER)

        # What a server is named for, it may be used for.
        keeps = self.target.settings.scratch_url is not None
        with rolled_back(self.host.server, self.connection, refusal, keeps=keeps) as watch:
            yield watch

    def _none(self, reason: str, remedy: str) -> NoScratchDatabase:
        return NoScratchDatabase(self.target.location, reason, remedy)
