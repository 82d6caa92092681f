"""Rows for a scratch database, made from its catalogs, and what became of them."""

from __future__ import annotations

from db_ops.postgres.rows.content import Content, read_content
from db_ops.postgres.rows.fill import (
    EDGES,
    NONE,
    PLAIN,
    Filling,
    add_rows,
    fill_tables,
    insert_one_row,
)
from db_ops.postgres.rows.parents import empty_parent
from db_ops.postgres.rows.sequences import sequences_behind
from db_ops.postgres.rows.tables import read_tables, tables_with_rows

__all__ = [
    "EDGES",
    "NONE",
    "PLAIN",
    "Content",
    "Filling",
    "add_rows",
    "empty_parent",
    "fill_tables",
    "insert_one_row",
    "read_content",
    "read_tables",
    "sequences_behind",
    "tables_with_rows",
]
