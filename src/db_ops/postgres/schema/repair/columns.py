"""Statements that undo a change of one attribute of a column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from db_ops.postgres.schema.objects import SchemaObject
from db_ops.postgres.schema.repair.objects import undo_missing

# Of the expected and the actual object, and the expected value: one statement, several, or none.
Undo = Callable[[SchemaObject, SchemaObject, str | None], str | tuple[str, ...] | None]
_CUT = ("character", "bit", "text")


def _column(expected: SchemaObject, clause: str) -> str:
    return f"ALTER TABLE {expected.parent} ALTER COLUMN {expected.label} {clause}"


def _type(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str | None:
    of = expected.attributes
    if "generated" in of or "generated" in actual.attributes:
        return None
    collation = f" COLLATE {of['collation']}" if "collation" in of else ""
    using = f" USING {expected.label}::{of['type']}"
    if of["type"] == actual.attributes["type"] or of["type"].startswith(_CUT):
        # Everything can be assigned to these, and what is too long is refused, not cut.
        using = ""
    return _column(expected, f"TYPE {of['type']}{collation}{using}")


def _nullability(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str | None:
    verbs = {"NULL": "DROP NOT NULL", "NOT NULL": "SET NOT NULL"}
    return _column(expected, verbs[value]) if value in verbs else None


def _default(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str | None:
    if value is None:
        generated = "generated" in expected.attributes
        return None if generated else _column(expected, "DROP DEFAULT")
    return None if "its own sequence" in value else _column(expected, f"SET DEFAULT {value}")


def _generated(
    expected: SchemaObject, actual: SchemaObject, value: str | None
) -> str | tuple[str, ...] | None:
    if value is not None:
        return None
    keep = _column(expected, "DROP EXPRESSION")
    expression = actual.attributes["generated"]
    if not expression.endswith(" VIRTUAL"):
        return keep
    # It has no values to keep, and so gets them.
    stored = {**actual.attributes, "generated": f"{expression.removesuffix('VIRTUAL')}STORED"}
    again = undo_missing(replace(actual, attributes=stored))
    return (f"ALTER TABLE {actual.parent} DROP COLUMN {actual.label}", *again, keep)


def _identity(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str | None:
    if value is None:
        return _column(expected, "DROP IDENTITY")
    if "identity" not in actual.attributes:
        return _column(expected, f"ADD GENERATED {value} AS IDENTITY")
    return _column(expected, f"SET GENERATED {value}")


def _statistics(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str:
    return _column(expected, f"SET STATISTICS {value or -1}")


def _storage(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str | None:
    return _column(expected, f"SET STORAGE {value}") if value else None


def _compression(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str:
    return _column(expected, f"SET COMPRESSION {value or 'default'}")


COLUMN_UNDO: dict[str, Undo] = {
    "type": _type,
    "collation": _type,
    "nullability": _nullability,
    "default": _default,
    "generated": _generated,
    "identity": _identity,
    "statistics": _statistics,
    "storage": _storage,
    "compression": _compression,
}
