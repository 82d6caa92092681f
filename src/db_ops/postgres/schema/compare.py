"""Two schemas compared: each difference named once, by object."""

from __future__ import annotations

from collections.abc import Iterator

from db_ops.postgres.schema.kinds import kinds
from db_ops.postgres.schema.objects import Change, Schema, SchemaObject
from db_ops.postgres.schema.undo import undo_attribute, undo_extra, undo_missing

# What says best what a missing or an extra object is.
_DESCRIBING = ("definition", "type", "values", "attributes", "version", "bound", "privileges")
_ORDER = {kind.name: number for number, kind in enumerate(kinds(grants=True))}


def compare_schemas(expected: Schema, actual: Schema) -> tuple[Change, ...]:
    """Return the differences in the order of a report: by kind, then name, then attribute.

    What falls with an object that only one side has is not named. Raises `ValueError` for schemas
    of servers that word things differently, or if only one was read with grants.
    """
    if (expected.major, expected.grants) != (actual.major, actual.grants):
        raise ValueError("only schemas of one major version, read alike, can be compared")
    keys = expected.objects.keys() | actual.objects.keys()
    fallen = {name for _, name in expected.objects.keys() ^ actual.objects.keys()}
    partitions = {name for kind, name in keys if kind == "partition"}
    changes: list[Change] = []
    for key in keys:
        ours, theirs = expected.objects.get(key), actual.objects.get(key)
        if ours != theirs:
            changes += _differences(ours, theirs, fallen, partitions)
    return tuple(sorted(changes, key=_position))


def _differences(
    ours: SchemaObject | None,
    theirs: SchemaObject | None,
    fallen: set[str],
    partitions: set[str],
) -> Iterator[Change]:
    known = ours or theirs
    assert known is not None
    of_partition = known.name in partitions or known.parent in partitions
    if ours is not None and theirs is not None:
        for name in sorted(ours.attributes.keys() | theirs.attributes.keys()):
            one, other = ours.attributes.get(name), theirs.attributes.get(name)
            if one != other:
                undo = undo_attribute(ours, theirs, name)
                yield Change(known.kind, known.name, name, one, other, undo, of_partition)
    elif known.parent not in fallen:
        undo = undo_missing(ours) if ours is not None else undo_extra(known)
        expected, actual = _described(ours), _described(theirs)
        yield Change(known.kind, known.name, None, expected, actual, undo, of_partition)


def _described(found: SchemaObject | None) -> str | None:
    if found is None:
        return None
    return next((found.attributes[name] for name in _DESCRIBING if name in found.attributes), "")


def _position(change: Change) -> tuple[int, str, str]:
    return _ORDER[change.kind], change.name, change.attribute or ""
