"""Read the catalogs, as objects or as a hash over the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from psycopg2.errors import InternalError_, UndefinedFunction, UndefinedObject, UndefinedTable
from psycopg2.extensions import TRANSACTION_STATUS_IDLE as _IDLE
from psycopg2.extensions import TRANSACTION_STATUS_UNKNOWN as _UNKNOWN
from psycopg2.extensions import connection as Connection

from db_ops.postgres.catalog import major_version
from db_ops.postgres.schema.kinds import EVIDENCE_QUERY, catalog_query, kinds
from db_ops.postgres.schema.kinds.kind import Kind
from db_ops.postgres.schema.kinds.scope import FIRST_NUMBER
from db_ops.postgres.schema.normalization import normalize, normalize_sql
from db_ops.postgres.schema.objects import Schema, SchemaObject

# Raise it whenever the rows change, so that an old fingerprint is not taken for a difference.
FINGERPRINT_FORMAT = 1

# What the text of a definition depends on, and what keeps the planner short: to compile such a
# query, or to think of other orders for its joins, would take longer than to run it.
_PINNED = {
    "search_path": "pg_catalog, pg_temp",
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmloption": "content",
    "lc_monetary": "C",
    "quote_all_identifiers": "off",
    "transaction_read_only": "on",
    "jit": "off",
    "enable_nestloop": "off",
    "enable_mergejoin": "off",
    "join_collapse_limit": "1",
    "from_collapse_limit": "1",
    "max_parallel_workers_per_gather": "0",
}


def _value(text: str) -> str:
    # A search path is a list of names; in quotes it would be one name.
    return ", ".join(f"'{part.strip()}'" for part in text.split(","))


# One schema among hundreds is found by indexes, in an order that the planner has to think of.
_NOT_OF_SCHEMA = ("enable_nestloop", "join_collapse_limit", "from_collapse_limit")
_SAVEPOINT = "db_ops_schema"
# Columns of tables and indexes, wherever they are and whosesoever, and names of constraints.
_BEYOND = f"""
    SELECT md5(concat_ws(E'\\n', current_user, current_schemas(false)::text, (
        SELECT string_agg(concat_ws(' ', relnamespace, relname, relkind, attname, atttypid,
            atttypmod, attnotnull, atthasdef), E'\\n' ORDER BY relnamespace, relname, attnum)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE attrelid >= {FIRST_NUMBER} AND attnum > 0 AND NOT attisdropped
            AND relpersistence <> 't'
    ), (
        SELECT string_agg(concat_ws(' ', connamespace, conname, contype), E'\\n'
            ORDER BY connamespace, conname, contype)
        FROM pg_constraint WHERE oid >= {FIRST_NUMBER}
    )))
