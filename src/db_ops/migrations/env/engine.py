"""A SQLAlchemy connection over one of psycopg2 that is there already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg2.extensions import connection as DriverConnection
    from sqlalchemy import Connection

_URL = "postgresql+psycopg2://"
# What SQLAlchemy asks of a server in seven statements.
_FACTS = """
    SELECT current_schema(), current_setting('standard_conforming_strings'),
           current_setting('transaction_isolation'),
           EXISTS (SELECT FROM pg_type WHERE typname = 'hstore' AND typtype = 'b')
"""
# How many statements are kept as SQLAlchemy has compiled them: as many as its engines keep.
_COMPILED = 500
# The dialects of servers, and what was compiled for each.
_kept: dict[tuple[object, ...], tuple[Any, Any]] = {}


@contextmanager
def connection_over(driver_connection: DriverConnection) -> Iterator[Connection]:
    """Make a SQLAlchemy connection that uses *driver_connection* and nothing else.

    An engine made from a URL would choose a driver by its scheme: SQLAlchemy 2.1 takes
    `postgresql://` to mean psycopg 3. The dialect, which asks the server what it is, and what was
    compiled for it, are kept for other databases of the server.
    """
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.engine import Engine
    from sqlalchemy.pool import StaticPool
    from sqlalchemy.util import LRUCache

    with driver_connection.cursor() as cursor:
        cursor.execute(_FACTS)
        schema, *facts, has_hstore = cursor.fetchone() or (None, True)
    # Within a transaction, it may not even be set to what it is.
    if driver_connection.autocommit:
        driver_connection.autocommit = False
    info = driver_connection.info
    key = info.host, info.port, info.server_version, has_hstore, *facts
    creator: Any = lambda: driver_connection  # noqa: E731  # SQLAlchemy's own type knows no driver
    if key in _kept:
        dialect, compiled = _kept[key]
        prepare = dialect.on_connect()
        if prepare is not None:
            prepare(driver_connection)
        # A rollback of a session that is gone would be logged as an error, so we close it.
        pool = StaticPool(creator, reset_on_return=None, dialect=dialect)
        connection = Engine(pool, dialect, make_url(_URL)).connect()
    else:
        engine = create_engine(
            _URL,
            creator=creator,
            poolclass=StaticPool,
            pool_reset_on_return=None,
            # To look for it takes three statements.
            use_native_hstore=has_hstore,
        )
        connection = engine.connect()
        dialect, compiled = _kept[key] = engine.dialect, LRUCache(_COMPILED)
    before, dialect.default_schema_name = dialect.default_schema_name, schema
    try:
        with connection.execution_options(compiled_cache=compiled):
            yield connection
    finally:
        dialect.default_schema_name = before
