"""Renames between migrations and models: an object removed and one added, of the same shape."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from db_ops.errors import RenameUndecided, UsageError
from db_ops.generation.rename_steps import Rename, under_third_name
from db_ops.postgres.schema.compare import compare_schemas, shape
from db_ops.postgres.schema.identifiers import unquoted_parts
from db_ops.postgres.schema.objects import Change, Schema, SchemaObject
from db_ops.postgres.schema.repair import last_part

_MODIFIERS = re.compile(r"\([\d, ]*\)")
# Below this share of columns in common, two tables are not the same one.
_ALIKE = 0.5
# What has a name and a place of its own, and data or a counter that a new one would not have.
_ASKED = ("table", "sequence")


def requested_renames(
    models: Schema, migrations: Schema, answers: Sequence[str]
) -> tuple[Rename, ...]:
    """Return the renames that *answers* name: `table.old:new`, `old_table:new_table`, `a:schema.a`.

    Where both names are there on both sides, they are swapped. Raises `UsageError` for one that the
    models and migrations do not bear out.
    """
    found = {answer: _relation(models, migrations, answer) for answer in answers}
    renames = _with_swaps([one for one in found.values() if one], models, migrations)
    tables = {one.old.name: one.new.name for one in renames if one.old.kind == "table"}
    columns = [_in_table(one, tables) for one in _of_kind(migrations, "column")]
    here = replace(migrations, objects={(one.kind, one.name): one for one in columns})
    of_columns = {
        answer: _column(models, migrations, answer, tables)
        for answer, one in found.items()
        if one is None
    }
    renames += _with_swaps(list(of_columns.values()), models, here)
    new = [(one.new.kind, one.new.name) for one in renames]
    for answer, rename in {**found, **of_columns}.items():
        assert rename is not None
        old = rename.old.kind, rename.old.name
        # Who keeps its name was not renamed, unless another one takes it over.
        if (old in models.objects and old not in new) or new.count((old[0], rename.new.name)) > 1:
            raise _unknown(answer)
    return tuple(renames)


def _with_swaps(renames: list[Rename], models: Schema, migrations: Schema) -> list[Rename]:
    """Add the other half of each swap of two names, and what makes way for another."""
    found = list(renames)
    for one in renames:
        there = migrations.objects.get((one.new.kind, one.new.name))
        if there is None or any(there.name == each.old.name for each in found):
            continue
        back = models.objects.get((one.old.kind, one.old.name))
        names = [name for _, name in (*models.objects, *migrations.objects)]
        replaced = back is None
        new = back or under_third_name(there, "_replaced", names)
        found.append(Rename(there, new, is_replaced=replaced))
    return found


def _in_table(column: SchemaObject, tables: Mapping[str, str]) -> SchemaObject:
    table = tables.get(column.parent or "", column.parent or "")
    return replace(column, name=f"{table}.{column.label}", parent=table)


def refuse_undecided(
    models: Schema, migrations: Schema, message: str, is_relevant: Callable[[Change], bool]
) -> None:
    """Raise `RenameUndecided` if something that was dropped may live on under a new name."""
    found = sorted(_candidates(models, migrations, is_relevant), key=_likeness, reverse=True)
    if found:
        raise RenameUndecided(
            tuple(rename.question for rename in found),
            tuple(rename.flag for rename in found),
            message,
        )


def renamed_parts(
    models: Schema, migrations: Schema, is_relevant: Callable[[Change], bool]
) -> Iterator[Rename]:
    """Yield each index, constraint and type that changed only in name, or in schema."""
    changes = filter(is_relevant, compare_schemas(models, migrations))
    removed, added = _removed_and_added(changes, models, migrations)
    taken: set[str] = set()
    for new in added:
        if new.kind not in ("constraint", "index", "enum", "domain"):
            continue
        for old in removed:
            same = (old.kind, old.parent, shape(old)) == (new.kind, new.parent, shape(new))
            if new.kind in ("enum", "domain"):
                # They are their own parents.
                same = (old.kind, shape(old)) == (new.kind, shape(new))
            if same and old.name not in taken:
                taken.add(old.name)
                yield Rename(old, new)
                break


def _relation(models: Schema, migrations: Schema, answer: str) -> Rename | None:
    parts, new_parts = _parts(answer)
    for kind in _ASKED:
        for schema in ((), ("public",)):
            old = _named(migrations, kind, (*schema, *parts))
            if old is None:
                continue
            place = () if len(new_parts) > 1 else unquoted_parts(old.name)[:-1]
            new = _named(models, kind, (*place, *new_parts))
            if new is not None and new.name != old.name:
                return Rename(old, new)
    return None


def _column(models: Schema, migrations: Schema, answer: str, tables: Mapping[str, str]) -> Rename:
    """Return the column's rename; its table may be called by its old or its new name."""
    parts, (*_, new_name) = _parts(answer)
    for old in _of_kind(migrations, "column") if len(parts) > 1 else ():
        here = _in_table(old, tables)
        if parts in (unquoted_parts(one.name)[-len(parts) :] for one in (old, here)):
            new = _named(models, "column", (*unquoted_parts(here.parent or ""), new_name))
            if new and new.name != here.name:
                return Rename(here, new)
    raise _unknown(answer)


