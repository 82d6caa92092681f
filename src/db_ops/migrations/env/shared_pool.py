"""The pool of an engine over a driver connection that is there already.

Whoever asks its engine for a connection shares that one, as an env.py that connects twice. While a
revision runs nobody may: who closes a second connection would roll back what the revision has done
on the first. So long it gives out new connections, and keeps some that are given back, as the pool
of any other engine: a result may be read after its connection was closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from sqlalchemy.pool import Pool, StaticPool

if TYPE_CHECKING:
    from psycopg2.extensions import connection as DriverConnection
    from sqlalchemy import Engine

OpenBeside = Callable[[], "DriverConnection"]
# As many as the pools of SQLAlchemy.
_KEPT = 5
# The engine of the project's that a connection of this pool was given to, in the latter's `info`.
BORROWER = "db_ops borrower"
_borrower: ContextVar[Engine | None] = ContextVar("_borrower", default=None)


class SharedPool(StaticPool):
    """Gives out the connection of *driver_connection*, and new ones while it has an opener."""

    open_beside: OpenBeside | None = None

    def __init__(self, driver_connection: DriverConnection, **options: Any) -> None:
        # A rollback of a session that is gone would be logged as an error.
        super().__init__(self._open, reset_on_return=None, **options)
        self._shared = driver_connection
        # Of whose engine each is, None for this one's: engines may have set it up differently.
        self._kept: list[tuple[Engine | None, Any]] = []

    def _open(self) -> Any:
        if self.open_beside is None:
            return self._shared
        opened = self.open_beside()
        opened.autocommit = False
        return opened

    def recreate(self) -> SharedPool:
        """Return it as it is: the session is not the engine's to end."""
        return self

    def dispose(self) -> None:
        """Leave the session open, as a pool leaves what is in use; close what it keeps."""
        while self._kept:
            self._kept.pop()[1].close()

    def _do_get(self) -> Any:
        if self.open_beside is None:
            return super()._do_get()
        borrower = _borrower.get()
        for one in [one for one in self._kept if one[0] is borrower]:
            # Another thread may have been faster.
            with suppress(ValueError):
                self._kept.remove(one)
                return one[1]
        return Pool._create_connection(self)

    def _do_return_conn(self, record: Any) -> None:
        if record.dbapi_connection is self._shared:
            return
        if self.open_beside is None or not _ended_its_transaction(record):
            record.close()
            return
        self._kept.append((record.info.get(BORROWER), record))
        if len(self._kept) > _KEPT:
            self._kept.pop(0)[1].close()


def _ended_its_transaction(record: Any) -> bool:
    connection = record.dbapi_connection
    if connection is None or connection.closed:
        return False
    with suppress(Exception):
        connection.rollback()
    return not connection.closed


@contextmanager
def lent_to(engine: Engine) -> Iterator[None]:
    """Give out, for a `with` block, what *engine* has given back, or a new connection."""
    token = _borrower.set(engine)
    try:
        yield
    finally:
        _borrower.reset(token)


def gives_out_new_connections(engine: Engine) -> bool:
    """Tell whether a connection of *engine* now would be a new one."""
    return isinstance(engine.pool, SharedPool) and engine.pool.open_beside is not None


@contextmanager
def new_connections(engine: Engine, open_beside: OpenBeside | None) -> Iterator[None]:
    """Give out, for a `with` block, what *open_beside* opens."""
    pool = engine.pool
    assert isinstance(pool, SharedPool)
    pool.open_beside = open_beside
    try:
        yield
    finally:
        pool.open_beside = None
        pool.dispose()
