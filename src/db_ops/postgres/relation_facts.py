"""What the catalogs say of the tables that a program reads and writes, to compare two schemas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from db_ops.settings import RECORDS_SCHEMA

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_RELATIONS = f"""
    SELECT c.oid, n.nspname, c.relname, pg_table_is_visible(c.oid), c.relkind
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', '{RECORDS_SCHEMA}')
    ORDER BY 1
"""
_COLUMNS = """
    SELECT a.attrelid, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull,
        CASE WHEN a.attidentity <> '' THEN 'identity' WHEN a.attgenerated <> '' THEN 'generated'
            ELSE pg_get_expr(d.adbin, d.adrelid) END,
        ARRAY(SELECT enumlabel::text FROM pg_enum
            WHERE enumtypid IN (t.oid, t.typelem, t.typbasetype) ORDER BY enumsortorder)
    FROM pg_attribute a
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = ANY(%s) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY 1, 3
"""
# A unique index without a constraint forbids the same.
_CONSTRAINTS = """
    SELECT conrelid, contype::text, conname::text, conkey::int[], pg_get_constraintdef(oid)
    FROM pg_constraint WHERE conrelid = ANY(%(oids)s) AND contype IN ('c', 'f', 'p', 'u', 'x')
    UNION ALL
    SELECT i.indrelid, 'u', c.relname::text,
        CASE WHEN i.indpred IS NULL AND i.indexprs IS NULL
            THEN (i.indkey::int[])[0:i.indnkeyatts - 1] END, pg_get_indexdef(i.indexrelid)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = ANY(%(oids)s) AND i.indisunique
    AND NOT EXISTS (SELECT FROM pg_constraint o WHERE o.conindid = i.indexrelid)
    ORDER BY 1, 3
"""


@dataclass(frozen=True)
class ColumnFacts:
    """A column; `default` is also `identity` or `generated`, `labels` are those of its enum."""

    number: int
    type: str
    required: bool
    default: str | None
    labels: tuple[str, ...]


@dataclass(frozen=True)
class ConstraintFacts:
    """A constraint; `columns` are numbers, empty for an index with a condition or expressions."""

    kind: str
    name: str
    columns: tuple[int, ...]
    definition: str


@dataclass(frozen=True)
class RelationFacts:
    """A table or view. Its `oid` stays when it is renamed, and so do the numbers of columns."""

    oid: int
    schema: str
    name: str
    visible: bool
    kind: str
    columns: Mapping[str, ColumnFacts]
    constraints: tuple[ConstraintFacts, ...]

    @property
    def display(self) -> str:
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"

    def column_at(self, number: int) -> str | None:
        return next((name for name, one in self.columns.items() if one.number == number), None)

    def names(self, constraint: ConstraintFacts) -> tuple[str, ...]:
        """Return the names of the columns of *constraint*."""
        return tuple(self.column_at(number) or "?" for number in constraint.columns)


Relations = tuple[RelationFacts, ...]


def read_relations(connection: Connection) -> Relations:
    """Return every table and view of the database, but those of servers and of our records."""
    with connection.cursor() as cursor:
        cursor.execute(_RELATIONS)
        relations = cursor.fetchall()
        oids = [oid for oid, *_ in relations]
        cursor.execute(_COLUMNS, (oids,))
        columns: dict[int, dict[str, ColumnFacts]] = {}
        for oid, name, number, kind, required, default, labels in cursor.fetchall():
            one = ColumnFacts(number, kind, required, default, tuple(labels))
            columns.setdefault(oid, {})[name] = one
        cursor.execute(_CONSTRAINTS, {"oids": oids})
        constraints: dict[int, list[ConstraintFacts]] = {}
        for oid, kind, name, numbers, definition in cursor.fetchall():
            found = ConstraintFacts(kind, name, tuple(numbers or ()), definition)
            constraints.setdefault(oid, []).append(found)
    return tuple(
        RelationFacts(
            oid, schema, name, visible, kind, columns.get(oid, {}), tuple(constraints.get(oid, ()))
        )
        for oid, schema, name, visible, kind in relations
    )


def find_relation(relations: Relations, schema: str | None, name: str) -> RelationFacts | None:
    """Return the relation that a program means, by the search path where it names no schema."""
    for one in relations:
        if one.name == name and (one.visible if schema is None else one.schema == schema):
            return one
    return None
