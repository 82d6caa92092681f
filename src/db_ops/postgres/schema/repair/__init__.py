"""SQL that makes a database like the expected one again, where that is simple and certain.

It is a tuple of statements, each whole in itself: a statement may hold semicolons of its own.
Without any, it cannot be written without knowing more: a table's rows, an enum's value in use.
"""

from __future__ import annotations

from db_ops.postgres.schema.repair.addressing import last_part, literal, sql_keyword
from db_ops.postgres.schema.repair.attributes import undo_attribute
from db_ops.postgres.schema.repair.objects import type_clauses, undo_extra, undo_missing

__all__ = [
    "last_part",
    "literal",
    "sql_keyword",
    "type_clauses",
    "undo_attribute",
    "undo_extra",
    "undo_missing",
]
