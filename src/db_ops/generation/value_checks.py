"""Checks that no value changes with its column's type, where the server would cut or round it.

An assignment to a shorter string, or a number that is too large, the server refuses by itself.
"""

from __future__ import annotations

import re

from db_ops.postgres.schema.identifiers import display_name
from db_ops.postgres.schema.objects import SchemaObject
from db_ops.postgres.schema.repair import literal

_MODIFIERS = re.compile(r"\((\d+)(?:,(-?\d+))?\)")
_WIDER = {
    "smallint": ("integer", "bigint", "numeric", "real", "double precision"),
    "integer": ("bigint", "numeric", "double precision"),
    "bigint": ("numeric",),
    "real": ("double precision",),
    "date": ("timestamp without time zone", "timestamp with time zone"),
    "timestamp without time zone": ("timestamp with time zone",),
    "timestamp with time zone": ("timestamp without time zone",),
    "json": ("jsonb", "text", "character varying"),
    "jsonb": ("json", "text", "character varying"),
    "citext": ("text", "character varying"),
    "character": ("text", "character varying", "citext"),
    "text": ("citext", "character varying"),
    "character varying": ("text", "citext"),
    "cidr": ("inet",),
    "boolean": ("smallint", "integer", "bigint", "text", "character varying"),
    "uuid": ("text", "character varying"),
}
_INTEGERS = ("smallint", "integer", "bigint")
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


def holds_every_value(before: str, after: str) -> bool:
    """Tell whether every value of type *before* is one of type *after* as it is."""
    if before == after:
        return True
    if before.endswith("[]") and after.endswith("[]"):
        return holds_every_value(before[:-2], after[:-2])
    (old, old_limits), (new, new_limits) = _parts(before), _parts(after)
    if not new_limits:
        return new == old or new in _WIDER.get(old, ())
    if old != new and old in _INTEGERS and new == "numeric":
        digits = {"smallint": 5, "integer": 10, "bigint": 19}[old]
        return new_limits[0] - new_limits[1] >= digits and new_limits[1] >= 0
    if (old, new) == ("character", "character varying"):
        return old_limits is not None and new_limits[0] >= old_limits[0]
    if old != new or not old_limits:
        return False
    if new != "numeric":
        return new != "bit" and new_limits[0] >= old_limits[0]
    scales = old_limits[1], new_limits[1]
    return new_limits[0] - scales[1] >= old_limits[0] - scales[0] and scales[1] >= scales[0]


def by_way_of(before: str, after: str) -> str:
    """Return the casts from *before* to *after*, which lead over integers for a boolean."""
    array = "[]" if before.endswith("[]") and after.endswith("[]") else ""
    kinds = {_parts(one.removesuffix(array))[0] for one in (before, after)}
    numbers = kinds <= {"boolean", *_INTEGERS, "numeric", "real", "double precision"}
    over = f"::integer{array}" if numbers and "boolean" in kinds else ""
    return f"{over}::{after}"


def unchanged_values_check(column: SchemaObject, after: str) -> str | None:
    """Return the statement that fails if a value of *column* is another one as type *after*.

    None where the server refuses such a value itself, or every value is kept.
    """
    before, value = column.attributes["type"], column.label
    if "generated" in column.attributes or holds_every_value(before, after):
        return None
    (old, old_limits), (new, limits) = _parts(before), _parts(after)
    if new in _LENGTH_IS_CHECKED or {old, new} <= set(_INTEGERS):
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


def _parts(name: str) -> tuple[str, tuple[int, int] | None]:
    """Return a type without its modifiers, and these: length or precision, and scale."""
    found = _MODIFIERS.search(name)
    bare = _MODIFIERS.sub("", name)
    return bare, (int(found[1]), int(found[2] or 0)) if found else None
