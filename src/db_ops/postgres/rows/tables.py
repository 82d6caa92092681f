"""What the catalogs say of tables that rows are made for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from db_ops.postgres.schema.identifiers import display_name
from db_ops.postgres.schema.repair import literal
from db_ops.settings import RECORDS_SCHEMA

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_TABLES = f"""
    SELECT c.oid, n.nspname, c.relname, format('%%I.%%I', n.nspname, c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', '{RECORDS_SCHEMA}')
    AND c.relname <> %(version_table)s
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
        AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY 4
"""
# One is without a page until it gets its first row.
_WITH_PAGES = f"""
    SELECT name FROM ({_TABLES}) AS t(oid, schema, label, name)
    WHERE pg_relation_size(oid) > 0
    OR EXISTS (SELECT FROM pg_partition_tree(oid) WHERE pg_relation_size(relid) > 0)
"""
# A domain's own type, length and rules; of an array its element.
_COLUMNS = """
    WITH RECURSIVE based AS (
        SELECT a.attrelid, a.attnum, a.atttypid AS type, a.atttypmod AS modifier,
            ARRAY[]::text[] COLLATE "C" AS rules, false AS filled
        FROM pg_attribute a
        WHERE a.attrelid = ANY(%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT attrelid, attnum, t.typbasetype,
            CASE WHEN t.typtypmod >= 0 THEN t.typtypmod ELSE modifier END,
            rules || ARRAY(SELECT pg_get_expr(conbin, 0) FROM pg_constraint
                WHERE contypid = t.oid AND contype = 'c'), filled OR t.typnotnull
        FROM based JOIN pg_type t ON t.oid = based.type AND t.typtype = 'd'
    )
    SELECT a.attrelid, a.attnum, a.attname, a.attnotnull OR b.filled,
        a.attgenerated <> '' , a.attidentity <> ''
            OR coalesce(pg_get_expr(d.adbin, d.adrelid), '') LIKE 'nextval(%%',
        format_type(b.type, b.modifier), t.typname, t.typtype, t.typcategory,
        e.typname,
        CASE WHEN b.modifier >= 0
            THEN information_schema._pg_char_max_length(b.type, b.modifier) END,
        CASE WHEN b.type = 'numeric'::regtype AND b.modifier >= 0 THEN ARRAY[
            information_schema._pg_numeric_precision(b.type, b.modifier),
            information_schema._pg_numeric_scale(b.type, b.modifier)] END,
        ARRAY(SELECT enumlabel FROM pg_enum
            WHERE enumtypid IN (t.oid, e.oid) ORDER BY enumsortorder),
        b.rules, format_type(a.atttypid, a.atttypmod)
    FROM based b
    JOIN pg_attribute a USING (attrelid, attnum)
    JOIN pg_type t ON t.oid = b.type AND t.typtype <> 'd'
    LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    ORDER BY 1, 2
"""
_CONSTRAINTS = """
    SELECT conrelid, contype, conname, conkey, pg_get_expr(conbin, conrelid), confrelid, confkey,
        condeferrable
    FROM pg_constraint WHERE conrelid = ANY(%(tables)s) AND contype IN ('c', 'f', 'p', 'u', 'x')
    ORDER BY 1, conname
"""


@dataclass(frozen=True)
class Column:
    """A column: `type` is written out, a domain's base type; `base` is its bare name.

    `numbered` columns draw from a sequence, `computed` ones are generated. `length`, `digits`
    (precision and scale), `labels` and `rules` (of a domain, about VALUE) limit what it takes.
    `declared` is its type as declared.
    """

    number: int
    name: str
    required: bool
    computed: bool
    numbered: bool
    type: str
    base: str
    kind: str
    category: str
    element: str | None
    length: int | None
    digits: Sequence[int] | None
    labels: Sequence[str]
    rules: Sequence[str]
    declared: str


@dataclass(frozen=True)
class Reference:
    """A foreign key: columns by number, the table that it refers to, and columns there."""

    columns: tuple[int, ...]
    table: int
    referred: tuple[int, ...]


@dataclass(frozen=True)
class Table:
    """A table; `checks` are names, expressions and the numbers of the columns that they read.

    ON CONFLICT is not for one that `defers` a key.
    """

    oid: int
    schema: str
    label: str
    name: str
    columns: tuple[Column, ...]
    checks: tuple[tuple[str, str, tuple[int, ...]], ...]
    references: tuple[Reference, ...]
    keys: tuple[tuple[int, ...], ...]
    defers: bool

    @property
    def display(self) -> str:
        """The name as messages have it."""
        return self.name.removeprefix("public.")

    def column(self, number: int) -> Column:
        return next(one for one in self.columns if one.number == number)


def read_tables(connection: Connection, version_table: str) -> tuple[Table, ...]:
    """Return the tables that migrations have made, without partitions."""
    with connection.cursor() as cursor:
        cursor.execute(_TABLES, {"version_table": version_table})
        tables = cursor.fetchall()
        oids = {"tables": [oid for oid, *_ in tables]}
        cursor.execute(_COLUMNS, oids)
        columns: dict[int, list[Column]] = {}
        for oid, *rest in cursor.fetchall():
            columns.setdefault(oid, []).append(Column(*rest))
        cursor.execute(_CONSTRAINTS, oids)
        constraints: dict[int, list[tuple[Any, ...]]] = {}
        for oid, *found in cursor.fetchall():
            constraints.setdefault(oid, []).append(tuple(found))
    return tuple(
        _table(oid, schema, label, name, columns.get(oid, []), constraints.get(oid, []))
        for oid, schema, label, name in tables
    )


def tables_with_rows(connection: Connection, version_table: str) -> tuple[str, ...]:
    """Return the names of the tables that have rows, or had some, as `read_tables` has them."""
    with connection.cursor() as cursor:
        cursor.execute(_WITH_PAGES, {"version_table": version_table})
        return tuple(name for (name,) in cursor.fetchall())


def without_labels(table: Table, removed: Mapping[str, Sequence[str]]) -> Table:
    """Return *table* without the *removed* labels of enums, literals by the type's full name."""
    if not removed:
        return table
    names = {name: gone for full, gone in removed.items() for name in (full, display_name(full))}

    def kept(column: Column) -> Column:
        gone = names.get(column.type.removesuffix("[]"), ())
        return replace(column, labels=[one for one in column.labels if literal(one) not in gone])

    return replace(table, columns=tuple(map(kept, table.columns)))


def _table(
    oid: int,
    schema: str,
    label: str,
    name: str,
    columns: list[Column],
    constraints: list[tuple[Any, ...]],
) -> Table:
    checks, references, keys, defers = [], [], [], False
    for kind, constraint, numbers, expression, table, referred, deferrable in constraints:
        if kind == "c":
            checks.append((constraint, expression, tuple(numbers or ())))
        elif kind == "f":
            references.append(Reference(tuple(numbers), table, tuple(referred)))
        else:
            keys.append(tuple(numbers))
            defers |= deferrable
    return Table(
        oid,
        schema,
        label,
        name,
        tuple(columns),
        tuple(checks),
        tuple(references),
        tuple(keys),
        defers,
    )
