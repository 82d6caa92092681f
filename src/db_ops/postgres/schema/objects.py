"""A schema that has been read: objects with attributes, and their changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from db_ops.postgres.schema.type_values import holds_every_value

_HOLDS_DATA = ("schema", "extension", "sequence", "table", "column")


@dataclass(frozen=True, slots=True)
class SchemaObject:
    """One object as the server describes it; names are quoted where SQL needs it.

    `name` is unique within `kind`, and qualified. `label` is the name within `parent`, the object
    that this one falls with, or the same as `name`; a parent outside every schema has its kind
    before its name. An attribute that is not set is not there.
    """

    kind: str
    name: str
    label: str
    parent: str | None
    attributes: Mapping[str, str]


@dataclass(frozen=True)
class Schema:
    """Everything that decides a schema, by kind and name, as a server of version `major` says it.

    The columns of a table are in their order, which makes no difference in a comparison.
    `silenced` names what was left out by rule; `grants` tells whether owners and rights are in.
    """

    major: int
    grants: bool
    objects: Mapping[tuple[str, str], SchemaObject]
    silenced: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """One difference: of one `attribute`, or of the whole object where that is None.

    `expected` and `actual` are the values (of an object: what best describes it), None where there
    is none. `undo` are statements that make the actual side like the expected one, where that is
    certain.
    `parent` is the object that it falls with. `of_partition` marks what belongs to a partition,
    which jobs create and drop.
    """

    kind: str
    name: str
    attribute: str | None
    expected: str | None
    actual: str | None
    undo: tuple[str, ...] = ()
    parent: str | None = None
    of_partition: bool = False

    @property
    def loses_data(self) -> bool:
        """Whether `undo` may lose what rows hold."""
        if self.attribute is None:
            return self.expected is None and self.kind in _HOLDS_DATA
        if (self.kind, self.attribute) != ("column", "type"):
            return False
        return not holds_every_value(self.actual or "", self.expected or "")


def with_changes(schema: Schema, expected: Schema, changes: Iterable[Change]) -> Schema:
    """Return *schema* with what *changes* between it and *expected* are about as there."""
    objects = dict(schema.objects)
    for change in changes:
        key = change.kind, change.name
        if change.attribute is None:
            objects.pop(key, None)
            if change.expected is not None:
                objects[key] = expected.objects[key]
        elif key in objects:
            attributes = {
                name: value
                for name, value in objects[key].attributes.items()
                if name != change.attribute
            }
            if change.expected is not None:
                attributes[change.attribute] = change.expected
            objects[key] = replace(objects[key], attributes=attributes)
    return replace(schema, objects=objects)
