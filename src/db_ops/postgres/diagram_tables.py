"""Read the tables, columns and foreign keys that a diagram shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg2.extensions import connection as Connection

from db_ops.postgres.catalog import not_of_an_extension

_TABLES = f"""
    SELECT o.oid, CASE n.nspname WHEN 'public' THEN o.relname
                  ELSE n.nspname || '.' || o.relname END
    FROM pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace
    WHERE o.relkind IN ('r', 'p', 'f') AND NOT o.relispartition AND o.relname <> %s
      AND {not_of_an_extension("pg_class")}
    ORDER BY n.nspname <> 'public', n.nspname, o.relname
"""
_COLUMNS = """
    SELECT attrelid, attnum, attname, format_type(atttypid, atttypmod), attnotnull
    FROM pg_attribute WHERE attrelid = ANY(%s) AND attnum > 0 AND NOT attisdropped
    ORDER BY attrelid, attnum
"""
# Of an index, a key that is an expression has the number 0; those behind indnkeyatts are no keys.
_KEYS = """
    SELECT indrelid, indisprimary, (indkey::int2[])[0 : indnkeyatts - 1]
    FROM pg_index WHERE indrelid = ANY(%s) AND indisunique AND indpred IS NULL
"""
_REFERENCES = """
    SELECT conrelid, confrelid, conkey FROM pg_constraint
    WHERE contype = 'f' AND conrelid = ANY(%s) AND conparentid = 0
    ORDER BY conrelid, conkey, confrelid
"""
_SHORT = {
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "time with time zone": "timetz",
    "time without time zone": "time",
    "character varying": "varchar",
    "character": "char",
    "double precision": "float8",
}
_Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class DiagramColumn:
    """A column as a row of its table; `unique` is by itself."""

    name: str
    type: str
    required: bool
    primary: bool = False
    unique: bool = False


@dataclass(frozen=True)
class DiagramReference:
    """A foreign key: of `columns`, to the table `target`.

    `required` says that each row has one, `unique` that no two rows have the same.
    """

    columns: tuple[str, ...]
    target: str
    required: bool
    unique: bool


@dataclass(frozen=True)
class DiagramTable:
    """A table; its name is qualified where it is not in `public`."""

    name: str
    columns: tuple[DiagramColumn, ...]
    references: tuple[DiagramReference, ...]

    def keys(self, column: DiagramColumn) -> str:
        """Return the marks of *column*: PK, FK, UK, as ER diagrams have them."""
        foreign = any(column.name in reference.columns for reference in self.references)
        marks = {"PK": column.primary, "FK": foreign, "UK": column.unique and not column.primary}
        return ", ".join(mark for mark, given in marks.items() if given)


def read_diagram_tables(connection: Connection, version_table: str) -> tuple[DiagramTable, ...]:
    """Read the tables, sorted by name, without the version table, partitions and extensions."""
    names: dict[int, str] = dict(_rows(connection, _TABLES, version_table))
    oids = list(names)
    keys = defaultdict(list)
    for oid, primary, numbers in _rows(connection, _KEYS, oids):
        keys[oid].append((primary, tuple(numbers)))
    columns = defaultdict(list)
    for oid, *column in _rows(connection, _COLUMNS, oids):
        columns[oid].append(tuple(column))
    references = defaultdict(list)
    for oid, target, numbers in _rows(connection, _REFERENCES, oids):
        if target in names:
            references[oid].append((target, tuple(numbers)))
    return tuple(
        _table(name, columns[oid], keys[oid], references[oid], names) for oid, name in names.items()
    )


def _table(
    name: str,
    columns: _Rows,
    keys: _Rows,
    references: _Rows,
    names: Mapping[int, str],
) -> DiagramTable:
    primary = {number for is_primary, numbers in keys if is_primary for number in numbers}
    unique = {numbers for _, numbers in keys}
    called = {number: (column, required) for number, column, _, required in columns}
    return DiagramTable(
        name,
        tuple(
            DiagramColumn(column, _short(kind), required, number in primary, (number,) in unique)
            for number, column, kind, required in columns
        ),
        tuple(
            DiagramReference(
                columns=tuple(called[number][0] for number in numbers),
                target=names[target],
                required=all(called[number][1] for number in numbers),
                unique=any(set(key) <= set(numbers) for key in unique),
            )
            for target, numbers in references
        ),
    )


def _rows(connection: Connection, query: str, argument: object) -> _Rows:
    with connection.cursor() as cursor:
        cursor.execute(query, (argument,))
        return cursor.fetchall()


def _short(kind: str) -> str:
    """Return a type's usual short name, with its length or precision."""
    for long, short in _SHORT.items():
        plain = kind.replace(long, short, 1) if kind.startswith(long) else None
        if plain is not None:
            return plain
    # timestamp(3) with time zone
    return kind.replace(" with time zone", " tz").replace(" without time zone", "")
