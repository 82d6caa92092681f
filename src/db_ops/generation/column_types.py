"""Statements that change the type of columns, and of what stands in the way only that.

What speaks of the column and keeps the server from it is dropped, and made again as it is to be.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from db_ops.generation.enum_rebuild import columns_of_enum, enum_rebuild_statements
from db_ops.generation.statements import ScratchSession, as_one_statement
from db_ops.generation.value_checks import by_way_of
from db_ops.postgres.schema.dependents import Key
from db_ops.postgres.schema.objects import Change, Schema, SchemaObject
from db_ops.postgres.schema.repair import undo_attribute, undo_extra, undo_missing

OF_TYPE = ("type", "collation")
_TRIAL = "pg_temp.db_ops_cast"


def retyped_columns(changes: Iterable[Change]) -> tuple[str, ...]:
    """Return the names of columns that both sides have, of different types."""
    return tuple(
        dict.fromkeys(
            change.name
            for change in changes
            if change.kind == "column" and change.attribute in OF_TYPE
        )
    )


def retype_candidates(
    session: ScratchSession, before: Schema, goal: Schema, columns: Collection[str]
) -> Iterator[tuple[str, ...]]:
    """Yield statements that give *columns* their types of *goal*, the least invasive first.

    Nothing is yielded where PostgreSQL has no cast for one of them.
    """
    clauses: dict[str, list[str]] = {}
    for name in columns:
        actual, wanted = before.objects["column", name], goal.objects["column", name]
        clause = _type_clause(session, actual, wanted, before)
        if clause is None:
            return
        clauses.setdefault(actual.parent or "", []).extend(_with_default(actual, wanted, clause))
    alter = tuple(f"ALTER TABLE {table} {', '.join(parts)}" for table, parts in clauses.items())
    dependents = session.dependents(columns)
    orders = (), dependents.in_the_way(), dependents.in_order()
    yield from _without(orders, before, goal, alter)


def enum_candidates(
    session: ScratchSession, before: Schema, goal: Schema, change: Change
) -> Iterator[tuple[str, ...]]:
    """Yield statements that give an enum its values of *goal*, the least invasive first."""
    rebuild = enum_rebuild_statements(change, before)
    columns = [one.name for one in columns_of_enum(before, change.name)]
    yield from _without(((), session.dependents(columns).in_the_way()), before, goal, rebuild)


def _without(
    orders: Iterable[Sequence[Key]], before: Schema, goal: Schema, statements: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    """Yield *statements* between dropping the objects of an order and making those of *goal*."""
    for among in dict.fromkeys(orders):
        found = [before.objects[key] for key in among if key in before.objects]
        plain = [one for one in found if _becomes_plain(one, goal)]
        gone = [one for one in found if one not in plain]
        drop = [sql for one in reversed(gone) for sql in undo_extra(one)]
        drop += [sql for one in plain for sql in undo_attribute(_as_plain(one), one, "generated")]
        back = [goal.objects[one.kind, one.name] for one in gone if _is_kept(one, goal)]
        create = [undo_missing(one) for one in back]
        if all(create):
            yield (*drop, *statements, *(sql for made in create for sql in made))


def _becomes_plain(one: SchemaObject, goal: Schema) -> bool:
    """Tell whether *one* is a generated column that keeps its values as a plain one."""
    wanted = goal.objects.get((one.kind, one.name))
    return (
        one.kind == "column"
        and "generated" in one.attributes
        and wanted is not None
        and "generated" not in wanted.attributes
    )


def _as_plain(one: SchemaObject) -> SchemaObject:
    kept = {name: value for name, value in one.attributes.items() if name != "generated"}
    return replace(one, attributes=kept)


def _is_kept(one: SchemaObject, goal: Schema) -> bool:
    return (one.kind, one.name) in goal.objects


def _with_default(actual: SchemaObject, wanted: SchemaObject, clause: str) -> Iterator[str]:
    """Yield *clause* between dropping a default of the old type and setting the new one."""
    this = f"ALTER COLUMN {actual.label}"
    old, new = (one.attributes.get("default", "") for one in (actual, wanted))
    if old and "its own sequence" not in old:
        yield f"{this} DROP DEFAULT"
    yield clause
    if new and "its own sequence" not in new:
        yield f"{this} SET DEFAULT {new}"


def _type_clause(
    session: ScratchSession, actual: SchemaObject, wanted: SchemaObject, before: Schema
) -> str | None:
    """Return the clause that changes the type, None without any cast.

    USING is an explicit cast, which cuts what does not fit; one that the server makes itself where
    a value is assigned refuses it. So the server is asked, on a table of its own, whether it has
    one.
    """
    old, new = actual.attributes["type"], wanted.attributes["type"]
    collation = wanted.attributes.get("collation")
    target = f"{new} COLLATE {collation}" if collation else new
    clause = f"ALTER COLUMN {actual.label} TYPE {target}"
    if "generated" in actual.attributes and "generated" in wanted.attributes:
        return clause
    for cast in dict.fromkeys(("", f"::{new}", by_way_of(old, new), *_over_text(old, new, before))):
        using = f" USING value{cast}" if cast else ""
        tried = (
            f"CREATE TEMPORARY TABLE db_ops_cast (value {old})",
            f"ALTER TABLE {_TRIAL} ALTER COLUMN value TYPE {target}{using}",
            f"DROP TABLE {_TRIAL}",
        )
        if session.run(as_one_statement(tried)) is None:
            return clause + (f" USING {actual.label}{cast}" if cast else "")
    return None


def _over_text(old: str, new: str, before: Schema) -> Iterator[str]:
    """Yield the cast from one enum to another, whose values have the same names."""
    array = "[]" if old.endswith("[]") and new.endswith("[]") else ""
    if all(("enum", one.removesuffix(array)) in before.objects for one in (old, new)):
        yield f"::text{array}::{new}"
