"""Databases to look at: built from the migrations or empty, read, and dropped again.

They are on the target's own server, or on that of `DB_OPS_SCRATCH_URL`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING

from db_ops.errors import (
    ConnectionRejected,
    InsufficientPrivilege,
    NoMaintenanceDatabase,
    NoScratchDatabase,
    ScratchServerDiffers,
    StatementFailed,
)
from db_ops.migrations.build_inputs import BuildInputs, Files
from db_ops.operations.background import make_template_elsewhere
from db_ops.operations.building import Builder
from db_ops.operations.migrating import apply_pending
from db_ops.operations.target import Target
from db_ops.postgres.databases import may_create_databases
from db_ops.postgres.own_databases import scratch_database, sweep
from db_ops.postgres.server import Server
from db_ops.postgres.session import takes_no_writes
from db_ops.postgres.templates import templates_built_from

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_NO_SUCH_DATABASE = "3D000"
_ANOTHER_SERVER = "set DB_OPS_SCRATCH_URL to another server of the same major version"
# By its name, a database can be reached from another one: the one that must not be written to.
_NAMED = re.compile(rb"\b(?:ALTER|ON)\s+DATABASE\b", re.I)
_SHARED = re.compile(
    rb"\b(?:CREATE|ALTER|DROP)\s+(?:ROLE|USER|GROUP|TABLESPACE|SUBSCRIPTION)\b|\bALTER\s+SYSTEM\b",
    re.I,
)


@dataclass(frozen=True)
class ScratchOrigin:
    """How a scratch database came to be: a copy of a `template`, or the `migrations` ran.

    `files` were used beyond what `BuildInputs` knows, None if that is not certain.
    """

    source: str
    files: Files | None


@dataclass
class Scratch:
    """Where scratch databases for *target* are made; a context manager, which connects when needed.

    What killed processes have left there is dropped first.
    """

    target: Target
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Scratch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    @property
    def is_elsewhere(self) -> bool:
        """Tell whether the target's own server is left alone."""
        return self.target.settings.scratch_url is not None

    @cached_property
    def place(self) -> Target:
        """The project with the server that scratch databases are made on as its own."""
        url = self.target.settings.scratch_url
        if url is None:
            return self.target
        server = self.target.server
        service = server.url.database
        settings = replace(
            server.settings,
            url=url.at(service),
            maintenance_database=url.database if url.database != service else None,
            # What is kept there is the target's: development's templates, or none.
            declared_environment=server.settings.environment,
        )
        there = Server(url.at(service), settings, server.command, server.on_event)
        return replace(self.target, server=there)

    @cached_property
    def connection(self) -> Connection:
        """To the maintenance database there. Raises `NoScratchDatabase`, `ScratchServerDiffers`."""
        server = self.place.server
        try:
            connection = self._stack.enter_context(server.maintenance())
        except (NoMaintenanceDatabase, ConnectionRejected) as error:
            raise self._none(error.message, error.hint) from None
        if self.is_elsewhere:
            self._check_version(connection)
        reason = takes_no_writes(connection)
        if reason:
            raise self._none(reason, _ANOTHER_SERVER)
        if not may_create_databases(connection):
            lacking = InsufficientPrivilege.to_create(server.location, connection.info.user)
            raise self._none(
                lacking.message.partition(": ")[2], f"{lacking.remedy}, or {_ANOTHER_SERVER}"
            )
        sweep(connection)
        return connection

    @contextmanager
    def empty(self) -> Iterator[Target]:
        """Yield the way to an empty database, for a `with` block. Raises `NoScratchDatabase`."""
        with self._database() as target:
            yield target

    @contextmanager
    def migrated(
        self, revisions: tuple[str, ...] | None = None
    ) -> Iterator[tuple[Target, ScratchOrigin]]:
        """Yield the way to a database at head, for a `with` block, and how it came to be.

        A copy of the template; in development and test one is made if there is none. Elsewhere,
        where none can be made, and to stop at *revisions*, the migrations run. Raises
        `NoScratchDatabase`, `MigrationFailed` and what else migrations raise.
        """
        self._check_harmless()
        template, files = self._template() if revisions is None else (None, None)
        if template is not None:
            with ExitStack() as stack:
                try:
                    copy = stack.enter_context(self._database(template))
                except StatementFailed as failed:
                    # Somebody has just cleared the templates.
                    if failed.sqlstate != _NO_SUCH_DATABASE:
                        raise
                else:
                    yield copy, ScratchOrigin("template", files)
                    return
        with self._database() as target:
            with BuildInputs(target.project, target.settings.cache_folder).recording() as used:
                for revision in target.graph.heads if revisions is None else revisions:
                    apply_pending(target, target.recorded(), revision)
            yield target, ScratchOrigin("migrations", used.files())

    def _template(self) -> tuple[str | None, Files | None]:
        """Return the name of the template, made now if there is none, and the files it is of."""
        builder = Builder.of(self.place, self.connection)
        if builder is None or len(builder.target.graph.heads) > 1:
            return None, None
        template = builder.template()
        if template is None:
            # We may have imported what the revisions import; another process sees all they use.
            make_template_elsewhere(self.place)
            template = builder.template()
        for database in templates_built_from(self.connection, builder.key):
            if database.name == template:
                return template, database.facts.get("files", {})
        return None, None

    @contextmanager
    def _database(self, template: str | None = None) -> Iterator[Target]:
        server = self.place.server
        with scratch_database(server, self.connection, template=template) as name:
            yield replace(self.place, server=replace(server, url=server.url.scratch_at(name)))

    def _check_harmless(self) -> None:
        """Refuse to run revisions that would reach past their database, into the target's server.

        Roles are everybody's too; in development and test they may be made again.
        """
        if self.is_elsewhere:
            return
        reaching = [_NAMED] if self.target.settings.is_disposable else [_NAMED, _SHARED]
        for path, source in BuildInputs(self.target.project).sources.items():
            if path.endswith(".py") and any(pattern.search(source) for pattern in reaching):
                raise self._none(f"{path} reaches past its own database", _ANOTHER_SERVER)

    def _check_version(self, connection: Connection) -> None:
        with self.target.server.target_if_exists() as own:
            if own is None:
                return
            major, other = (one.info.server_version // 10000 for one in (own, connection))
        if major != other:
            raise ScratchServerDiffers(self.target.location, major, other)

    def _none(self, reason: str, remedy: str) -> NoScratchDatabase:
        return NoScratchDatabase(self.target.location, reason, remedy)
