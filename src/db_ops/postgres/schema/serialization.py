"""A schema as JSON."""

from __future__ import annotations

import json

from db_ops.postgres.schema.objects import Schema, SchemaObject


def to_json(schema: Schema) -> str:
    """Return *schema* in one line."""
    objects = [
        (one.kind, one.name, one.label, one.parent, one.attributes)
        for one in schema.objects.values()
    ]
    return json.dumps((schema.major, schema.grants, objects, schema.silenced))


def from_json(text: str | bytes) -> Schema:
    """Return what `to_json` has written. Raises `ValueError` or `TypeError` for anything else."""
    major, grants, objects, silenced = json.loads(text)
    found = {(values[0], values[1]): SchemaObject(*values) for values in objects}
    return Schema(major, grants, found, tuple(silenced))
