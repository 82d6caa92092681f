"""Which types hold every value of another one."""

from __future__ import annotations

import re

_LENGTH = re.compile(r"^(character varying|character|bit varying|bit|numeric)\((\d+)(?:,(\d+))?\)$")
_WIDER = {
    "smallint": ("integer", "bigint", "numeric"),
    "integer": ("bigint", "numeric"),
    "bigint": ("numeric",),
    "real": ("double precision",),
    "date": ("timestamp without time zone", "timestamp with time zone"),
    "json": ("jsonb", "text"),
    "jsonb": ("json", "text"),
    "citext": ("text",),
    "text": ("citext", "character varying"),
    "character varying": ("text", "citext"),
    "uuid": ("text",),
}


def holds_all_values(before: str, after: str) -> bool:
    """Tell whether every value of type *before* is one of type *after* as it is."""
    if before == after:
        return True
    old, new = _LENGTH.match(before), _LENGTH.match(after)
    old_base = old[1] if old else before
    new_base = new[1] if new else after
    if new is None:
        return new_base == old_base or new_base in _WIDER.get(old_base, ())
    if old is None or old_base != new_base:
        return False
    old_scale, new_scale = int(old[3] or 0), int(new[3] or 0)
    return int(new[2]) - new_scale >= int(old[2]) - old_scale and new_scale >= old_scale
