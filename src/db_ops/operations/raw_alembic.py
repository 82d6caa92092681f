"""The way in for the plain `alembic` command, which the project's env.py takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from db_ops.operations.target import open_target
from db_ops.results import ignore
from db_ops.settings import load

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


@contextmanager
def connect_for_alembic(writes: bool) -> Iterator[Connection]:
    """Open the database of the project around the current directory, for a `with` block.

    The connection is read-only unless *writes*; then the migration lock is held as well, on
    another connection. Raises `DatabaseMissing` and what every other command raises.
    """
    target = open_target(load(), "alembic", ignore)
    if not writes:
        with target.server.target():
            connection = target.open(read_only=True)
        with _closing(connection):
            yield connection
        return
    with target.migration_lock(), _closing(target.open()) as connection:
        yield connection


@contextmanager
def _closing(connection: Connection) -> Iterator[Connection]:
    try:
        yield connection
    finally:
        connection.close()
