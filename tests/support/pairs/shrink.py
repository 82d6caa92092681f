"""Make a failing pair smaller while it fails in the same way."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

from tests.support.pairs.draw import Pair
from tests.support.pairs.model import Name


def shrink(pair: Pair, fails: Callable[[Pair], bool]) -> Pair:
    """Return the smallest pair found for which *fails* is true, as it is for *pair*."""
    found = True
    while found:
        found = False
        for smaller in _smaller(pair):
            if smaller.before.source() != smaller.after.source() and fails(smaller):
                pair, found = smaller, True
                break
    return pair


def _smaller(pair: Pair) -> Iterator[Pair]:
    """Yield *pair* without one table, column, part, view or type on both sides, or one change."""
    for old in [table.id for table in pair.before.tables]:
        new = pair.tables.get(old)
        yield _without_table(pair, old, new)
        if new is None:
            continue
        for column in pair.before.table(old).columns:
            if (old, column.name) in pair.columns:
                yield _without_column(pair, old, new, column.name)
        yield from _without_parts(pair, old, new)
    for new in {table.id for table in pair.after.tables} - set(pair.tables.values()):
        yield _without_table(pair, None, new)
    for field in ("views", "sequences", "enums"):
        for name in {*getattr(pair.before, field), *getattr(pair.after, field)}:
            smaller = copy.deepcopy(pair)
            for side in (smaller.before, smaller.after):
                getattr(side, field).pop(name, None)
            if field != "enums" or not any(
                one.kind == f"enum:{name}"
                for side in (smaller.before, smaller.after)
                for table in side.tables
                for one in table.columns
            ):
                yield smaller


def _without_table(pair: Pair, old: Name | None, new: Name | None) -> Pair:
    smaller = copy.deepcopy(pair)
    smaller.before.tables = [one for one in smaller.before.tables if one.id != old]
    smaller.after.tables = [one for one in smaller.after.tables if one.id != new]
    if old is not None:
        smaller.tables.pop(old, None)
        smaller.columns = {key: one for key, one in smaller.columns.items() if key[0] != old}
        smaller.renames = [one for one in smaller.renames if old[1] not in one]
    return _tidied(smaller)


def _without_column(pair: Pair, old: Name, new: Name, column: str) -> Pair:
    smaller = copy.deepcopy(pair)
    now = smaller.columns.pop((old, column))
    for table, name in ((smaller.before.table(old), column), (smaller.after.table(new), now)):
        table.columns = [
            one for one in table.columns if one.name != name and name not in (one.extra or "")
        ]
    left = {one.name for one in smaller.before.table(old).columns}
    smaller.columns = {
        key: one for key, one in smaller.columns.items() if key[0] != old or key[1] in left
    }
    smaller.renames = [one for one in smaller.renames if column not in one]
    return _tidied(smaller)


def _without_parts(pair: Pair, old: Name, new: Name) -> Iterator[Pair]:
    sides = pair.before.table(old), pair.after.table(new)
    for field in ("constraints", "indexes"):
        for key in {one.key for side in sides for one in getattr(side, field)}:
            smaller = copy.deepcopy(pair)
            for table in (smaller.before.table(old), smaller.after.table(new)):
                setattr(table, field, [one for one in getattr(table, field) if one.key != key])
            yield smaller
    for name in ("comment",):
        smaller = copy.deepcopy(pair)
        for table in (smaller.before.table(old), smaller.after.table(new)):
            setattr(table, name, None)
        if smaller != pair:
            yield smaller
    for column in pair.before.table(old).columns:
        now = pair.columns.get((old, column.name))
        if now is None:
            continue
        for name in ("default", "comment"):
            smaller = copy.deepcopy(pair)
            setattr(smaller.before.table(old).column(column.name), name, None)
            setattr(smaller.after.table(new).column(now), name, None)
            if smaller != pair:
                yield smaller


def _tidied(pair: Pair) -> Pair:
    pair.before.tidy()
    pair.after.tidy()
    return pair
