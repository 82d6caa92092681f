"""A snapshot of the catalogs and counters of the observed tables.

Only catalogs and counters are read, without functions that would lock a table. Sources: PostgreSQL
documentation, "pg_locks", "The Cumulative Statistics System".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as PlainCursor

from db_ops.postgres.catalog import QUALIFIED_NAME

# Weakest first.
MODES = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
BLOCKS_WRITES = MODES[4:]
_BY_SERVER_NAME = {mode.title().replace(" ", "") + "Lock": mode for mode in MODES}

_OBSERVED = """
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm', 'f', 'v')
      AND n.nspname NOT IN ('information_schema', 'db_ops') AND n.nspname !~ '^pg_'
      AND c.relname <> %s
"""
_SNAPSHOT = f"""
    SELECT
    (SELECT json_agg(json_build_array(c.oid::bigint, {QUALIFIED_NAME}, c.relkind,
            c.relfilenode::bigint, c.relispartition,
            pg_stat_get_xact_numscans(c.oid)))
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = ANY(%(oids)s::oid[])),
    (SELECT json_agg(json_build_array(i.indexrelid::bigint, i.indrelid::bigint,
            {QUALIFIED_NAME}, c.relfilenode::bigint,
            c.relkind = 'I', pg_stat_get_xact_numscans(c.oid)))
     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE i.indrelid = ANY(%(oids)s::oid[])),
    (SELECT json_agg(json_build_array(a.attrelid::bigint, a.attnum, quote_ident(a.attname),
            a.attisdropped,
            a.attnotnull, a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL,
            concat(a.atttypid, ':', a.atttypmod), CASE WHEN a.attgenerated <> '' THEN 'generated'
                WHEN a.attidentity <> '' THEN 'identity' ELSE '' END))
     FROM pg_attribute a LEFT JOIN pg_type t ON t.oid = a.atttypid
     WHERE a.attnum > 0 AND a.attrelid = ANY(%(oids)s::oid[])),
    (SELECT json_agg(json_build_array(o.oid::bigint, o.conrelid::bigint, quote_ident(o.conname),
            o.contype, o.convalidated, o.conindid::bigint))
     FROM pg_constraint o WHERE o.conrelid = ANY(%(oids)s::oid[])),
    (SELECT json_agg(json_build_array(l.relation::bigint, l.mode))
     FROM pg_locks l WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted
       AND l.relation = ANY(%(oids)s::oid[])),
    pg_current_xact_id_if_assigned()::text
"""
# Counters of a transaction start at zero only if those of the one before have been handed in.
_FLUSH = "SELECT pg_stat_force_next_flush()"
_HAS_FLUSH = 150000


class Relation(NamedTuple):
    name: str
    kind: str
    file: int
    is_partition: bool
    scans: int


class Index(NamedTuple):
    table: int
    name: str
    file: int
    is_partitioned: bool
    scans: int


class Column(NamedTuple):
    name: str
    dropped: bool
    not_null: bool
    has_default: bool
    type: str
    source: str


class Constraint(NamedTuple):
    table: int
    name: str
    kind: str
    valid: bool
    by_index: int


@dataclass(frozen=True)
class CatalogSnapshot:
    """The observed tables at one moment, by their numbers, and the locks that the session holds.

    `xid` is the transaction's, if it has written.
    """

    relations: Mapping[int, Relation]
    indexes: Mapping[int, Index]
    columns: Mapping[tuple[int, int], Column]
    constraints: Mapping[int, Constraint]
    locks: Mapping[int, str]
    xid: str | None = None

    def at_rest(self) -> CatalogSnapshot:
        """Return the same tables as they are between transactions: no locks, no counters."""
        return replace(
            self,
            relations={oid: one._replace(scans=0) for oid, one in self.relations.items()},
            indexes={oid: one._replace(scans=0) for oid, one in self.indexes.items()},
            locks={},
            xid=None,
        )


def observed_tables(connection: Connection, version_table: str) -> tuple[int, ...]:
    """Return the numbers of the tables and views that are there now, without bookkeeping ones."""
    with connection.cursor() as cursor:
        cursor.execute(_OBSERVED, (version_table,))
        return tuple(int(row[0]) for row in cursor.fetchall())


def take_catalog_snapshot(connection: Connection, tables: tuple[int, ...]) -> CatalogSnapshot:
    """Look at *tables* in whatever transaction *connection* is in."""
    with connection.cursor(cursor_factory=PlainCursor) as cursor:
        if connection.info.server_version >= _HAS_FLUSH:
            cursor.execute(f"{_FLUSH};{_SNAPSHOT}", {"oids": list(tables)})
        else:
            cursor.execute(_SNAPSHOT, {"oids": list(tables)})
        row: Any = cursor.fetchone()
    relations, indexes, columns, constraints, locks, xid = row
    return CatalogSnapshot(
        {oid: Relation(*rest) for oid, *rest in relations or ()},
        {oid: Index(*rest) for oid, *rest in indexes or ()},
        {(table, number): Column(*rest) for table, number, *rest in columns or ()},
        {oid: Constraint(*rest) for oid, *rest in constraints or ()},
        strongest_by_table(locks or ()),
        xid,
    )


def strongest_by_table(locks: Iterable[tuple[int, str]]) -> dict[int, str]:
    """Return the strongest mode for each table, spelt as LOCK TABLE does."""
    found: dict[int, str] = {}
    for table, server_name in locks:
        mode = _BY_SERVER_NAME.get(server_name, MODES[0])
        found[table] = stronger(found.get(table), mode) or mode
    return found


def stronger(one: str | None, other: str | None) -> str | None:
    """Return the stronger of two lock modes, None for none."""
    return max(one, other, key=lambda mode: -1 if mode is None else MODES.index(mode))
