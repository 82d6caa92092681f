"""Run a revision on tables with rows: what is lost, what is refused, and whether rows go on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from db_ops.errors import DbOpsError, MigrationFailed
from db_ops.migrations.env.diagnostics import reason_of, sqlstate
from db_ops.postgres.rows import (
    EDGES,
    NONE,
    PLAIN,
    Content,
    Filling,
    empty_parent,
    fill_tables,
    insert_one_row,
    read_content,
    read_tables,
    sequences_behind,
)
from db_ops.postgres.rows.tables import Table, without_labels
from db_ops.target.target import Target

if TYPE_CHECKING:
    import psycopg2
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

# Data exceptions and violated constraints: what the rows forbid, and not the statement.
_OF_ROWS = ("22", "23")
_NEXT = {EDGES: PLAIN, PLAIN: NONE}


@dataclass
class RowProof:
    """What the rows of one scratch database say of a revision that loses what *losses* name.

    No row has the *removed* values of enums, which are announced. `modes` are how much each table
    was filled, by its name; `wrong` is what goes wrong, `refusals` what the server does not do with
    such rows, `unfilled` the tables that were tried without any.
    """

    losses: Sequence[str]
    removed: Mapping[str, Sequence[str]]
    modes: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, None] = field(default_factory=dict)
    refusals: dict[str, None] = field(default_factory=dict)
    unfilled: dict[str, None] = field(default_factory=dict)
    direction: str = "upgrade"
    _noted: set[str] = field(default_factory=set)
    _emptied: set[int] = field(default_factory=set)
    _unfilled: set[int] = field(default_factory=set)
    _filling: Filling = field(default_factory=lambda: Filling((), ()))
    _before: Content | None = None
    _renamed: dict[str, str] = field(default_factory=dict)

    def fill(self, new: Target, connection: Connection) -> None:
        """Give rows to the tables of *new*, a scratch database, which *connection* is to."""
        self.direction = "upgrade"
        self._noted.clear()
        self._emptied.clear()
        with new.server.translate_errors("filling tables"):
            tables = read_tables(connection, new.project.version_table)
            kept = [without_labels(table, self.removed) for table in tables]
            self._filling = fill_tables(connection, kept, self.modes)
            filled = {table.oid for table in self._filling.filled}
            self._unfilled = {table.oid for table in tables} - filled
            self._before = read_content(connection, tables)
        self.unfilled |= dict.fromkeys(
            f"not tried with rows: {reason}" for reason in self._filling.empty
        )

    def look(self, new: Target, connection: Connection) -> None:
        """Compare the rows with what was filled in; after the upgrade, add one to each table."""
        if self._noted:
            return
        assert self._before is not None
        back = "" if self.direction == "upgrade" else "downgrade: "
        with new.server.translate_errors("reading rows"):
            tables = read_tables(connection, new.project.version_table)
            now = read_content(connection, tables)
            for loss in self._before.lost(connection, now):
                # What a renamed table loses is announced by its new name, on the way back too.
                self._renamed.setdefault(loss.table, loss.now or loss.table)
                names = (loss.table, self._renamed[loss.table])
                if not any(self._is_announced(name, loss.column) for name in names):
                    self.wrong[f"{back}{loss.what}, which nothing said"] = None
            self.wrong |= dict.fromkeys(f"{back}{text}" for text in sequences_behind(connection))
            if back:
                return
            filled = {table.oid for table in self._filling.filled}
            for table, reason in insert_one_row(connection, tables):
                if table.oid in filled:
                    self.wrong[f"{table.display} takes no row any more: {reason}"] = None

    @property
    def is_noted(self) -> bool:
        """Tell whether rows have forbidden something since they were filled in."""
        return bool(self._noted)

    def take(self, error: DbOpsError) -> bool:
        """Note that the rows forbid what *error* says, and fill fewer; False if they do not."""
        cause = error.__cause__
        code = cause and sqlstate(cause)
        if not isinstance(error, MigrationFailed) or not code:
            return False
        diag = getattr(getattr(cause, "orig", cause), "diag", None)
        tables = self._blamed(code, getattr(diag, "table_name", None), error.statement)
        self._note(tables, error.reason)
        return bool(tables)

    def refused(self, cursor: Cursor, error: psycopg2.Error, statement: str) -> bool:
        """Take the rows away that forbid *statement*, and note it; False if none do.

        So one trial finds whatever the rows forbid: each table is filled otherwise in the next.
        """
        named, code = error.diag.table_name, error.pgcode or ""
        tables = self._blamed(code, named, statement)
        left = [table for table in tables if table.oid not in self._emptied]
        if not left:
            return False
        oid, parent = empty_parent(cursor, code, statement)
        if oid not in self._emptied | self._unfilled:
            self._note(tables, reason_of(error))
        elif oid in self._unfilled:
            for table in tables:
                self._noted.add(table.name)
                self.modes[table.name] = NONE
                reason = f"{table.display}: {parent}, which it refers to, has none"
                self.unfilled[f"not tried with rows: {reason}"] = None
        oids = [table.oid for table in left]
        # Under the names that they have by now.
        cursor.execute(
            "SELECT string_agg(oid::regclass::text, ', ') FROM pg_class WHERE oid = ANY(%s)",
            (oids,),
        )
        ((names,),) = cursor.fetchall()
        if names is None:
            return False
        cursor.execute(f"TRUNCATE {names} CASCADE")
        # With them those that refer to them.
        cursor.execute(
            "SELECT oid FROM unnest(%s::oid[]) AS oid WHERE pg_relation_size(oid) = 0",
            ([table.oid for table in self._filling.filled],),
        )
        self._emptied.update(oids, (oid for (oid,) in cursor.fetchall()))
        return True

    def _blamed(self, code: str, named: str | None, statement: str) -> list[Table]:
        if code[:2] not in _OF_ROWS:
            return []
        return [
            table
            for table in self._filling.filled
            if (table.label == named if named else _mentions(statement, table.label))
        ] or list(self._filling.filled)

    def _note(self, tables: Sequence[Table], reason: str) -> None:
        if not tables:
            return
        where = f"{tables[0].display} has rows" if len(tables) == 1 else "tables have rows"
        self.refusals[f"{self.direction}, where {where}: {reason}"] = None
        for table in tables:
            if table.name not in self._noted:
                self.modes[table.name] = _NEXT.get(self.modes.get(table.name, EDGES), NONE)
        self._noted.update(table.name for table in tables)

    def _is_announced(self, table: str, column: str | None) -> bool:
        names = [table] if column is None else [table, f"{table}.{column}"]
        return any(_mentions(loss, name) for loss in self.losses for name in names)


def _mentions(text: str, name: str) -> bool:
    """Tell whether *name* stands in *text*, both without quotes, and not as a part of another."""
    text, name = (one.replace('"', "") for one in (text, name))
    return re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", text) is not None
