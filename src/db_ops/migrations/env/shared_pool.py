"""The pool of an engine over a driver connection that is there already.

Whoever asks its engine for a connection shares that one, as an env.py that connects twice. While a
revision runs nobody may: who closes a second connection would roll back what the revision has done
on the first. So long it gives out new connections, as the pool of any other engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.pool import Pool, StaticPool

if TYPE_CHECKING:
    from psycopg2.extensions import connection as DriverConnection
    from sqlalchemy import Engine

OpenBeside = Callable[[], "DriverConnection"]


class SharedPool(StaticPool):
    """Gives out the connection of *driver_connection*, and new ones while it has an opener."""

    open_beside: OpenBeside | None = None

    def __init__(self, driver_connection: DriverConnection, **options: Any) -> None:
        # A rollback of a session that is gone would be logged as an error.
        super().__init__(self._open, reset_on_return=None, **options)
        self._shared = driver_connection

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
        """Leave the session open, as a pool leaves what is in use."""

    def _do_get(self) -> Any:
        return super()._do_get() if self.open_beside is None else Pool._create_connection(self)

    def _do_return_conn(self, record: Any) -> None:
        if record.dbapi_connection is not self._shared:
            record.close()


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
