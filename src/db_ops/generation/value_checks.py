"""Checks that no value changes with its column's type, where the server would cut or round it.

An assignment to a shorter string, or a number that is too large, the server refuses by itself.
"""

from __future__ import annotations

from db_ops.postgres.schema.identifiers import display_name
from db_ops.postgres.schema.objects import SchemaObject
from db_ops.postgres.schema.repair import literal
from db_ops.postgres.schema.type_values import INTEGERS, holds_every_value, parts_of

_TEXTS = ("text", "character varying", "character", "citext")
_LENGTH_IS_CHECKED = ("character varying", "character")
# What text can say and a type without a limit keeps.
_WIDEST = {
    "date": "timestamp",
    "numeric": "numeric",
    "real": "numeric",
    "double precision": "numeric",
    "interval": "interval",
    **{
        name: name
        for name in (
            "timestamp without time zone",
            "timestamp with time zone",
            "time without time zone",
            "time with time zone",
        )
    },
}


def by_way_of(before: str, after: str) -> str:
    """Return the casts from *before* to *after*, over integers for a boolean, or over numeric."""
    array = "[]" if before.endswith("[]") and after.endswith("[]") else ""
    kinds = {parts_of(one.removesuffix(array))[0] for one in (before, after)}
    numbers = {"boolean", *INTEGERS, "numeric", "real", "double precision"}
    over = f"::integer{array}" if kinds <= numbers and "boolean" in kinds else ""
    if "money" in kinds and kinds <= {"money", *numbers}:
        over = f"::numeric{array}"
    return f"{over}::{after}"


def unchanged_values_check(column: SchemaObject, after: str) -> str | None:
    """Return the statement that fails if a value of *column* is another one as type *after*.

    None where the server refuses such a value itself, or every value is kept.
    """
    before, value = column.attributes["type"], column.label
    if "generated" in column.attributes or holds_every_value(before, after):
        return None
    (old, old_limits), (new, limits) = parts_of(before), parts_of(after)
    if new in _LENGTH_IS_CHECKED or {old, new} <= set(INTEGERS):
        return None
    if old == new == "numeric" and old_limits and limits and limits[1] >= old_limits[1]:
        return None
    widest = before
    if old in _TEXTS and new not in ('"char"', "name"):
        if not limits and new not in ("date", "real", "double precision"):
            return None
        widest = _WIDEST.get(new, before)
    same = value if widest == before else f"{value}::{widest}"
    there, back = by_way_of(before, after), by_way_of(after, widest)
    changed = f"{value}{there}{back} IS DISTINCT FROM {same}"
    what = f"{display_name(column.name)} holds values that do not fit {after} unchanged"
    hint = "change them first; without this check in the revision they are cut or rounded"
    return (
        f"DO $check$ BEGIN LOCK TABLE {column.parent}; IF EXISTS (SELECT FROM {column.parent}"
        f" WHERE {changed}) THEN RAISE EXCEPTION USING ERRCODE = 'data_exception',"
        f" MESSAGE = {literal(what)}, HINT = {literal(hint)}; END IF; END $check$"
    )
