"""Two schemas compared: each difference named once, by object."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from db_ops.postgres.schema.kinds import kinds
from db_ops.postgres.schema.normalization import same_default
from db_ops.postgres.schema.objects import Change, Schema, SchemaObject
from db_ops.postgres.schema.repair import last_part, undo_attribute, undo_extra, undo_missing

# What says best what a missing or an extra object is.
_DESCRIBING = ("definition", "type", "values", "attributes", "version", "bound", "privileges")
_WITHOUT_SCHEMA = {
    "schema",
    "extension",
    "foreign data wrapper",
    "foreign server",
    "publication",
    "event trigger",
    "cast",
    "owner",
    "grant",
    "default privileges",
}
_INDEX_NAME = re.compile(r'INDEX (?:"(?:[^"]|"")*"|\S+) ON')
_ORDER = {kind.name: number for number, kind in enumerate(kinds(grants=True))}


def compare_schemas(expected: Schema, actual: Schema) -> tuple[Change, ...]:
    """Return the differences in the order of a report: by kind, then name, then attribute.

    What falls with an object that only one side has is not named. Raises `ValueError` for schemas
    of servers that word things differently, or if only one was read with grants.
    """
    if (expected.major, expected.grants) != (actual.major, actual.grants):
        raise ValueError("only schemas of one major version, read alike, can be compared")
    names = _NameChanges.of(expected, actual)
    changes: list[Change] = []
    for key in expected.objects.keys() | actual.objects.keys():
        ours, theirs = expected.objects.get(key), actual.objects.get(key)
        if ours != theirs:
            changes += _differences(ours, theirs, names)
    return tuple(sorted(_with_renames(changes, expected, actual), key=_position))


def shape(found: SchemaObject) -> str:
    """Return all that an object is, but for its own name."""
    definition = found.attributes.get("definition", "")
    rest = sorted((key, value) for key, value in found.attributes.items() if key != "definition")
    return f"{_INDEX_NAME.sub('INDEX ON', definition, count=1)} {rest}"


def _with_renames(changes: Sequence[Change], expected: Schema, actual: Schema) -> Iterator[Change]:
    """Yield *changes*; what only has another name on its table gets it back, and is not dropped."""
    missing: dict[tuple[str | None, ...], SchemaObject] = {}
    extra: dict[tuple[str | None, ...], SchemaObject] = {}
    for change in changes:
        if change.kind in ("constraint", "index") and change.attribute is None:
            key = change.kind, change.name
            side, found = (missing, expected) if change.actual is None else (extra, actual)
            one = found.objects[key]
            side.setdefault((one.kind, one.parent, shape(one)), one)
    renamed = {
        (old.kind, name): _rename(old, missing[of])
        for of, old in extra.items()
        if of in missing
        for name in (old.name, missing[of].name)
    }
    for change in changes:
        key = change.kind, change.name
        if change.attribute is None and key in renamed:
            yield replace(change, undo=(renamed[key],))
        else:
            yield change


def _rename(old: SchemaObject, new: SchemaObject) -> str:
    if old.kind == "index":
        return f"ALTER INDEX {old.name} RENAME TO {last_part(new.name)}"
    return f"ALTER TABLE {old.parent} RENAME CONSTRAINT {old.label} TO {new.label}"


def undo_statements(changes: Iterable[Change]) -> tuple[str, ...]:
    """Return the undo of *changes* in an order in which it can be run, each statement once.

    What is missing comes back before what may need it, and what is extra goes last, latest first.
    """
    extra = [change for change in changes if change.attribute is None and change.expected is None]
    others = [change for change in changes if change not in extra]
    return tuple(
        dict.fromkeys(sql for change in (*others, *reversed(extra)) for sql in change.undo)
    )


@dataclass(frozen=True)
class _NameChanges:
    """The names in which two schemas differ, needed to compare one object.

    `one_sided` are names that only one schema has, `replaced` those of another kind of object in
    the other schema, `partitions` all partitions, `parts` the objects that belong to a missing one.
    """

    one_sided: Set[str]
    replaced: Set[str]
    partitions: Set[str]
    parts: Mapping[str, Sequence[SchemaObject]]

    @classmethod
    def of(cls, expected: Schema, actual: Schema) -> _NameChanges:
        missing = {_parental(*key) for key in expected.objects.keys() - actual.objects.keys()}
        extra = {_parental(*key) for key in actual.objects.keys() - expected.objects.keys()}
        keys = expected.objects.keys() | actual.objects.keys()
        partitions = {name for kind, name in keys if kind == "partition"}
        parts: dict[str, list[SchemaObject]] = {}
        gone = [part for part in expected.objects.values() if part.parent in missing]
        for part in sorted(gone, key=lambda part: (_ORDER[part.kind], part.name)):
            parts.setdefault(part.parent or "", []).append(part)
        replaced = missing & extra
        return cls(missing | extra, replaced, partitions - replaced, parts)


def _differences(
    ours: SchemaObject | None, theirs: SchemaObject | None, names: _NameChanges
) -> Iterator[Change]:
    known = ours or theirs
    assert known is not None
    kind, name = known.kind, known.name
    of_partition = not names.partitions.isdisjoint({name, known.parent or name})
    if ours is not None and theirs is not None:
        for attribute in sorted(ours.attributes.keys() | theirs.attributes.keys()):
            one, other = ours.attributes.get(attribute), theirs.attributes.get(attribute)
            if one != other and not (
                attribute == "default" and same_default(one, other, ours.attributes.get("type", ""))
            ):
                undo = undo_attribute(ours, theirs, attribute)
                yield Change(kind, name, attribute, one, other, undo, known.parent, of_partition)
    elif known.parent not in names.one_sided:
        undo = (
            undo_missing(ours, names.parts.get(_parental(kind, name), ()))
            if ours
            else undo_extra(known)
        )
        if _parental(kind, name) in names.replaced:
            # Dropping a detached partition, say, is not what undoes it.
            undo = ()
        one, other = _described(ours), _described(theirs)
        yield Change(kind, name, None, one, other, undo, known.parent, of_partition)


def _parental(kind: str, name: str) -> str:
    """Return what an object is called as a parent: outside the schemas, kinds share names."""
    return f"{kind} {name}" if kind in _WITHOUT_SCHEMA else name


def _described(found: SchemaObject | None) -> str | None:
    if found is None:
        return None
    return next((found.attributes[name] for name in _DESCRIBING if name in found.attributes), "")


def _position(change: Change) -> tuple[int, str, str]:
    return _ORDER[change.kind], change.name, change.attribute or ""
