"""Rows for every table of a scratch database: what its constraints allow, at the edges first."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg2

from db_ops.errors.quote_ident import in_quotes
from db_ops.postgres.rows.checks import accepted_values, domain_check
from db_ops.postgres.rows.tables import Column, Reference, Table
from db_ops.postgres.rows.values import values_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

EDGES, PLAIN, NONE = "edges", "plain", "none"
_ROWS = 5
# Most CHECK constraints take one of a few rows; some, one of many.
_TRIES = (16, 240)
# As texts; None is NULL.
Row = tuple[str | None, ...]


@dataclass(frozen=True)
class Filling:
    """The tables that have rows now, and a text for each that could not be given any."""

    filled: tuple[Table, ...]
    empty: tuple[str, ...]


def fill_tables(
    connection: Connection, tables: Sequence[Table], modes: Mapping[str, str] | None = None
) -> Filling:
    """Give rows to each table, to what it refers to first.

    *modes* says by name which table gets PLAIN values or NONE; all others get those at the edges.
    No column has a plain value twice, as far as its CHECKs allow: a new unique key takes them all.
    """
    filled, empty = [], []
    with _transaction(connection) as cursor:
        for table in _in_order(tables):
            mode = (modes or {}).get(table.name, EDGES)
            if mode == NONE:
                continue
            rows = _Rows(cursor, table, tables, mode)
            count, error = rows.insert(_ROWS if mode == EDGES else rows.distinct())
            if count:
                filled.append(table)
            else:
                empty.append(f"{table.display}: {error or rows.refusal()}")
        for table in filled:
            if any(one.table == table.oid for one in table.references):
                # There is a row to refer to now.
                _Rows(cursor, table, tables, EDGES, first=_ROWS).insert(1)
    return Filling(tuple(filled), tuple(empty))


def insert_one_row(connection: Connection, tables: Sequence[Table]) -> Iterator[tuple[Table, str]]:
    """Try to add a row to each table; yield those whose server refuses it, and why.

    Not for its values: others might do. Nothing is kept.
    """
    with _transaction(connection, keep=False) as cursor:
        for table in _in_order(tables):
            count, error = _Rows(cursor, table, tables, EDGES, first=_ROWS + 1).insert(1)
            if not count and error:
                yield table, error


def add_rows(connection: Connection, tables: Sequence[Table]) -> None:
    """Add rows to which no other one refers to each table, as far as some are found."""
    with _transaction(connection) as cursor:
        _ = [_Rows(cursor, one, tables, PLAIN, _ROWS + 5).insert(1) for one in _in_order(tables)]


@contextmanager
def _transaction(connection: Connection, *, keep: bool = True) -> Iterator[Cursor]:
    """Run a `with` block in one transaction, which is rolled back unless *keep*."""
    connection.autocommit = False
    try:
        with connection.cursor() as cursor:
            yield cursor
        if keep:
            connection.commit()
    finally:
        connection.rollback()
        connection.autocommit = True


def _in_order(tables: Sequence[Table]) -> Iterator[Table]:
    """Yield *tables*, each after those that its rows need, as far as that is possible."""
    left = {table.oid: table for table in tables}
    while left:
        free = [table for table in left.values() if not _needs(table, left, every=True)]
        free = free or [table for table in left.values() if not _needs(table, left, every=False)]
        for table in free or [next(iter(left.values()))]:
            yield left.pop(table.oid)


def _needs(table: Table, left: Mapping[int, Table], *, every: bool) -> bool:
    return any(
        one.table in left and one.table != table.oid and (every or _is_required(table, one))
        for one in table.references
    )


def _is_required(table: Table, reference: Reference) -> bool:
    return all(table.column(number).required for number in reference.columns)


@dataclass(frozen=True)
class _Rows:
    """Makes rows of one table; `first` is how many there were made before."""

    cursor: Cursor
    table: Table
    tables: Sequence[Table]
    mode: str
    first: int = 0

    @property
    def columns(self) -> list[Column]:
        """The columns that are given a value, and those that a sequence numbers for the CHECKs."""
        return [one for one in self.table.columns if not one.computed]

    def insert(self, wanted: int) -> tuple[int, str]:
        """Insert at least *wanted* rows, if so many are found.

        Return how many, and what the server says of a statement, if it says more than that it does
        not like the values.
        """
        count, error, refused = 0, "", self.table.defers
        for tries in _TRIES if self._checks() else _TRIES[:1]:
            rows = list(self._candidates(tries))
            if rows and not self.table.defers:
                more, error = self._at_once(rows, wanted)
                count, refused = count + (more or 0), more is None
            if count >= wanted:
                break
        if count or not refused:
            return count, ""
        # One of them is enough to have them all refused.
        for row in rows[: 2 * _TRIES[0]]:
            one, said = self._at_once([row], 1)
            count += one or 0
            error = error or said
            if count >= wanted:
                break
        return count, error

    def distinct(self) -> int:
        """Return how many rows there can be, at most, of which no two share a value."""
        values = [values_of(one, edges=False) for one in self.columns if not one.numbered]
        referred = [rows for _, rows in self._referred() or ()]
        return min(_ROWS, *map(len, filter(None, (*values, *referred))))

    def refusal(self) -> str:
        """Return why no row was found."""
        named = ", ".join(name for name, _, _ in self.table.checks)
        if self._referred() is None:
            return "it refers to a table without rows"
        return f"no row was found that {named or 'its types and keys'} would take"

    def _checks(self) -> list[str]:
        computed = {one.number for one in self.table.columns if one.computed}
        found = [
            f"({text}) IS NOT FALSE"
            for _, text, numbers in self.table.checks
            if not computed & set(numbers)
        ]
        for column in self.columns:
            found += [domain_check(column, rule) for rule in column.rules]
        return found

    def _at_once(self, rows: Sequence[Row], wanted: int) -> tuple[int | None, str]:
        """Insert the first *wanted* of *rows* that the CHECKs take and no key forbids.

        Return how many, None if the statement was refused, and why, as `insert` does.
        """
        given = [one for one in self.columns if not one.numbered]
        names = ", ".join(in_quotes(one.name) for one in self.columns)
        casts = ", ".join(f"{in_quotes(one.name)}::{one.type}" for one in self.columns)
        into = ", ".join(in_quotes(one.name) for one in given)
        where = " AND ".join(self._checks()) or "true"
        if not given:
            statement = f"INSERT INTO {self.table.name} DEFAULT VALUES"
            count, error = self._sent("; ".join([statement] * wanted), None)
            return count and wanted, error
        conflict = "" if self.table.defers else " ON CONFLICT DO NOTHING"
        limit = wanted * 4 if self.mode == EDGES else wanted
        texts = ", ".join(
            f"({number}, {', '.join(['%s'] * len(row))})" for number, row in enumerate(rows)
        )
        head, tail = (
            part.replace("%", "%%")
            for part in (
                f"INSERT INTO {self.table.name} ({into})"
                f" SELECT {into} FROM (SELECT db_ops_row, {casts} FROM (VALUES ",
                f") AS texts(db_ops_row, {names})) AS made(db_ops_row, {names})"
                f" WHERE {where} ORDER BY db_ops_row LIMIT {limit}{conflict}",
            )
        )
        return self._sent(f"{head}{texts}{tail}", [text for row in rows for text in row])

    def _sent(self, statement: str, parameters: Sequence[object] | None) -> tuple[int | None, str]:
        # What is deferred is refused here, not at the end of all.
        settle = "SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED"
        try:
            self.cursor.execute(f"SAVEPOINT db_ops_rows; {statement}", parameters)
            count = self.cursor.rowcount
            self.cursor.execute(f"{settle}; RELEASE db_ops_rows")
        except psycopg2.Error as error:
            self.cursor.execute("ROLLBACK TO db_ops_rows")
            of_values = (error.pgcode or "")[:2] in ("22", "23")
            return None, "" if of_values else str(error.diag.message_primary or error).strip()
        return count, ""

    def _candidates(self, tries: int) -> Iterator[Row]:
        """Yield rows to try: every column at its first edge, at its second, ..., then mixed."""
        referred = self._referred()
        if referred is None:
            return
        texts = tuple(text for _, text, _ in self.table.checks)
        values: dict[int, Sequence[str]] = {}
        for one in self.columns:
            about = (*(text for text in texts if one.name in text), *one.rules)
            fitting = values_of(one, edges=self.mode == EDGES, checks=about)
            values[one.number] = accepted_values(self.cursor, self.table, one, fitting)
        bound = {number for _, _, numbers in self.table.checks for number in numbers}
        keyed = {number for key in self.table.keys for number in key}
        bound |= keyed
        # The same rows for the same catalogs.
        chance = random.Random(self.table.name)
        for number in range(self.first, self.first + tries):
            mixed = number > (_ROWS if not self.first else _ROWS + 4)
            row: dict[int, str | None] = {}
            for one in self.columns:
                known = values[one.number]
                empty = self.mode == EDGES and (chance.random() < 0.3 if mixed else number % 3 == 2)
                if one.numbered:
                    row[one.number] = str(number + 1)
                elif not known or (empty and not one.required):
                    row[one.number] = None
                elif mixed and (one.rules or one.number in bound):
                    row[one.number] = chance.choice(known)
                else:
                    row[one.number] = known[number % min(len(known), _ROWS)]
            for reference, rows in referred:
                # Without any it refers to itself. Twice to the same, unless a key forbids that.
                most = len(rows) if keyed & set(reference.columns) else min(len(rows), _ROWS)
                taken = rows[number % most] if rows else [row[n] for n in reference.referred]
                may_be_empty = not any(self.table.column(n).required for n in reference.columns)
                if self.mode == EDGES and may_be_empty and number % 3 == 2:
                    taken = (None,) * len(reference.columns)
                row |= zip(reference.columns, taken, strict=True)
            yield tuple(row[one.number] for one in self.columns)

    def _referred(self) -> list[tuple[Reference, list[Row]]] | None:
        """Return for each foreign key what it may refer to; None if one has to and cannot."""
        found = []
        named = {table.oid: table for table in self.tables}
        for one in self.table.references:
            target = named.get(one.table)
            rows: list[Row] = []
            if target is not None:
                columns = ", ".join(
                    f"{in_quotes(target.column(n).name)}::text" for n in one.referred
                )
                self.cursor.execute(f"SELECT {columns} FROM {target.name} LIMIT 20")
                # One that is NULL in part refers to nothing.
                rows = [row for row in self.cursor.fetchall() if None not in row]
            if not rows and not _is_required(self.table, one):
                rows = [(None,) * len(one.columns)]
            elif not rows and target is not self.table:
                return None
            found.append((one, rows))
        return found