def _unknown(answer: str) -> UsageError:
    return UsageError(
        f"--rename: {answer!r} is not a name that the migrations have and one that the models have",
        "see what differs: db-ops verify",
    )


def _parts(answer: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    left, _, right = answer.rpartition(":")
    if not unquoted_parts(left) or not unquoted_parts(right):
        raise UsageError(
            f"--rename: {answer!r} is not OLD:NEW",
            "name a column as table.old:new, a table as old_table:new_table or table:schema.table",
        )
    return unquoted_parts(left), unquoted_parts(right)


def _named(schema: Schema, kind: str, name: tuple[str, ...]) -> SchemaObject | None:
    for (its_kind, _), found in schema.objects.items():
        if its_kind == kind and unquoted_parts(found.name) == name:
            return found
    return None


def _of_kind(schema: Schema, kind: str) -> Iterator[SchemaObject]:
    return (one for (its_kind, _), one in schema.objects.items() if its_kind == kind)


def _candidates(
    models: Schema, migrations: Schema, is_relevant: Callable[[Change], bool]
) -> Iterator[Rename]:
    changes = tuple(filter(is_relevant, compare_schemas(models, migrations)))
    removed, added = _removed_and_added(changes, models, migrations)
    swapped = tuple(_swapped_tables(changes, models, migrations))
    yield from swapped
    # What differs in their columns is that they are each other's.
    settled = {name for one in swapped for name in (one.old.name, one.new.name)}
    for new in added:
        for old in removed:
            if old.kind != new.kind or old.parent in settled:
                continue
            if old.kind == "column" and old.parent == new.parent:
                if _base(old) == _base(new):
                    yield Rename(old, new)
            elif old.kind == "sequence":
                if last_part(old.name) == last_part(new.name):
                    yield Rename(old, new)
            elif old.kind == "table" and _are_alike(
                _columns(migrations, old), _columns(models, new)
            ):
                yield Rename(old, new)
    yield from _swapped_columns(changes, models, migrations)


def _swapped_tables(
    changes: Iterable[Change], models: Schema, migrations: Schema
) -> Iterator[Rename]:
    """Yield one rename for each two tables that have each other's columns now."""
    touched = {change.parent for change in changes if change.kind == "column"}
    tables = [one for one in _of_kind(migrations, "table") if one.name in touched]
    tables = [one for one in tables if ("table", one.name) in models.objects]
    before = {one.name: _columns(migrations, one) for one in tables}
    after = {one.name: _columns(models, one) for one in tables}
    for one, other in itertools.combinations(sorted(tables, key=lambda one: one.name), 2):
        crossed = (before[one.name], after[other.name]), (before[other.name], after[one.name])
        kept = (before[one.name], after[one.name]), (before[other.name], after[other.name])
        if all(_are_alike(*pair) for pair in crossed) and all(
            _share(*new) > _share(*old) for new, old in zip(crossed, kept, strict=True)
        ):
            yield Rename(one, models.objects["table", other.name], is_swap=True)


def _swapped_columns(
    changes: Iterable[Change], models: Schema, migrations: Schema
) -> Iterator[Rename]:
    """Yield one rename for each two columns that have each other's type now, and had another."""
    retyped = [
        migrations.objects["column", change.name]
        for change in changes
        if (change.kind, change.attribute) == ("column", "type")
    ]
    for one, other in itertools.combinations(retyped, 2):
        new_one, new_other = (models.objects["column", found.name] for found in (one, other))
        if (
            one.parent == other.parent
            and _base(one) != _base(other)
            and (_base(one), _base(other)) == (_base(new_other), _base(new_one))
        ):
            yield Rename(one, new_other, is_swap=True)


def _likeness(rename: Rename) -> tuple[bool, float]:
    """Return how much speaks for *rename*: the same name, or the same attributes; likeness then."""
    old, new = (last_part(one.label) for one in (rename.old, rename.new))
    same = rename.old.kind == "column" and rename.old.attributes == rename.new.attributes
    return old == new or same, SequenceMatcher(None, old, new).ratio()


def _removed_and_added(
    changes: Iterable[Change], models: Schema, migrations: Schema
) -> tuple[list[SchemaObject], list[SchemaObject]]:
    """Return what only the migrations have, and what only the models have."""
    removed, added = [], []
    for change in changes:
        if change.attribute is None and not change.of_partition:
            key = change.kind, change.name
            if key in migrations.objects:
                removed.append(migrations.objects[key])
            else:
                added.append(models.objects[key])
    return removed, added


def _base(column: SchemaObject) -> str:
    return _MODIFIERS.sub("", column.attributes["type"])


def _columns(schema: Schema, table: SchemaObject) -> set[tuple[str, str]]:
    return {
        (found.label, _base(found))
        for (kind, _), found in schema.objects.items()
        if kind == "column" and found.parent == table.name
    }


def _are_alike(one: set[tuple[str, str]], other: set[tuple[str, str]]) -> bool:
    return _share(one, other) >= _ALIKE


def _share(one: set[tuple[str, str]], other: set[tuple[str, str]]) -> float:
    return len(one & other) / max(len(one), len(other), 1)
