"""The server that every entrant of a run uses: the embedded one, as `db_ops` starts it."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import quote

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from db_ops.postgres.embedded import EmbeddedServer

_PATIENCE = 60.0


class Server:
    """A PostgreSQL in a folder of its own; `url` names a database of it for any tool."""

    def __init__(self, home: Path) -> None:
        self._embedded = EmbeddedServer(home)
        self._embedded.ensure()
        self.parameters = self._embedded.connection_parameters()

    def url(self, database: str, driver: str = "") -> str:
        host, port = quote(self.parameters["host"], safe="/"), self.parameters["port"]
        user = self.parameters["user"]
        return f"postgresql{driver}://{user}@/{database}?host={host}&port={port}"

    def stop(self) -> None:
        self._embedded.stop()

    def connect(self, database: str = "postgres") -> Connection:
        """Return a new connection in autocommit mode."""
        connection = psycopg2.connect(self.url(database))
        connection.autocommit = True
        return connection

    def query(self, statement: str, *, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one or several statements on a new connection; return the rows of the last."""
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def drop(self, database: str) -> None:
        self._on_database("DROP DATABASE IF EXISTS {} WITH (FORCE)", database)

    def create(self, database: str, template: str = "template1") -> None:
        """Create *database* as a copy of *template*; an older one of that name is dropped."""
        self.drop(database)
        self.copy(template, database)

    def copy(self, template: str, database: str) -> None:
        """Create *database*, which is not there, as a copy of *template*."""
        self._on_database("CREATE DATABASE {} TEMPLATE {}", database, template)

    def exists(self, database: str) -> bool:
        return (database,) in self.query("SELECT datname FROM pg_database")

    @property
    def version(self) -> str:
        return str(self.query("SHOW server_version")[0][0])

    def number(self, database: str) -> object:
        """Return the number that *database* keeps when it is renamed."""
        return self.query(f"SELECT oid FROM pg_database WHERE datname = '{database}'")[0][0]

    def check_template(self) -> None:
        """Raise `LookupError` unless a template database of `db_ops` is there."""
        if not self.query(r"SELECT 1 FROM pg_database WHERE datname LIKE 'db\_ops\_template\_%'"):
            raise LookupError("no template database was made")

    def spares(self) -> set[object]:
        """Return the numbers of the spare databases that are ready."""
        found = self.query(r"SELECT oid FROM pg_database WHERE datname LIKE 'db\_ops\_spare\_%'")
        return {oid for (oid,) in found}

    def wait_for_spare(self, before: set[object]) -> set[object]:
        """Wait for spares that are not among *before*, and for the end of what makes them."""
        self.check_template()
        deadline = time.monotonic() + _PATIENCE
        while not (new := self.spares() - before) or self._is_busy():
            if time.monotonic() > deadline:
                raise TimeoutError(f"no spare database within {_PATIENCE:.0f} s")
            time.sleep(0.1)
        return new

    def _is_busy(self) -> bool:
        others = "backend_type = 'client backend' AND pid <> pg_backend_pid()"
        return bool(self.query(f"SELECT 1 FROM pg_stat_activity WHERE {others}"))

    def _on_database(self, statement: str, *names: str) -> None:
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
        finally:
            connection.close()
