"""A scratch database that is created, and dropped, while something else is done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psycopg2
from psycopg2.extensions import connection as Connection

from db_ops.postgres.connection.server import Server
from db_ops.postgres.locks.advisory_lock import lock_key, release_if_alive, try_advisory_lock
from db_ops.postgres.own_databases import SCRATCH, create, drop_after_use, own_name


class DatabaseAside:
    """An empty database that *session* creates and drops; *connection* holds its lock.

    Both are to the maintenance database, and stay open until it is closed.
    """

    def __init__(self, server: Server, connection: Connection, session: Connection) -> None:
        self._connection, self._session = connection, session
        self._name = own_name(SCRATCH)
        self._is_dropped = self._is_closed = False
        try_advisory_lock(connection, lock_key(self._name))
        self._worker = ThreadPoolExecutor(1, "db_ops")
        self._created = self._worker.submit(create, server, session, self._name)

    def wait(self) -> str:
        """Return its name, once it is there. Raises what `create` raises."""
        self._created.result()
        return self._name

    def drop(self) -> None:
        """Begin to drop it."""
        if not self._is_dropped:
            self._is_dropped = True
            self._worker.submit(self._drop)

    def close(self) -> None:
        """Wait until it is dropped."""
        self.drop()
        if not self._is_closed:
            self._worker.shutdown()
            self._is_closed = True
            release_if_alive(self._connection, lock_key(self._name))

    def _drop(self) -> None:
        # The next command sweeps what cannot be dropped now.
        with suppress(psycopg2.Error):
            drop_after_use(self._session, self._name)