"""
# The rows are of one moment, but what spells them out looks at the catalogs as they are by then.
_DROPPED_MEANWHILE = (InternalError_, UndefinedTable, UndefinedObject, UndefinedFunction)
_ATTEMPTS = 5


def read_schema(
    connection: Connection,
    *,
    grants: bool = False,
    version_table: str = "alembic_version",
    version_schema: str | None = None,
) -> Schema:
    """Read everything that decides the schema of *connection*'s database, as the server words it.

    Two queries, read-only, for any role, on a standby too. The server takes ACCESS SHARE on what it
    spells out, until the query ends: set `lock_timeout` where somebody may hold a table. Leaves out
    what `kinds.scope` says, and the version table (in any schema, if *version_schema* is None).
    Comparable with a schema of the same major version only. What a transaction of the caller's has
    changed is seen; its settings stay as they were.
    """
    major = major_version(connection)
    there = _kinds_there(connection)
    query = catalog_query(major, grants=grants, silenced=True, there=there)
    parameters = _parameters(version_table, version_schema, None, partitions=True)
    rows = fetch_pinned(connection, query, parameters)
    known = {kind.name: (kind, kind.names(major)) for kind in kinds(grants=grants)}
    objects = {}
    silenced = []
    # Columns in their order.
    for name, parent, label, values, _ in sorted(rows, key=lambda row: row[-1]):
        if name == "silenced":
            silenced.append(label)
            continue
        found = _object(*known[name], parent, label, values)
        objects[found.kind, found.name] = found
    return Schema(major, grants, objects, tuple(sorted(silenced)))


def beyond_schema(connection: Connection) -> str:
    """Return the digest of what reflection may see in tables that `read_schema` leaves out."""
    with connection.cursor() as cursor:
        cursor.execute(_BEYOND)
        ((digest,),) = cursor.fetchall()
    return str(digest)


def fingerprint(
    connection: Connection,
    *,
    version_table: str = "alembic_version",
    version_schema: str | None = None,
    schema: str | None = None,
) -> str:
    """Return `FORMAT:MAJOR:HASH` of what `read_schema` reads, computed by the server.

    Without grants, and without partitions: jobs create and drop those. That of one *schema* has
    nothing of the database as a whole, and a format of its own. Two fingerprints say something
    about their schemas only if format and major version are the same. Equal for databases built by
    the same statements, in any order, and for a copy.
    """
    major, of_schema = major_version(connection), schema is not None
    query = fingerprint_query(major, of_schema=of_schema, there=_kinds_there(connection))
    parameters = fingerprint_parameters(version_table, version_schema, schema)
    ((digest,),) = fetch_pinned(connection, query, parameters, of_schema=of_schema)
    return str(digest)


@cache
def pinned(*, of_schema: bool = False) -> str:
    """Return the statements that pin the settings for the rows of all schemas, or of one."""
    return "; ".join(
        f"SET LOCAL {name} = {_value(text)}"
        for name, text in _PINNED.items()
        if not of_schema or name not in _NOT_OF_SCHEMA
    )


def _kinds_there(connection: Connection) -> frozenset[str]:
    """Return the kinds of which there are objects in the database, of those that it may lack.

    To plan a query that reads all kinds takes most of its time.
    """
    return frozenset(name for (name,) in fetch_pinned(connection, EVIDENCE_QUERY, {}))


def fingerprint_format(*, of_schema: bool) -> str:
    """Return what a fingerprint begins with: another one for that of a single schema."""
    return f"{FINGERPRINT_FORMAT}{'s' if of_schema else ''}"


def fingerprint_query(major: int, *, of_schema: bool, there: frozenset[str] | None = None) -> str:
    """Return the query that `fingerprint` sends, for one that reads more besides.

    It runs after `pinned`, in the same transaction, with `fingerprint_parameters`. The kinds that
    are not *there* have no rows, so that it says the same without them; None asks for all.
    """
    rows = catalog_query(major, grants=False, silenced=False, there=there, of_schema=of_schema)
    return f"""
        SELECT '{fingerprint_format(of_schema=of_schema)}:{major}:' || encode(sha256(convert_to(
            coalesce(string_agg(line, E'\\n' ORDER BY line COLLATE "C"), ''),
            getdatabaseencoding())), 'hex')
        FROM (
            SELECT {normalize_sql("line")} AS line
            FROM (SELECT everything::text AS line FROM ({rows}) AS everything OFFSET 0) AS raw
        ) AS lines
    """


def fingerprint_parameters(
    version_table: str, version_schema: str | None, schema: str | None
) -> dict[str, object]:
    """Return the parameters of `fingerprint_query`."""
    return _parameters(version_table, version_schema, schema, partitions=False)


def fetch_pinned(
    connection: Connection,
    query: str,
    parameters: Mapping[str, object],
    *,
    of_schema: bool = False,
) -> list[tuple[Any, ...]]:
    """Run *query* under the pinned settings, which end with it.

    One round trip in autocommit mode, where statements sent together are one transaction; in a
    transaction of the caller's, another one takes the settings back. Run again if somebody dropped
    a table in the middle of it.
    """
    alone = connection.autocommit and connection.info.transaction_status == _IDLE
    savepoint = "" if alone else f"SAVEPOINT {_SAVEPOINT}; "
    for attempt in range(1, _ATTEMPTS + 1):
        with connection.cursor() as cursor:
            try:
                cursor.execute(f"{savepoint}{pinned(of_schema=of_schema)}; {query}", parameters)
                return cursor.fetchall()
            except _DROPPED_MEANWHILE:
                if attempt == _ATTEMPTS:
                    raise
            finally:
                if not alone and connection.info.transaction_status != _UNKNOWN:
                    cursor.execute(f"ROLLBACK TO {_SAVEPOINT}; RELEASE {_SAVEPOINT}")
    raise AssertionError("the last attempt returns or raises")


def _parameters(
    version_table: str, version_schema: str | None, schema: str | None, *, partitions: bool
) -> dict[str, object]:
    return {
        "version_table": version_table,
        "version_schema": version_schema,
        "schema": schema,
        "partitions": partitions,
    }


def _object(
    kind: Kind,
    attributes: Iterable[str],
    parent: str | None,
    label: str,
    values: Iterable[str | None],
) -> SchemaObject:
    return SchemaObject(
        kind.name,
        f"{parent}.{label}" if kind.nested else label,
        label,
        parent,
        {
            name: normalize(value)
            for name, value in zip(attributes, values, strict=True)
            if value is not None
        },
    )
