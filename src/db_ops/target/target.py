"""A target: the project with its revision files, and the server of its database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from db_ops.frozen_data import FrozenData, field, replace
from db_ops.migrations.project import Project
from db_ops.migrations.revisions.graph import Graph
from db_ops.migrations.revisions.reader import import_checked, read_graph
from db_ops.postgres import catalog
from db_ops.postgres.connection import session
from db_ops.postgres.connection.server import Server
from db_ops.postgres.locks import advisory_lock as locks
from db_ops.postgres.locks.lock_session import keep_lock_session
from db_ops.results import NotRecorded, OnEvent
from db_ops.settings import Settings
from db_ops.target.migrating_session import migrating_session, open_session
from db_ops.target.open_project import open_project, shared
from db_ops.target.open_server import server_of

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory
    from psycopg2.extensions import connection as Connection

    from db_ops.migrations.env.runner import Run
    from db_ops.migrations.env.step_recorder import StepRecorder
    from db_ops.migrations.revisions.checksum import Checksums
    from db_ops.migrations.revisions.steps import StepPlan
    from db_ops.postgres.history.reader import RecordedState
    from db_ops.postgres.history.rows import RecordedHistory
    from db_ops.postgres.history.writer import HistoryWriter, OnTrouble
    from db_ops.postgres.locks.blockers import BlockerWatch
    from db_ops.postgres.trial import TrialWatch
    from db_ops.target.position import Position


class Target(FrozenData):
    """A project, its database's server, and who holds the lock; what the runner works on."""

    project: Project
    graph: Graph
    server: Server
    lock_sessions: list[Connection] = field(default_factory=list, kw_only=True, compare=False)
    is_measured: ClassVar[bool] = False

    @cached_property
    def scripts(self) -> ScriptDirectory:
        """Every revision file, imported: see `import_checked`."""
        base = shared.get()
        if base is not None and base is not self and base.graph is self.graph:
            return base.scripts
        return import_checked(self.graph, self.project)

    def at(self, server: Server) -> Target:
        """Return the same project, as it was read, and the database of another *server*."""
        there = replace(self, server=server, lock_sessions=[])
        if "scripts" in vars(self):  # A file may have been written since.
            vars(there)["scripts"] = self.scripts
        return there

    @property
    def settings(self) -> Settings:
        return self.server.settings

    @property
    def location(self) -> str:
        return self.server.location

    @property
    def is_scratch(self) -> bool:
        return self.server.url.is_scratch

    def run(
        self,
        plan: StepPlan,
        before_attempt: Callable[[], None] = lambda: None,
        recorder: StepRecorder | None = None,
    ) -> Run:
        """Return a run of what *plan* announces, not yet begun."""
        from db_ops.migrations.env.runner import Run

        return Run(
            project=self.project,
            plan=plan,
            scripts=self.scripts,
            database=self,
            before_attempt=before_attempt,
            on_event=self.server.on_event,
            recorder=recorder,
        )

    def records(
        self, locked: Connection, on_trouble: OnTrouble | None = None
    ) -> HistoryWriter | None:
        """Return what records a run that holds the migration lock on *locked*; None if opted out.

        What keeps it from recording is an event, unless *on_trouble* takes it.
        """
        if not self.settings.records:
            return None
        from db_ops.postgres.history.writer import HistoryWriter

        tell = on_trouble or (lambda *why: self.server.on_event(NotRecorded(self.location, *why)))
        server, own = self.server, (self.settings.fingerprints, self.settings.schema)
        table, checksum = self._recorded_table, self.checksums.of
        return HistoryWriter(locked, *table, server.command, tell, checksum, *own, server.connect)

    @contextmanager
    def record_run(self, locked: Connection) -> Iterator[HistoryWriter | None]:
        """Keep records, for a `with` block, of a run that holds the migration lock on *locked*."""
        records = self.records(locked)
        if records is None:
            yield None
            return
        with records.flush_at_end():
            yield records
        self.checksums.save()

    @cached_property
    def checksums(self) -> Checksums:
        from db_ops.migrations.revisions.checksum import Checksums

        base = shared.get()
        if base is not None and base is not self:
            return base.checksums
        return Checksums(self.settings.cache_folder)

    @property
    def _version_table(self) -> tuple[str, str | None]:
        return self.project.version_table, self.project.version_table_schema

    @property
    def _recorded_table(self) -> tuple[str, str | None]:
        # Of one schema of a fleet, env.py may leave the place to the search path.
        table, schema = self._version_table
        return table, schema or self.settings.schema

    @property
    def transaction_watch(self) -> TrialWatch | None:
        return self.server.watch

    @property
    def session_settings(self) -> tuple[str, ...]:
        """The statements that set the role and the timeouts of a migration's session.

        One gives up a tenth early: a reader queued behind it must be through by the time set.
        """
        lock, statement = self.settings.lock_timeout * 900, self.settings.statement_timeout * 1000
        timeouts = f"SET lock_timeout = {lock:.0f}", f"SET statement_timeout = {statement:.0f}"
        role = self.settings.set_role
        return (role, *timeouts) if role else timeouts

    def other_members(self, schemas: tuple[str, ...]) -> tuple[str, ...]:
        """Return those *schemas* that are members of the fleet as well."""
        from db_ops.target.fleet_members import schemas_of

        return tuple(sorted({*schemas} & {*schemas_of(self.server)}))

    def open(self, *, read_only: bool = False) -> Connection:
        """Return a new connection with the timeouts of the settings: see `open_session`."""
        return open_session(self, read_only=read_only)

    def open_beside(self) -> Connection:
        """Return a new connection for what a revision does in a session of its own."""
        return open_session(self, beside=True)

    def session(self, plan: StepPlan) -> AbstractContextManager[Connection]:
        """Open a session for the revisions of *plan*, for a `with` block."""
        return migrating_session(self, plan)

    def remedy_for_right(self, message: str, statement: str) -> str:
        """Return what gives the right that *statement* lacked."""
        from db_ops.postgres.missing_privilege import remedy_for

        with self.server.target() as connection:
            return remedy_for(connection, message, statement)

    def watch(self, connection: Connection) -> AbstractContextManager[BlockerWatch]:
        """Watch for sessions that block *connection*, for a `with` block."""
        from db_ops.postgres.locks.blockers import watch_blockers

        return watch_blockers(self.server, connection)

    def recorded(self) -> tuple[str, ...]:
        with self.server.target() as connection:
            return self.recorded_on(connection)

    def recorded_on(self, connection: Connection) -> tuple[str, ...]:
        """Return the revisions recorded now; of several tables, of the one furthest behind."""
        with self._version_table_read(connection):
            first = catalog.recorded_revisions(connection, *self._version_table)
        if not first:
            from db_ops.target.version_table import check_not_hidden

            if check_not_hidden(self, connection):
                return self.recorded_on(connection)
        return self._furthest_behind(first, connection)

    def recorded_in_all(self, connection: Connection) -> tuple[tuple[str, ...], ...]:
        """Return the revisions recorded now in each version table."""
        tables = self._version_table, *(one[::-1] for one in self.project.tables)
        return tuple(catalog.recorded_revisions(connection, *table) for table in tables)

    def _furthest_behind(self, recorded: tuple[str, ...], asked: Connection) -> tuple[str, ...]:
        if not self.project.tables:
            return recorded
        several = (recorded, *self.recorded_in_all(asked)[1:])
        return max(several, key=lambda one: len(self.graph.pending(one)))

    def recorded_state(
        self, connection: Connection, *, largest: int | None = None
    ) -> RecordedState:
        """Return the revisions recorded now, the database's comment, and what tells of drift."""
        from db_ops.postgres.history.reader import read_state

        with self._version_table_read(connection):
            table, schema = self._recorded_table, self.settings.schema
            found = read_state(connection, *table, schema=schema, largest=largest)
        if not found.revisions:
            from db_ops.target.version_table import check_not_hidden

            if check_not_hidden(self, connection):
                return self.recorded_state(connection, largest=largest)
        return replace(found, revisions=self._furthest_behind(found.revisions, connection))

    @contextmanager
    def _version_table_read(self, connection: Connection) -> Iterator[None]:
        """Say what is wrong with the version table that a `with` block cannot read."""
        if self.settings.schema is not None and self.project.version_table_schema is None:
            from db_ops.target.member_schema import check_version_table

            check_version_table(self, connection)
        try:
            with catalog.version_table_errors():
                yield
        except catalog.UnreadableVersionTable as error:
            from db_ops.target.version_table import read_error

            raise read_error(self, connection, *error.args) from None

    def read_records(self, connection: Connection) -> RecordedHistory:
        """Return what is recorded of this service in the database."""
        from db_ops.postgres.history.reader import read_records

        return read_records(connection, *self._recorded_table)

    def position(self, recorded: tuple[str, ...], connection: Connection | None) -> Position:
        """Return where a database at *recorded* stands; only unknown revisions cost a question."""
        from db_ops.target.position import Position

        if connection is None or not self.graph.unknown(recorded):
            return Position(self.graph, recorded)
        return Position(self.graph, recorded, self.read_records(connection))

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
        name = session.prepare_to_write(self.server, connection)
        options, running = locks.lock_options(self.server), self.lock_key("session", name)
        with locks.advisory_lock(connection, self.lock_key("migrate", name), **options):
            locks.wait_until_released(connection, running, **options)
            with keep_lock_session(self.lock_sessions, connection):
                yield connection

    @property
    def is_being_built(self) -> bool:
        """Tell whether nobody has this database yet: it is one of ours, made for this run."""
        from db_ops.postgres.own_databases import is_being_built

        return is_being_built(self.server.url.database)

    def lock_key(self, purpose: str, name: str) -> int:
        """Return the key of a lock on the database of this *name*."""
        # A pooler may know it by several names: the server's own is the same for all.
        return locks.lock_key(purpose, name, *self._version_table[::-1])


def open_target(settings: Settings, command: str, on_event: OnEvent) -> Target:
    """Read the project's revision files, then return them with the way to its database.

    Raises what `open_project` and `read_graph` raise, before any server is contacted.
    """
    base = shared.get()
    settings, project = open_project(settings)
    shares = base and base.project.version_locations == project.version_locations
    graph = base.graph if base and shares else read_graph(project, settings.cache_folder)
    return Target(project, graph, server_of(settings, command, on_event))
