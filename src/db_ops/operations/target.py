"""The database of one project: its server, its revision files, and how they meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from db_ops.errors import UnknownRevisions, UntrackedTables
from db_ops.migrations.graph import Graph
from db_ops.migrations.project import Project, read_project
from db_ops.migrations.revision_files import read_graph
from db_ops.migrations.runner import Run
from db_ops.migrations.scripts import load_scripts
from db_ops.postgres.activity import BlockerWatch, watch_blockers
from db_ops.postgres.catalog import recorded_revisions, revisions_and_comment, user_tables
from db_ops.postgres.embedded import EmbeddedServer
from db_ops.postgres.lock import Waiting, advisory_lock, lock_key, take_advisory_lock
from db_ops.postgres.mark import mark_in
from db_ops.postgres.server import Server
from db_ops.postgres.session import (
    prepare_to_write,
    refuse_transaction_pooler,
    set_up_session,
)
from db_ops.results import OnEvent
from db_ops.settings import DatabaseUrl, Settings

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory
    from psycopg2.extensions import connection as Connection

EMBEDDED_LABEL = "embedded"


@dataclass(frozen=True)
class Target:
    """A project and the way to its database; what the migration runner works on."""

    project: Project
    graph: Graph
    server: Server

    @cached_property
    def scripts(self) -> ScriptDirectory:
        """Every revision file, imported. Raises `RevisionFileBroken`."""
        return load_scripts(self.project)

    @property
    def settings(self) -> Settings:
        return self.server.settings

    @property
    def location(self) -> str:
        return self.server.location

    def run(
        self, direction: str, target: str, total: int, before_attempt: Callable[[], None]
    ) -> Run:
        """Return a walk over the graph, not yet begun."""
        return Run(
            project=self.project,
            graph=self.graph,
            scripts=self.scripts,
            database=self,
            direction=direction,
            target=target,
            total=total,
            before_attempt=before_attempt,
            on_event=self.server.on_event,
        )

    @property
    def timeouts(self) -> str:
        """The statements that set the timeouts of a migration's session, in milliseconds there.

        A statement gives up a tenth early: a reader queued behind it must be through, not only be
        let go, within what the setting allows.
        """
        lock, statement = self.settings.lock_timeout, self.settings.statement_timeout
        return (
            f"SET lock_timeout = {round(lock * 900)};"
            f" SET statement_timeout = {round(statement * 1000)}"
        )

    def open(self, *, read_only: bool = False) -> Connection:
        """Return a new connection with the timeouts of the settings.

        One that writes holds the session lock: whoever migrates next sees that it is still alive.
        """
        connection = self.server.connect()
        with self.server.translating("setting up a session"), connection.cursor() as cursor:
            refuse_transaction_pooler(self.server, connection)
            cursor.execute(self.timeouts)
        with self.server.translating("setting up a session"):
            if read_only:
                self.look_only(connection)
            else:
                set_up_session(connection)
                take_advisory_lock(connection, self._key("session"), **self._waiting)
        return connection

    def look_only(self, connection: Connection) -> None:
        """Forbid *connection* to write, and to wait for a table longer than `lock_timeout`."""
        with connection.cursor() as cursor:
            cursor.execute(f"{self.timeouts}; SET default_transaction_read_only = on")

    def watch(self, connection: Connection) -> AbstractContextManager[BlockerWatch]:
        """Look who blocks *connection*, for a `with` block."""
        return watch_blockers(self.server, connection)

    def recorded(self) -> tuple[str, ...]:
        """Return the revisions recorded now, asked on a new connection."""
        with self.server.target() as connection:
            return self.recorded_on(connection)

    def recorded_on(self, connection: Connection) -> tuple[str, ...]:
        """Return the revisions recorded now, asked on *connection*."""
        return recorded_revisions(
            connection, self.project.version_table, self.project.version_table_schema
        )

    def look(self, connection: Connection) -> tuple[tuple[str, ...], str | None]:
        """Return the revisions recorded now, and the database's mark."""
        recorded, comment = revisions_and_comment(
            connection, self.project.version_table, self.project.version_table_schema
        )
        return recorded, mark_in(comment)

    def check_known(self, recorded: tuple[str, ...]) -> None:
        """Refuse a database whose history is not this checkout's. Raises `UnknownRevisions`."""
        unknown = self.graph.unknown(recorded)
        if unknown:
            raise UnknownRevisions(self.location, unknown)

    def check_tracked(self, connection: Connection, recorded: tuple[str, ...]) -> None:
        """Refuse tables that no recorded revision accounts for. Raises `UntrackedTables`.

        A writer asks under the migration lock: another's revision may be committed halfway.
        """
        if recorded:
            return
        own = self.project.version_table
        tables = tuple(name for name in user_tables(connection) if name.split(".", 1)[1] != own)
        if tables:
            raise UntrackedTables(self.location, tables, self.graph.head() or "head")

    @contextmanager
    def migration_lock(self, connection: Connection | None = None) -> Iterator[Connection]:
        """Hold the migration lock for a `with` block, on *connection* or one of its own.

        A killed holder frees the lock at once, but its statement may run on for a moment: the lock
        is not ours before that session, too, is gone. Raises `MigrationLockHeld`, `ReadOnlyServer`,
        `TransactionPooler`.
        """
        if connection is None:
            with self.server.target() as own, self.migration_lock(own):
                yield own
            return
        prepare_to_write(self.server, connection)
        with advisory_lock(connection, self._key("migrate"), **self._waiting):
            with advisory_lock(connection, self._key("session"), **self._waiting):
                pass
            yield connection

    def _key(self, purpose: str) -> int:
        table = self.project.version_table_schema, self.project.version_table
        return lock_key(purpose, self.server.url.database, *table)

    @property
    def _waiting(self) -> Waiting:
        return {
            "location": self.location,
            "timeout": self.settings.migration_lock_timeout,
            "on_event": self.server.on_event,
        }


def open_server(settings: Settings, command: str, on_event: OnEvent) -> Server:
    """Return the way to the server that *settings* name, starting the embedded one if it is that.

    A server of somebody else's is not contacted yet.
    """
    url = settings.url
    if url is None:
        embedded = EmbeddedServer(settings.embedded_home)
        embedded.ensure(on_event)
        url = embedded_url(settings, embedded)
    return Server(url, settings, command, on_event)


def embedded_url(settings: Settings, embedded: EmbeddedServer) -> DatabaseUrl:
    """Return the URL of the project's database on its running embedded server."""
    # Empty, or libpq would let PGHOSTADDR win over the socket.
    parameters = {**embedded.connection_parameters(), "hostaddr": "", "dbname": settings.database}
    return DatabaseUrl(parameters, EMBEDDED_LABEL)


def open_target(settings: Settings, command: str, on_event: OnEvent) -> Target:
    """Read the project's revision files, then return them with the way to its database.

    Raises what `read_project` and `read_graph` raise, before any server is contacted.
    """
    project = read_project(settings.alembic_ini)
    graph = read_graph(project, settings.cache_folder)
    return Target(project, graph, open_server(settings, command, on_event))
