"""Migrated databases for tests, copied from the template."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from db_ops.builds.template_builder import TemplateBuilder
from db_ops.builds.worker import make_template_in_subprocess
from db_ops.errors import DbOpsError
from db_ops.frozen_data import replace
from db_ops.postgres.connection.session import maintenance_session, set_up_session
from db_ops.postgres.locks.advisory_lock import (
    lock_key,
    lock_options,
    release_if_alive,
    take_advisory_lock,
    try_advisory_lock,
)
from db_ops.postgres.own_databases import TEST, create, drop, drop_unused_databases, own_name
from db_ops.results import OnEvent, ignore
from db_ops.settings import DatabaseUrl, Settings
from db_ops.target.apply import apply_pending
from db_ops.target.seeds import check_seeds_named, run_seeds
from db_ops.target.target import Target, open_target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


@dataclass(frozen=True)
class DatabaseFactory:
    """Creates and drops databases for tests; see `database_factory`. Not thread-safe."""

    target: Target
    connection: Connection
    _unwanted: queue.SimpleQueue[str | None] = field(default_factory=queue.SimpleQueue)
    _dropped: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)

    @cached_property
    def template(self) -> str | None:
        """The name of the template, made now if there is none; None if there can be none."""
        return self._template(())

    @cached_property
    def seeded_template(self) -> str | None:
        """The name of the template with what the project's seeds write.

        Raises what `check_seeds_named` and `run_seeds` raise.
        """
        check_seeds_named(self.target.settings)
        return self._template(self.target.settings.seed)

    def create(self, *, seeded: bool = False) -> DatabaseUrl:
        """Create a migrated database, *seeded* or not, and return its URL."""
        server, name = self.target.server, own_name(TEST)
        template = self.seeded_template if seeded else self.template
        while not self._dropped.empty():
            release_if_alive(self.connection, lock_key(self._dropped.get()))
        try_advisory_lock(self.connection, lock_key(name))
        create(server, self.connection, name, template=template)
        url = server.url.with_database(name)
        if template is None:
            target = self.target.at(replace(server, url=url))
            apply_pending(target, ())
            if seeded:
                run_seeds(target, self.target.settings.seed)
        return url

    def _template(self, seeds: tuple[str, ...]) -> str | None:
        builder = TemplateBuilder.of(self.target, self.connection, seeds=seeds)
        if builder is None:
            return None
        if builder.template() is None:
            make_template_in_subprocess(self.target, seeds)
        template = builder.template()
        if template is not None:
            options = lock_options(self.target.server)
            take_advisory_lock(self.connection, lock_key(template), **options, shared=True)
        # Whoever held it may have dropped it.
        return template if builder.template() == template else None

    def drop(self, url: DatabaseUrl) -> None:
        """Drop a database that `create` made, whoever is connected to it, without waiting."""
        self._unwanted.put(url.database)

    @contextmanager
    def drop_in_background(self) -> Iterator[None]:
        """Drop databases on another connection, for a `with` block; wait for the last one."""
        with closing(self.target.server.connect(self.connection.info.dbname)) as connection:
            set_up_session(self.target.server, connection)
            thread = threading.Thread(target=self._drop_on, args=(connection,), daemon=True)
            thread.start()
            try:
                yield
            finally:
                self._unwanted.put(None)
                thread.join()

    def _drop_on(self, connection: Connection) -> None:
        while (name := self._unwanted.get()) is not None:
            # What cannot be dropped now is swept by the next run.
            with suppress(DbOpsError), self.target.server.translate_errors("DROP DATABASE"):
                drop(connection, name)
                self._dropped.put(name)


@contextmanager
def database_factory(
    settings: Settings, *, on_event: OnEvent = ignore
) -> Iterator[DatabaseFactory]:
    """Make databases for tests from the project's migrations, for a `with` block.

    They are copies of the template, which is made first if there is none, by another process. Where
    the migrations allow none, each database runs them. What killed runs have left is dropped.
    Raises what `init` raises.
    """
    target = open_target(settings, "test", on_event)
    target.graph.goals()
    with maintenance_session(target.server) as connection:
        drop_unused_databases(connection)
        made = DatabaseFactory(target, connection)
        # What it cannot be made for is told before any test.
        _ = made.template
        with made.drop_in_background():
            yield made
