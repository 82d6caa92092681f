"""Which types hold every value of another one."""

from __future__ import annotations

import re

INTEGERS = ("smallint", "integer", "bigint")
_MODIFIERS = re.compile(r"\((\d+)(?:,(-?\d+))?\)")
_WIDER = {
    "smallint": ("integer", "bigint", "numeric", "real", "double precision"),
    "integer": ("bigint", "numeric", "double precision"),
    "bigint": ("numeric",),
    "real": ("double precision",),
    "date": ("timestamp without time zone", "timestamp with time zone"),
    "timestamp without time zone": ("timestamp with time zone",),
    "timestamp with time zone": ("timestamp without time zone",),
    "json": ("jsonb",),
    "jsonb": ("json",),
    "character": ("citext",),
    "text": ("citext",),
    "character varying": ("citext",),
    "cidr": ("inet",),
    "boolean": ("smallint", "integer", "bigint"),
}
# A text says what any other value is, unless a setting decides how it is spelt.
_SPELT_BY_SETTINGS = ("money", "regclass", "regproc", "regprocedure", "regtype", "regrole")


def holds_every_value(before: str, after: str) -> bool:
    """Tell whether every value of type *before* is one of type *after* as it is."""
    if before == after:
        return True
    if before.endswith("[]") and after.endswith("[]"):
        return holds_every_value(before[:-2], after[:-2])
    (old, old_limits), (new, new_limits) = parts_of(before), parts_of(after)
    if not new_limits:
        if new in ("text", "character varying"):
            return old not in _SPELT_BY_SETTINGS
        return new == old or new in _WIDER.get(old, ())
    if old != new and old in INTEGERS and new == "numeric":
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


def parts_of(name: str) -> tuple[str, tuple[int, int] | None]:
    """Return a type without its modifiers, and these: length or precision, and scale."""
    found = _MODIFIERS.search(name)
    bare = _MODIFIERS.sub("", name)
    return bare, (int(found[1]), int(found[2] or 0)) if found else None
