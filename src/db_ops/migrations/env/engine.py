"""A SQLAlchemy connection over one of psycopg2 that is there already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from psycopg2.extensions import connection as DriverConnection
    from sqlalchemy import URL, Connection

_DRIVER = "postgresql+psycopg2"
# What a second engine needs to connect as this session has.
_OF_CONNECTION = ("sslmode", "sslrootcert", "sslcert", "sslkey", "options")
# What SQLAlchemy asks of a server in seven statements.
_FACTS = """
    SELECT current_schema(), current_setting('standard_conforming_strings'),
           current_setting('transaction_isolation'),
           EXISTS (SELECT FROM pg_type WHERE typname = 'hstore' AND typtype = 'b')
"""


class _Facts(NamedTuple):
    """What a dialect has to know: of the server, which is its `key`, and of one database."""

    key: tuple[object, ...]
    schema: str | None
    has_hstore: bool


# How many statements are kept as SQLAlchemy has compiled them: as many as its engines keep.
_COMPILED = 500
# The dialects of servers, and what was compiled for each.
_kept: dict[tuple[object, ...], tuple[Any, Any]] = {}


@contextmanager
def connection_over(
    driver_connection: DriverConnection, *, keeps_dialect: bool = False
) -> Iterator[Connection]:
    """Make a SQLAlchemy connection that uses *driver_connection* and nothing else.

    An engine made from a URL would choose a driver by its scheme: SQLAlchemy 2.1 takes
    `postgresql://` to mean psycopg 3. The dialect, which asks the server what it is, and what was
    compiled for it, may be kept for other databases of the server; an env.py of other people's
    changes it.
    """
    from sqlalchemy import create_engine, event
    from sqlalchemy.engine import Engine

    from db_ops.migrations.env.shared_pool import SharedPool

    facts = _facts(driver_connection) if keeps_dialect else None
    # Within a transaction, it may not even be set to what it is.
    if driver_connection.autocommit:
        driver_connection.autocommit = False
    url = _url(driver_connection)
    if facts is None or facts.key not in _kept:
        engine = create_engine(
            url,
            pool=SharedPool(driver_connection),
            # To look for it takes three statements.
            use_native_hstore=facts is None or facts.has_hstore,
        )
    else:
        dialect = _kept[facts.key][0]
        pool = SharedPool(driver_connection, dialect=dialect)
        prepare = dialect.on_connect()
        if prepare is not None:
            event.listen(pool, "connect", lambda connection, record: prepare(connection))
        engine = Engine(pool, dialect, url)
    with engine.connect() as connection:
        if facts is None:
            yield connection
        else:
            with _as_in_database(connection, facts):
                yield connection


def _url(connection: DriverConnection) -> URL:
    """Return where *connection* leads to: a revision may ask its engine, or make another of it."""
    from sqlalchemy import URL

    info = connection.info
    given = info.dsn_parameters
    query = {name: given[name] for name in _OF_CONNECTION if given.get(name)}
    place: dict[str, Any] = {"host": info.host, "port": info.port}
    if info.host.startswith("/"):
        # A folder of sockets, which a URL has no other place for.
        query |= {name: str(value) for name, value in place.items()}
        place = {}
    return URL.create(
        _DRIVER,
        username=info.user,
        password=info.password or None,
        database=info.dbname,
        query=query,
        **place,
    )


@contextmanager
def _as_in_database(connection: Connection, facts: _Facts) -> Iterator[None]:
    """Let the dialect of *connection* know this database for a `with` block, and keep it."""
    from sqlalchemy.util import LRUCache

    dialect, compiled = _kept.setdefault(facts.key, (connection.dialect, LRUCache(_COMPILED)))
    connection.execution_options(compiled_cache=compiled)
    before, dialect.default_schema_name = dialect.default_schema_name, facts.schema
    try:
        yield
    finally:
        dialect.default_schema_name = before


def _facts(connection: DriverConnection) -> _Facts:
    info = connection.info
    with connection.cursor() as cursor:
        cursor.execute(_FACTS)
        schema, *others, has_hstore = cursor.fetchone() or (None, True)
    key = info.host, info.port, info.server_version, has_hstore, *others
    return _Facts(key, schema, has_hstore)
