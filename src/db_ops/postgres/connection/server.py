"""Connect to a server, waiting for one that is starting."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import make_dsn

from db_ops.errors import (
    ConnectionLost,
    ConnectionRejected,
    DatabaseMissing,
    NoMaintenanceDatabase,
    ServerError,
    ServerUnreachable,
    StatementFailed,
)
from db_ops.frozen_data import FrozenData, field, replace
from db_ops.postgres.backoff import sleep_about
from db_ops.postgres.connection.cancellation import cancel_statement
from db_ops.postgres.connection.error_text import first_line
from db_ops.postgres.connection.notices import forward_notices
from db_ops.postgres.connection.readiness import NOT_NOW, reason_to_wait
from db_ops.postgres.connection.role import take_role
from db_ops.results import Connected, ConnectionNotice, OnEvent, WaitingForServer, ignore
from db_ops.settings import DatabaseUrl, Settings
from db_ops.settings.keepalives import with_keepalives

if TYPE_CHECKING:
    from db_ops.postgres.trial import TrialWatch

MAINTENANCE_DATABASES = ("postgres", "defaultdb")
# A deployment starts these beside its server. Whoever waits for an answer has it soon.
_OF_DEPLOYMENTS = ("init", "upgrade", "recreate")
_WAIT_IN_DEPLOYMENT, _WAIT_OTHERWISE = 30.0, 1.0
# What a server says of one database, and not of the connection.
_OF_ONE_DATABASE = (
    errorcodes.INVALID_CATALOG_NAME,
    errorcodes.INSUFFICIENT_PRIVILEGE,
    errorcodes.INVALID_AUTHORIZATION_SPECIFICATION,
)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
# A DROP that was cut short leaves a database that nobody can use: as good as none.
EXISTS = "SELECT FROM pg_database WHERE datname = %s AND datconnlimit <> -2"
_SESSION_ENDED = (
    errorcodes.ADMIN_SHUTDOWN,
    errorcodes.CRASH_SHUTDOWN,
    errorcodes.CONNECTION_FAILURE,
)


class Server(FrozenData):
    """The connection to one database and to its server.

    `command` shows in `pg_stat_activity`, so that sessions waiting for us can see it. `watch`
    sees what sessions in a scratch database write outside of it. `connection_class` is what
    connections are made of, if they have to do more than those of psycopg2.
    """

    url: DatabaseUrl
    settings: Settings
    command: str
    on_event: OnEvent = ignore
    watch: TrialWatch | None = field(default=None, compare=False, repr=False)
    connection_class: type[Connection] | None = field(default=None, compare=False, repr=False)

    @property
    def location(self) -> str:
        return self.url.location

    @property
    def wait_timeout(self) -> float:
        """How long to wait for a server that is starting, in seconds."""
        named = self.settings.wait_timeout
        if named is not None:
            return named
        return _WAIT_IN_DEPLOYMENT if self.command in _OF_DEPLOYMENTS else _WAIT_OTHERWISE

    def without_waiting(self) -> Server:
        """Return the same server, without waiting for one that is starting."""
        return replace(self, settings=replace(self.settings, wait_timeout=0.0))

    def connect(self, database: str | None = None) -> Connection:
        """Return an autocommit connection to *database* (the target).

        Waits up to `wait_timeout` while nobody answers or the server is starting up, shutting down
        or full. Raises `ServerUnreachable` after that; `ConnectionRejected` at once when the server
        answers and does not let us in, `ClientRefusedConnection` when libpq does not go on with it,
        `InvalidConnectionParameter` when it does not even begin.
        """
        parameters = self._parameters(database or self.url.database)
        started, pause, said = time.monotonic(), _FIRST_PAUSE, ""
        while True:
            attempted = time.monotonic()
            try:
                connection = self._attempt(parameters)
            except psycopg2.OperationalError as error:
                from db_ops.postgres.connection.login_error import check_parameters

                check_parameters(error, self.url)
                reason = reason_to_wait(parameters, self.settings.connect_timeout)
                if reason is None:
                    reason = self._refused(parameters, error, attempted, said)
                    said = str(error)
            else:
                connection.autocommit = True
                take_role(self, connection)
                self.on_event(Connected(partial(cancel_statement, connection)))
                return connection
            waited = time.monotonic() - started
            if waited + pause > self.wait_timeout:
                raise ServerUnreachable(self.location, reason, waited, self.url.source)
            self.on_event(WaitingForServer(self.location, reason))
            sleep_about(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _parameters(self, database: str) -> dict[str, str]:
        return {
            **with_keepalives(self.url.parameters),
            "dbname": database,
            "application_name": _application_name(self.command),
            "connect_timeout": str(max(1, round(self.settings.connect_timeout))),
        }

    @contextmanager
    def target(self) -> Iterator[Connection]:
        """Connect to the target for a `with` block; `DatabaseMissing` if it does not exist."""
        with self.target_if_exists() as connection:
            if connection is None:
                raise DatabaseMissing(self.location)
            yield connection

    @contextmanager
    def target_if_exists(self) -> Iterator[Connection | None]:
        """Connect to the target for a `with` block, or yield None if it does not exist."""
        connection = self._connect_if_exists()
        if connection is None:
            yield None
        else:
            with self._closing(connection):
                yield connection

    @contextmanager
    def maintenance(self) -> Iterator[Connection]:
        """Connect to the first other database that lets us in, for a `with` block.

        It is never the target, which cannot be dropped from within, nor `template1`, whose
        sessions would block CREATE DATABASE. Raises `NoMaintenanceDatabase`.
        """
        named = self.settings.maintenance_database
        names = (named,) if named else MAINTENANCE_DATABASES
        candidates = [name for name in names if name != self.url.database]
        rejections = []
        for name in candidates:
            try:
                connection = self.connect(name)
            except ConnectionRejected as rejected:
                rejections.append(rejected)
                continue
            with self._closing(connection):
                yield connection
            return
        raise self._no_maintenance(tuple(candidates), rejections)

    def _no_maintenance(
        self, tried: tuple[str, ...], rejections: list[ConnectionRejected]
    ) -> ServerError:
        """Return what is wrong where no other database than the target lets us in."""
        telling = [one for one in rejections if one.sqlstate != errorcodes.INVALID_CATALOG_NAME]
        rejected = next(iter(telling or rejections), None)
        try:
            self.connect().close()
        except ConnectionRejected as of_target:
            # If even the target rejects us, that is what has to be told, unless it is not there.
            if of_target.sqlstate != errorcodes.INVALID_CATALOG_NAME:
                return of_target
            if rejected is not None and rejected.sqlstate not in _OF_ONE_DATABASE:
                return rejected
        reason = rejected.reason if rejected else "none to try"
        return NoMaintenanceDatabase(self.location, tried, reason)

    def failure(self, action: str, error: psycopg2.Error) -> ServerError:
        """Return the typed error for what the server said and no better type stands for."""
        reason = first_line(error)
        if error.pgcode is None or error.pgcode in _SESSION_ENDED:
            return ConnectionLost(self.location, reason)
        remedy = error.diag.message_hint
        said = tuple(f"DETAIL: {one}" for one in filter(None, [error.diag.message_detail]))
        failed = StatementFailed(self.location, action, reason, error.pgcode, said=said)
        return replace(failed, remedy=first_line(remedy)) if remedy else failed

    def _attempt(self, parameters: dict[str, str]) -> Connection:
        factory = self.connection_class or (self.watch.factory if self.watch else None)
        with self._taking_notices():
            dsn = make_dsn(**parameters)
            connection: Connection = psycopg2.connect(dsn, connection_factory=factory)
            return connection

    def _taking_notices(self) -> AbstractContextManager[None]:
        """Make events of what libpq writes to standard error, for a `with` block."""
        if self.on_event is ignore:
            # A caller from Python keeps its own standard error.
            return nullcontext()
        return forward_notices(lambda text: self.on_event(ConnectionNotice(self.location, text)))

    def _refused(
        self, parameters: dict[str, str], error: psycopg2.Error, attempted: float, said: str
    ) -> str:
        """Return why a server that answers does not let us in now; raise *error* if it never will.

        *said* is the error of the attempt before. A line that broke during the login, or a server
        that has become ready since, looks like a refusal too; a real one comes again.
        """
        from db_ops.postgres.connection.login_error import login_failures, rejection, retry_login

        timeout = self.settings.connect_timeout
        if time.monotonic() - attempted > timeout * 0.9:
            return "the login takes too long"
        with self._taking_notices():
            again = retry_login(parameters, timeout)
        first = login_failures(error)
        if again is None:
            return first[0].said
        # A role's own limit, and the slots kept for others, come too late for the probe to see.
        codes = {refusal.code or "" for refusal in again}
        if passing := codes & NOT_NOW.keys():
            return NOT_NOW[passing.pop()]
        wanted = parameters.get("target_session_attrs", "any")
        if wanted != "any" and self._lets_in({**parameters, "target_session_attrs": "any"}):
            # Nobody is what was asked for: a failover is under way.
            return f"no host is {wanted}"
        refusal = again[0] if again and len(first) == len(again) else None
        is_final = codes - {""} or (refusal and refusal.said == first[0].said)
        if is_final or "FATAL:" in str(error) or str(error) == said:
            raise rejection(self.url, self.location, first[0], refusal) from None
        return first[0].said

    def _lets_in(self, parameters: dict[str, str]) -> bool:
        try:
            self._attempt(parameters).close()
        except psycopg2.OperationalError:
            return False
        return True

    @contextmanager
    def translate_errors(self, action: str) -> Iterator[None]:
        """Raise the driver's errors in a `with` block as typed errors."""
        try:
            yield
        except psycopg2.Error as error:
            raise self.failure(action, error) from error

    @contextmanager
    def _closing(self, connection: Connection) -> Iterator[None]:
        with closing(connection), self.translate_errors(self.command):
            yield

    def _connect_if_exists(self) -> Connection | None:
        # A refused connection alone proves nothing: `pg_database` is asked, from another database.
        try:
            return self.connect()
        except ConnectionRejected as rejected:
            try:
                with self.maintenance() as connection, connection.cursor() as cursor:
                    cursor.execute(EXISTS, (self.url.database,))
                    exists = cursor.fetchone() is not None
            except NoMaintenanceDatabase:
                if rejected.sqlstate != errorcodes.INVALID_CATALOG_NAME:
                    raise rejected from None
                exists = False
        # It may have been created a moment after it was not there to connect to.
        return self._connect_to_new() if exists else None

    def _connect_to_new(self) -> Connection:
        """Connect, although a standby among several hosts may not know the database yet."""
        started = time.monotonic()
        while True:
            try:
                return self.connect()
            except ConnectionRejected as rejected:
                several = "," in self.url.parameters.get("host", "")
                if not several or time.monotonic() - started > self.wait_timeout:
                    raise
                self.on_event(WaitingForServer(self.location, rejected.reason))
                time.sleep(_LONGEST_PAUSE)


def _application_name(command: str) -> str:
    # The server cuts it at 63 bytes; the process id must survive.
    return f"db_ops {command} {socket.gethostname()[:30]}:{os.getpid()}"
