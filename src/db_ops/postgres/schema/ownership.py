"""Owners and rights in a schema: left out, or those of a role that has another name elsewhere."""

from __future__ import annotations

import re
from dataclasses import replace

from db_ops.postgres.schema.kinds.privileges import PRIVILEGES
from db_ops.postgres.schema.objects import Schema, SchemaObject

RIGHTS = frozenset(kind.name for kind in PRIVILEGES)


def as_owned_by(schema: Schema, role: str, owner: str) -> Schema:
    """Return *schema* as if what *role* owns were *owner*'s; both names as SQL writes them."""
    if role == owner or not schema.grants:
        return schema
    of_role = re.compile(rf" of {re.escape(role)}(?= )")

    def changed(one: SchemaObject) -> SchemaObject:
        if one.kind == "owner" and one.attributes.get("role") == role:
            return replace(one, attributes={**one.attributes, "role": owner})
        if one.kind == "default privileges":
            name = of_role.sub(lambda _: f" of {owner}", one.name)
            return replace(one, name=name, label=name)
        return one

    objects = [changed(one) for one in schema.objects.values()]
    return replace(schema, objects={(one.kind, one.name): one for one in objects})


def without_rights(schema: Schema) -> Schema:
    """Return *schema* as if it had been read without grants."""
    objects = {key: one for key, one in schema.objects.items() if key[0] not in RIGHTS}
    return replace(schema, grants=False, objects=objects)
