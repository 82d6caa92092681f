"""The values of a column that the server's own CHECKs take."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import psycopg2

from db_ops.errors.quote_ident import in_quotes
from db_ops.postgres.rows.tables import Column, Table

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

_VALUE = re.compile(r"\bVALUE\b")


def domain_check(column: Column, rule: str) -> str:
    """Return the condition that *rule*, of the domain of *column*, makes for it."""
    about = _VALUE.sub(lambda _: in_quotes(column.name), rule)
    return f"({about}) IS NOT FALSE"


def accepted_values(
    cursor: Cursor, table: Table, column: Column, known: Sequence[str]
) -> Sequence[str]:
    """Return those of *known* that the CHECKs about *column* alone take; all if they take none.

    Rows made of these alone are mostly taken, where few of any others would be.
    """
    checks = [
        *(f"({text}) IS NOT FALSE" for _, text, read in table.checks if {*read} == {column.number}),
        *(domain_check(column, rule) for rule in column.rules),
    ]
    if not checks:
        return known
    where = " AND ".join(checks).replace("%", "%%")
    made = f"db_ops_text::{column.type} AS {in_quotes(column.name)}".replace("%", "%%")
    try:
        cursor.execute(
            f"SAVEPOINT db_ops_values; SELECT db_ops_text FROM (SELECT db_ops_row, db_ops_text,"
            f" {made} FROM unnest(%s::text[]) WITH ORDINALITY AS given(db_ops_text, db_ops_row))"
            f" AS made WHERE {where} ORDER BY db_ops_row",
            (list(known),),
        )
        accepted = [text for (text,) in cursor.fetchall()]
    except psycopg2.Error:
        accepted = []
        cursor.execute("ROLLBACK TO db_ops_values")
    cursor.execute("RELEASE db_ops_values")
    return accepted or known
