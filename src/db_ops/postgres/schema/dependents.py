"""What depends on columns, as `pg_depend` has it, in the names of the kinds.

A default counts as its column, a query as its view, an index as its constraint, a row type as its
relation. Sequences that belong to a column are left out: they go with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter

from psycopg2.extensions import connection as Connection

from db_ops.postgres.catalog import major_version
from db_ops.postgres.schema.kinds import kinds
from db_ops.postgres.schema.kinds.scope import SCOPE
from db_ops.postgres.schema.reading import fetch_pinned

Key = tuple[str, str]
# What the server makes again itself where a column of theirs changes its type.
_REBUILT = ("constraint", "index", "statistics")
_SEQUENCES = """
    SELECT concat_ws('.', quote_ident(ns.nspname), quote_ident(t.relname), quote_ident(a.attname)),
        concat_ws('.', quote_ident(n.nspname), quote_ident(s.relname))
    FROM pg_class s JOIN pg_namespace n ON n.oid = s.relnamespace
    JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid
        AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
    JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace ns ON ns.oid = t.relnamespace
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
    WHERE s.relkind = 'S'
"""


@dataclass(frozen=True)
class Dependents:
    """What depends on `columns`, directly or not; `needs` says for each on what of this it does."""

    columns: Set[Key]
    needs: Mapping[Key, Set[Key]]

    def in_the_way(self) -> tuple[Key, ...]:
        """Return what keeps the server from changing a type, and what that takes with it."""
        found: set[Key] = set()
        for key in self.in_order():
            direct = self.needs[key] & self.columns and key[0] not in _REBUILT
            if direct or self.needs[key] & found:
                found.add(key)
        return self.in_order(found)

    def in_order(self, among: Collection[Key] | None = None) -> tuple[Key, ...]:
        """Return all of them, or those *among* others, each after what it depends on."""
        graph = {key: sorted(self.needs[key] - self.columns - {key}) for key in sorted(self.needs)}
        try:
            order: Iterable[Key] = tuple(TopologicalSorter(graph).static_order())
        except CycleError:
            order = graph
        return tuple(key for key in order if key in graph and (among is None or key in among))


def read_dependents(
    connection: Connection,
    columns: Iterable[str],
    *,
    version_table: str = "alembic_version",
    version_schema: str | None = None,
) -> Dependents:
    """Read what depends on *columns*, whose names are those of a `Schema`."""
    wanted = sorted(columns)
    rows = fetch_pinned(
        connection,
        _query(major_version(connection)),
        {
            "version_table": version_table,
            "version_schema": version_schema,
            "schema": None,
            "partitions": True,
            "columns": wanted,
        },
    )
    seeds = {("column", name) for name in wanted}
    needs: dict[Key, set[Key]] = {}
    for kind, name, needed_kind, needed_name in rows:
        if (kind, name) not in seeds:
            needs.setdefault((kind, name), set()).add((needed_kind, needed_name))
    return Dependents(seeds, needs)


def read_sequences(connection: Connection) -> dict[str, str]:
    """Return the name of the sequence of each column that has one, identity or serial."""
    with connection.cursor() as cursor:
        cursor.execute(_SEQUENCES)
        return dict(cursor.fetchall())


@cache
def _query(major: int) -> str:
    found = " UNION ALL ".join(
        f"SELECT '{kind.name}'::text, {_name(kind.parent, kind.identity, kind.nested)},"
        f" '{kind.catalog}'::regclass::oid, {kind.number}, ({kind.column_number})::int"
        f" FROM {kind.source} WHERE ({kind.where})"
        for kind in kinds(grants=False)
    )
    return f"""
        WITH RECURSIVE {SCOPE},
        found (kind, name, catalog, number, part) AS MATERIALIZED ({found}),
        link AS MATERIALIZED (
            SELECT {_canonical("classid", "objid", "objsubid", "w", "a", "c", "t")},
                {_canonical("refclassid", "refobjid", "refobjsubid", "v", "b", "k", "u", "needed_")}
            FROM pg_depend d
            {_joins("classid", "objid", "w", "a", "c", "t")}
            {_joins("refclassid", "refobjid", "v", "b", "k", "u")}
            WHERE d.deptype <> 'e' AND d.objid >= 16384
            AND NOT EXISTS (SELECT FROM pg_class s
                WHERE d.classid = 'pg_class'::regclass AND s.oid = d.objid AND s.relkind = 'S')
        ),
        seed AS (
            SELECT number, part, name FROM found
            WHERE kind = 'column' AND name = ANY (%(columns)s)
            UNION
            SELECT own.attrelid, own.attnum::int, seed.name FROM seed
            JOIN pg_inherits i ON i.inhparent = seed.number
            JOIN pg_attribute of ON of.attrelid = seed.number AND of.attnum = seed.part
            JOIN pg_attribute own ON own.attrelid = i.inhrelid AND own.attname = of.attname
        ),
        reached (catalog, number, part) AS (
            SELECT 'pg_class'::regclass::oid, number, part FROM seed
            UNION
            SELECT l.catalog, l.number, l.part FROM reached r
            JOIN link l ON l.needed_catalog = r.catalog AND l.needed_number = r.number
                AND (r.part = 0 OR l.needed_part = r.part)
            WHERE (l.catalog, l.number) <> (l.needed_catalog, l.needed_number) OR l.part > 0
        )
        SELECT DISTINCT one.kind, one.name, coalesce(needed.kind, 'column'),
            coalesce(needed.name, seed.name)
        FROM reached r
        JOIN found one USING (catalog, number, part)
        JOIN link l USING (catalog, number, part)
        JOIN reached n ON n.catalog = l.needed_catalog AND n.number = l.needed_number
            AND (n.part = 0 OR l.needed_part = n.part)
        LEFT JOIN found needed
            ON needed.catalog = n.catalog AND needed.number = n.number AND needed.part = n.part
        LEFT JOIN seed ON n.catalog = 'pg_class'::regclass AND (n.number, n.part)
            = (seed.number, seed.part)
        WHERE coalesce(needed.name, seed.name) IS NOT NULL
        ORDER BY 1, 2, 3, 4
    """


def _name(parent: str, identity: str, nested: bool) -> str:
    return f"{parent} || '.' || {identity}" if nested else identity


def _joins(catalog: str, number: str, rule: str, default: str, key: str, row: str) -> str:
    return f"""
        LEFT JOIN pg_rewrite {rule} ON d.{catalog} = 'pg_rewrite'::regclass
            AND {rule}.oid = d.{number} AND {rule}.rulename = '_RETURN'
        LEFT JOIN pg_attrdef {default} ON d.{catalog} = 'pg_attrdef'::regclass
            AND {default}.oid = d.{number}
        LEFT JOIN pg_constraint {key} ON d.{catalog} = 'pg_class'::regclass
            AND {key}.conindid = d.{number} AND {key}.contype IN ('p', 'u', 'x')
        LEFT JOIN pg_type {row} ON d.{catalog} = 'pg_type'::regclass
            AND {row}.oid = d.{number} AND {row}.typrelid <> 0
    """


def _canonical(
    catalog: str,
    number: str,
    part: str,
    rule: str,
    default: str,
    key: str,
    row: str,
    prefix: str = "",
) -> str:
    relation = f"{rule}.ev_class, {default}.adrelid, {row}.typrelid"
    return f"""
        CASE WHEN {key}.oid IS NOT NULL THEN 'pg_constraint'::regclass::oid
            WHEN coalesce({relation}) IS NOT NULL THEN 'pg_class'::regclass::oid
            ELSE d.{catalog} END AS {prefix}catalog,
        coalesce({key}.oid, {relation}, d.{number}) AS {prefix}number,
        CASE WHEN coalesce({key}.oid, {rule}.ev_class, {row}.typrelid) IS NOT NULL THEN 0
            ELSE coalesce({default}.adnum, d.{part}) END AS {prefix}part
    """
