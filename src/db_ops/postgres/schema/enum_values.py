"""The values of enum types, as the server quotes them."""

from __future__ import annotations

import re
from dataclasses import replace

from db_ops.postgres.schema.objects import Schema

_LABEL = re.compile(r"E?'(?:[^']|'')*'")


def labels(values: str | None) -> list[str]:
    """Return the labels of an enum, quoted as they are."""
    return _LABEL.findall(values or "")


def without_values_to_come(database: Schema, so_far: Schema, head: Schema) -> Schema:
    """Return *database* with its enums as *so_far* where all they have more is in *head*."""
    objects = dict(database.objects)
    for key, one in database.objects.items():
        sides = [side.objects.get(key) for side in (so_far, head)]
        if key[0] != "enum" or None in sides:
            continue
        has = labels(one.attributes.get("values"))
        wanted, later = (labels(side.attributes.get("values")) for side in sides if side)
        if [label for label in has if label in wanted] == wanted and set(has) <= {*wanted, *later}:
            values = sides[0].attributes.get("values", "") if sides[0] else ""
            objects[key] = replace(one, attributes={**one.attributes, "values": values})
    return replace(database, objects=objects)
