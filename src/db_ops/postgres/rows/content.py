"""What the rows of a database hold, and what a revision has made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg2

from db_ops.errors.quote_ident import in_quotes
from db_ops.postgres.rows.tables import Column, Table

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

# What migrations themselves have written may be much.
_MOST = 1000
_JSON = ("json", "jsonb")
_SETTINGS = (
    "SET timezone = 'UTC'; SET datestyle = 'ISO, MDY'; SET intervalstyle = 'postgres';"
    " SET extra_float_digits = 1; SET bytea_output = 'hex'"
)
Values = tuple[str | None, ...]


@dataclass(frozen=True)
class Loss:
    """A `table` or one `column` of it that does not hold any more what it held, and `what`.

    `now` is what the table is called now, if it is there.
    """

    table: str
    column: str | None
    what: str
    now: str | None = None


@dataclass(frozen=True)
class Content:
    """The rows of each table by its oid: how many, and each column's values in their order."""

    tables: Mapping[int, Table]
    counts: Mapping[int, int]
    values: Mapping[tuple[int, int], Values]

    def lost(self, connection: Connection, now: Content) -> Iterator[Loss]:
        """Yield what of this is not in the same database *now*, under whatever name.

        What is not computed has to be as it was; under another type, it has to lead back to it.
        """
        for oid, table in self.tables.items():
            if not self.counts[oid]:
                continue
            other = now.tables.get(oid) or now.made_anew(table, self.tables)
            if other is None:
                yield Loss(table.display, None, f"table {table.display} is gone, with its rows")
                continue
            count = now.counts[other.oid]
            if count != self.counts[oid]:
                what = f"{table.display} has {count} of its {self.counts[oid]} rows"
                yield Loss(table.display, None, what)
                continue
            for column in table.columns:
                loss = self._column(connection, now, table, column, other)
                if loss is not None:
                    yield loss

    def made_anew(self, table: Table, before: Container[int]) -> Table | None:
        """Return the table of the same name as *table*, unless it was there *before*."""
        named = (one for one in self.tables.values() if one.name == table.name)
        return next((one for one in named if one.oid not in before), None)

    def _column(
        self, connection: Connection, now: Content, table: Table, column: Column, other: Table
    ) -> Loss | None:
        name = f"{table.display}.{column.name}"
        same = [one for one in other.columns if one.number == column.number] * (
            other.oid == table.oid
        ) or [one for one in other.columns if one.name == column.name]
        before = self.values.get((table.oid, column.number))
        if before is None:
            return None
        if not same:
            gone = not column.computed and any(one is not None for one in before)
            return (
                Loss(table.display, column.name, f"{name} is gone, with its values", other.display)
                if gone
                else None
            )
        after = now.values.get((other.oid, same[0].number))
        if after is None or same[0].computed:
            return None
        if same[0].declared == column.declared and (
            after == before or column.base not in ("numeric", *_JSON)
        ):
            read = after
        else:
            read = _read_as(connection, column, after, same[0].declared)
            before = _read_as(connection, column, before)
        # An UPDATE moves rows, so they have no order to be compared in.
        missing, added = Counter(before) - Counter(read), Counter(read) - Counter(before)
        if not missing:
            return None
        old, new = next(iter(missing)), next(iter(added))
        what = f"{name}: {_brief(old)} became {_brief(new)}"
        return Loss(table.display, column.name, what, other.display)


def read_content(connection: Connection, tables: Sequence[Table]) -> Content:
    """Read the rows of *tables*."""
    counts: dict[int, int] = {}
    values: dict[tuple[int, int], Values] = {}
    with connection.cursor() as cursor:
        cursor.execute(_SETTINGS)
        found: dict[int, list[list[str | None]]] = {table.oid: [] for table in tables}
        if tables:
            cursor.execute(" UNION ALL ".join(map(_rows_of, tables)))
            for oid, row in cursor.fetchall():
                found[oid].append(row)
        for table in tables:
            rows = found[table.oid]
            counts[table.oid] = len(rows)
            if len(rows) > _MOST:
                cursor.execute(f"SELECT count(*) FROM {table.name}")
                ((counts[table.oid],),) = cursor.fetchall()
                continue
            for number, column in enumerate(table.columns):
                values[table.oid, column.number] = tuple(row[number] for row in rows)
    return Content({table.oid: table for table in tables}, counts, values)


def _rows_of(table: Table) -> str:
    """Return the query for the rows of *table*, each with its oid."""
    columns = ", ".join(f"{in_quotes(one.name)}::text" for one in table.columns)
    return (
        f"(SELECT {table.oid}, ARRAY[{columns}]::text[] FROM {table.name}"
        f" ORDER BY tableoid, ctid LIMIT {_MOST + 1})"
    )


def _read_as(
    connection: Connection, column: Column, texts: Values, written_by: str | None = None
) -> Values:
    """Return *texts* as the type of *column* writes them; as they are where it cannot read them.

    They may be *written_by* another type, with a currency sign for instance.
    """
    kind = "jsonb" if column.base in _JSON else column.declared
    ways = (f"one::{written_by}::{kind}", f"one::{written_by}::numeric::{kind}") * bool(written_by)
    for way in (*ways, f"one::{kind}"):
        # Zeros behind the point are no part of a number.
        read = f"trim_scale({way})" if column.base == "numeric" else f"({way})"
        statement = (
            f"SELECT {read}::text FROM unnest(%s::text[]) WITH ORDINALITY AS r(one, number)"
            " ORDER BY number"
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, (list(texts),))
                return tuple(one for (one,) in cursor.fetchall())
        except psycopg2.Error:
            continue
    return texts


def _brief(text: str | None) -> str:
    if text is None:
        return "NULL"
    return repr(text if len(text) <= 30 else text[:27] + "...")
