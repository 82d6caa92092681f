"""Connect to a server, waiting for one that is starting."""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
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
from db_ops.postgres.early import EarlyAttempt
from db_ops.postgres.probe import reason_to_wait
from db_ops.results import Connected, OnEvent, WaitingForServer, ignore
from db_ops.settings import DatabaseUrl, Settings

if TYPE_CHECKING:
    from db_ops.postgres.trial import Watch

MAINTENANCE_DATABASES = ("postgres", "defaultdb")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
# A DROP that was cut short leaves a database that nobody can use: as good as none.
EXISTS = "SELECT FROM pg_database WHERE datname = %s AND datconnlimit <> -2"
_SESSION_ENDED = (
    errorcodes.ADMIN_SHUTDOWN,
    errorcodes.CRASH_SHUTDOWN,
    errorcodes.CONNECTION_FAILURE,
)


@dataclass(frozen=True)
class Server:
    """The way to one database and to the server around it.

    `command` shows in `pg_stat_activity`, so that whoever waits for us can see who we are. `watch`
    sees what sessions in a scratch database write outside of it.
    """

    url: DatabaseUrl
    settings: Settings
    command: str
    on_event: OnEvent = ignore
    watch: Watch | None = field(default=None, compare=False, repr=False)
    _early: list[EarlyAttempt] = field(default_factory=list, compare=False, repr=False)

    @property
    def location(self) -> str:
        return self.url.location

    def connect_early(self) -> None:
        """Begin to connect to the target; the first `connect` goes on from there."""
        self._early.append(EarlyAttempt(self._parameters(self.url.database)))

    def connect(self, database: str | None = None) -> Connection:
        """Return an autocommit connection to *database* (the target).

        Waits up to `wait_timeout` while nobody answers or the server is starting up, shutting down
        or full. Raises `ServerUnreachable` after that, `ConnectionRejected` at once when the server
        answers and does not let us in.
        """
        parameters = self._parameters(database or self.url.database)
        started = time.monotonic()
        pause, rejection = _FIRST_PAUSE, None
        while True:
            attempted = time.monotonic()
            try:
                connection = self._attempt(parameters)
            except psycopg2.OperationalError as error:
                reason = reason_to_wait(parameters, self.settings.connect_timeout)
                reason = reason or self._passing_reason(parameters, attempted)
                if reason is None:
                    reason = first_line(error)
                    # A line that broke during the login, or a server that has become ready since,
                    # looks like a rejection too; a real one comes again.
                    clear = "FATAL" in str(error) and pause == _FIRST_PAUSE
                    if clear or reason == rejection:
                        raise ConnectionRejected(self.location, reason, self.url.source) from None
                    rejection = reason
            else:
                connection.autocommit = True
                self.on_event(Connected(connection.cancel))
                return connection
            waited = time.monotonic() - started
            if waited + pause > self.settings.wait_timeout:
                raise ServerUnreachable(self.location, reason, waited, self.url.source)
            self.on_event(WaitingForServer(self.location, reason))
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _attempt(self, parameters: dict[str, str]) -> Connection:
        for early in self._early:
            if early.parameters == parameters:
                self._early.remove(early)
                return early.finish()
        factory = self.watch.factory if self.watch else None
        connection: Connection = psycopg2.connect(
            make_dsn(**parameters), connection_factory=factory
        )
        return connection

    def _parameters(self, database: str) -> dict[str, str]:
        return {
            **self.url.parameters,
            "dbname": database,
            "application_name": _application_name(self.command),
            "connect_timeout": str(max(1, round(self.settings.connect_timeout))),
        }

    @contextmanager
    def target(self) -> Iterator[Connection]:
        """Connect to the target for a `with` block. Raises `DatabaseMissing` if it is not there."""
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
        candidates = [
            name
            for name in ((named,) if named else MAINTENANCE_DATABASES)
            if name != self.url.database
        ]
        reason = "none to try"
        for name in candidates:
            try:
                connection = self.connect(name)
            except ConnectionRejected as rejected:
                reason = rejected.reason
                continue
            with self._closing(connection):
                yield connection
            return
        self.connect().close()  # If even the target rejects us, that is what has to be told.
        raise NoMaintenanceDatabase(self.location, tuple(candidates), reason)

    def failure(self, action: str, error: psycopg2.Error) -> ServerError:
        """Return the typed error for what the server said and no better type stands for."""
        reason = first_line(error)
        if error.pgcode is None or error.pgcode in _SESSION_ENDED:
            return ConnectionLost(self.location, reason)
        remedy = error.diag.message_hint
        failed = StatementFailed(self.location, action, reason, error.pgcode)
        return replace(failed, remedy=first_line(remedy)) if remedy else failed

    def _passing_reason(self, parameters: dict[str, str], attempted: float) -> str | None:
        """Return why a server that answers rejects us only for now, or None if it is for good."""
        from db_ops.postgres.refusal import refusals

        if time.monotonic() - attempted > self.settings.connect_timeout * 0.9:
            return "the login takes too long"
        # A role's own limit, and the slots kept for others, come too late for the probe to see.
        if errorcodes.TOO_MANY_CONNECTIONS in refusals(parameters, self.settings.connect_timeout):
            return "the server has no free connection slot"
        if parameters.get("target_session_attrs", "any") != "any":
            try:
                psycopg2.connect(make_dsn(**{**parameters, "target_session_attrs": "any"})).close()
            except psycopg2.OperationalError:
                return None
            # Somebody lets us in, so that nobody is what was asked for: a failover is under way.
            return f"no host is {parameters['target_session_attrs']}"
        return None

    @contextmanager
    def translating(self, action: str) -> Iterator[None]:
        """Turn the driver's errors in a `with` block into ours."""
        try:
            yield
        except psycopg2.Error as error:
            raise self.failure(action, error) from error

    @contextmanager
    def _closing(self, connection: Connection) -> Iterator[None]:
        with closing(connection), self.translating(self.command):
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
                raise rejected from None
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
                if not several or time.monotonic() - started > self.settings.wait_timeout:
                    raise
                self.on_event(WaitingForServer(self.location, rejected.reason))
                time.sleep(_LONGEST_PAUSE)


def first_line(error: object) -> str:
    """Return the first line of an error's text, without libpq's and the server's prefixes."""
    text = error.diag.message_primary if isinstance(error, psycopg2.Error) else None
    lines = (text or str(error)).strip().splitlines()
    # libpq's preamble repeats host and port, and the server's severity says nothing new.
    return lines[0].rpartition("FATAL:")[2].strip() if lines else type(error).__name__


def _application_name(command: str) -> str:
    # The server cuts it at 63 bytes; the process id must survive.
    return f"db_ops {command} {socket.gethostname()[:30]}:{os.getpid()}"
