"""The DDL statements that may settle a difference, the best first.

Each candidate is a tuple of them, which settle it together.
"""

from __future__ import annotations

from collections.abc import Iterator

from db_ops.generation.column_types import OF_TYPE
from db_ops.postgres.schema.objects import Change, Schema, SchemaObject
from db_ops.postgres.schema.sequence_options import SERIAL, changed_options, new_options

_SET_EXPRESSION_SINCE = 17


def ddl_candidates(change: Change, wanted: Schema, actual: Schema) -> Iterator[tuple[str, ...]]:
    """Yield SQL that may make *actual* like *wanted* in one *change*, each whole in itself."""
    if change.kind == "column" and change.attribute in OF_TYPE:
        # It may take more than one statement, and not any cast will do.
        return
    if change.undo:
        yield change.undo
    found = wanted.objects.get((change.kind, change.name))
    if change.kind == "column" and found is not None:
        for sql in _column(change, found, actual):
            yield (sql,)


def _column(change: Change, column: SchemaObject, actual: Schema) -> Iterator[str]:
    alter = f"ALTER TABLE {column.parent}"
    this = f"ALTER COLUMN {column.label}"
    of = column.attributes
    if change.attribute == "sequence" and "identity" in of and change.expected:
        options = changed_options(change.actual or "", change.expected)
        yield f"{alter} {this} {' '.join(f'SET {option}' for option in options)}"
    elif change.attribute == "generated" and change.expected:
        expression, _, how = change.expected.rpartition(" ")
        if actual.major >= _SET_EXPRESSION_SINCE and change.actual and change.actual.endswith(how):
            yield f"{alter} {this} SET EXPRESSION AS ({expression})"
        yield from _anew(column, alter)
    elif change.attribute is None and change.actual is None:
        yield from _with_identity(column, alter)


def _anew(column: SchemaObject, alter: str) -> Iterator[str]:
    """Yield how to make a column again whose values are computed, so that none are lost."""
    of = column.attributes
    collation = f" COLLATE {of['collation']}" if "collation" in of else ""
    null = " NOT NULL" if of["nullability"] == "NOT NULL" else ""
    expression, _, how = of["generated"].rpartition(" ")
    clause = f"GENERATED ALWAYS AS ({expression}) {how}"
    added = f"ADD COLUMN {column.label} {of['type']}{collation} {clause}{null}"
    yield f"{alter} DROP COLUMN {column.label}, {added}"


def _with_identity(column: SchemaObject, alter: str) -> Iterator[str]:
    of = column.attributes
    if "identity" in of:
        options = " ".join(new_options(of.get("sequence", "")))
        identity = f"GENERATED {of['identity']} AS IDENTITY" + (f" ({options})" if options else "")
        yield f"{alter} ADD COLUMN {column.label} {of['type']} {identity}"
    elif "sequence" in of:
        if of["type"] in SERIAL:
            yield f"{alter} ADD COLUMN {column.label} {SERIAL[of['type']]}"
    elif of["nullability"] == "NOT NULL":
        collation = f" COLLATE {of['collation']}" if "collation" in of else ""
        yield f"{alter} ADD COLUMN {column.label} {of['type']}{collation} NOT NULL"
