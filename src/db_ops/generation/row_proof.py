"""Run a revision on tables with rows: what is lost, what is refused, and whether rows go on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from db_ops.errors import DbOpsError, MigrationFailed
from db_ops.migrations.env.diagnostics import sqlstate
from db_ops.postgres.rows import (
    EDGES,
    NONE,
    PLAIN,
    Content,
    Filling,
    fill_tables,
    insert_one_row,
    read_content,
    read_tables,
    sequences_behind,
)
from db_ops.target.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

# Data exceptions and violated constraints: what the rows forbid, and not the statement.
_OF_ROWS = ("22", "23")
_NEXT = {EDGES: PLAIN, PLAIN: NONE}


@dataclass
class RowProof:
    """What the rows of one scratch database say of a revision that loses what *losses* name.

    `modes` are how much each table was filled, by its name; `wrong` is what goes wrong, `refusals`
    what the server does not do with such rows, `unfilled` the tables that were tried without any.
    """

    losses: Sequence[str]
    modes: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, None] = field(default_factory=dict)
    refusals: dict[str, None] = field(default_factory=dict)
    unfilled: dict[str, None] = field(default_factory=dict)
    _filling: Filling = field(default_factory=lambda: Filling((), ()))
    _before: Content | None = None
    _renamed: dict[str, str] = field(default_factory=dict)

    def fill(self, new: Target, connection: Connection) -> None:
        """Give rows to the tables of *new*, a scratch database, which *connection* is to."""
        with new.server.translate_errors("filling tables"):
            tables = read_tables(connection, new.project.version_table)
            self._filling = fill_tables(connection, tables, self.modes)
            self._before = read_content(connection, tables)
        self.unfilled |= dict.fromkeys(
            f"not tried with rows: {reason}" for reason in self._filling.empty
        )

    def look(self, new: Target, connection: Connection, *, direction: str) -> None:
        """Compare the rows with what was filled in; after the upgrade, add one to each table."""
        assert self._before is not None
        back = "" if direction == "upgrade" else "downgrade: "
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

    def take(self, error: DbOpsError, direction: str) -> bool:
        """Note that the rows forbid what *error* says, and fill fewer; False if they do not."""
        cause = error.__cause__
        code = cause and sqlstate(cause)
        if not isinstance(error, MigrationFailed) or not code or code[:2] not in _OF_ROWS:
            return False
        diag = getattr(getattr(cause, "orig", cause), "diag", None)
        named = getattr(diag, "table_name", None)
        tables = [
            table
            for table in self._filling.filled
            if (table.label == named if named else _mentions(error.statement, table.label))
        ] or list(self._filling.filled)
        if not tables:
            return False
        where = f"{tables[0].display} has rows" if len(tables) == 1 else "tables have rows"
        self.refusals[f"{direction}, where {where}: {error.reason}"] = None
        for table in tables:
            self.modes[table.name] = _NEXT[self.modes.get(table.name, EDGES)]
        return True

    def _is_announced(self, table: str, column: str | None) -> bool:
        names = [table] if column is None else [table, f"{table}.{column}"]
        return any(_mentions(loss, name) for loss in self.losses for name in names)


def _mentions(text: str, name: str) -> bool:
    """Tell whether *name* stands in *text*, both without quotes, and not as a part of another."""
    text, name = (one.replace('"', "") for one in (text, name))
    return re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", text) is not None
