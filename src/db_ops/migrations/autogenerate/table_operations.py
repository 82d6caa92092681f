"""CREATE and DROP TABLE of a draft: in the order of their references, constraints by their names.

A name that a naming convention gives when the file runs is another one in every database that it
ran in before the models had that convention. So each constraint is named in the file, by `op.f()`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from alembic.operations.ops import CreateTableOp, MigrateOperation
    from sqlalchemy import Constraint, Dialect, ForeignKeyConstraint
    from sqlalchemy.types import TypeEngine

# Of each table, by schema and name, its constraints as the server defines them.
Definitions = Mapping[tuple[str, str], Mapping[str, str]]

_PART = re.compile(r'"((?:[^"]|"")*)"|([^".,\s()]+)')
_KEY = re.compile(
    r"(UNIQUE|FOREIGN KEY)(?: NULLS NOT DISTINCT)? \(((?:\"(?:[^\"]|\"\")*\"|[^\")])*)\)"
)
# A parameter, or the driver's own placeholder, in a text.
_SPECIAL = re.compile(r"%|(?<!:):\w")
_WORDS = {"primary_key_constraint": "PRIMARY KEY", "exclude_constraint": "EXCLUDE"}


def in_order_of_references(found: Sequence[MigrateOperation]) -> list[MigrateOperation]:
    """Return *found* with new tables first, each after those that it refers to, and dropped last.

    A foreign key that cannot be there from the start, since its table is one of a cycle or because
    it is marked with `use_alter`, comes after the tables, and goes before them.
    """
    from alembic.operations.ops import CreateTableOp, DropConstraintOp, DropTableOp

    created = {_key(op): op for op in found if isinstance(op, CreateTableOp)}
    dropped = {_key(op): op for op in found if isinstance(op, DropTableOp)}
    altered = [key for op in created.values() for key in _foreign_keys(op) if key.use_alter]
    of_created, later = _sorted(created, altered)
    of_dropped, before = _sorted(
        {key: op._reverse for key, op in dropped.items() if op._reverse is not None}
    )
    own = {key: [op for op in found if _key(op) == key] for key in (*created, *dropped)}
    for key in of_created:
        own[key] = [_without(op, later) if op is created[key] else op for op in own[key]]
    return [
        *(op for key in of_created for op in own[key]),
        *(_added(one) for one in later),
        *(op for op in found if _key(op) not in own),
        *(DropConstraintOp.from_constraint(one) for one in before),
        *(op for key in reversed(of_dropped) for op in own[key]),
        *(op for key in dropped if key not in of_dropped for op in own[key]),
    ]


def _added(one: ForeignKeyConstraint) -> MigrateOperation:
    from alembic.operations.ops import CreateForeignKeyOp

    op = CreateForeignKeyOp.from_constraint(one)
    op.kw.pop("use_alter", None)
    return op


def _key(op: MigrateOperation) -> str:
    name = getattr(op, "table_name", None) or getattr(op, "source_table", None)
    schema = getattr(op, "schema", None) or getattr(op, "kw", {}).get("source_schema")
    return f"{schema}.{name}" if schema else str(name)


def _sorted(
    tables: Mapping[str, CreateTableOp], later: Sequence[ForeignKeyConstraint] = ()
) -> tuple[list[str], list[ForeignKeyConstraint]]:
    """Return the keys of *tables* in the order of creation, and the foreign keys left for *later*.

    Those of a cycle are added to what is left anyway.
    """
    later = list(later)
    waiting = {
        key: [one for one in _foreign_keys(op) if one not in later] for key, op in tables.items()
    }
    order: list[str] = []
    while waiting:
        blocked = {
            key: [one for one in keys if _referred(one) in waiting and _referred(one) != key]
            for key, keys in waiting.items()
        }
        to = {key: {_referred(one) for one in keys} for key, keys in blocked.items()}
        reached = {key: _reached(key, to) for key in to}
        # What waits for a cycle that it is not part of has to wait on.
        free = [key for key in to if all(key in reached[other] for other in reached[key])]
        first = min(free, key=lambda key: len(blocked[key]))
        later += blocked[first]
        order.append(first)
        del waiting[first]
    return order, later


def _reached(key: str, to: Mapping[str, set[str]]) -> set[str]:
    """Return what *key* refers to, directly or by way of others."""
    found: set[str] = set()
    found_now = {key}
    while found_now:
        found_now = set().union(*(to[one] for one in found_now)) - found
        found |= found_now
    return found


def _foreign_keys(op: CreateTableOp) -> Iterator[ForeignKeyConstraint]:
    from sqlalchemy import ForeignKeyConstraint

    return (one for one in op.columns if isinstance(one, ForeignKeyConstraint))


def _referred(one: ForeignKeyConstraint) -> str:
    return one.elements[0].target_fullname.rpartition(".")[0]


def _without(op: MigrateOperation, later: Sequence[Constraint]) -> CreateTableOp:
    from alembic.operations.ops import CreateTableOp

    assert isinstance(op, CreateTableOp)
    kept = [one for one in op.columns if not any(one is left for left in later)]
    if len(kept) < len(op.columns):
        op = _like(op, kept)
    return op


def _like(op: CreateTableOp, columns: list[Any]) -> CreateTableOp:
    from copy import copy

    other = copy(op)
    other.columns = columns
    return other


def with_named_constraints(
    op: MigrateOperation, definitions: Definitions, schema: str, dialect: Dialect
) -> MigrateOperation | None:
    """Return *op* with each of its constraints named, as `op.f()` does it.

    Those of a new table that have no name get what the server calls them, by *definitions*. What a
    type like `Enum` adds becomes a CHECK of the table. Where a name is not certain, or a CHECK has
    what SQLAlchemy would read as something else, they are left to statements of their own: None, if
    nothing else is.
    """
    from alembic.operations.ops import CreateCheckConstraintOp, CreateTableOp
    from sqlalchemy.sql.elements import conv

    if isinstance(op, CreateTableOp):
        known = definitions.get((str(op.schema or schema), str(op.table_name)), {})
        return _named_table(op, dict(known), dialect)
    if isinstance(op, CreateCheckConstraintOp) and _SPECIAL.search(_sql_of(op.condition, dialect)):
        return None
    if getattr(op, "constraint_name", "") is None:
        _name(op, definitions, schema)
    for attribute in ("constraint_name", "index_name"):
        name = getattr(op, attribute, None)
        if isinstance(name, str):
            setattr(op, attribute, conv(name))
    return op


def _name(op: Any, definitions: Definitions, default: str) -> None:
    from alembic.operations.ops import (
        CreateForeignKeyOp,
        CreateUniqueConstraintOp,
        DropConstraintOp,
    )

    if isinstance(op, CreateForeignKeyOp | CreateUniqueConstraintOp | DropConstraintOp):
        schema, _, table = _key(op).rpartition(".")
        known = definitions.get((schema or default, table), {})
        op.constraint_name = _name_by_server(op.to_constraint(), known)


def _named_table(op: CreateTableOp, known: dict[str, str], dialect: Dialect) -> CreateTableOp:
    from sqlalchemy import CheckConstraint, text
    from sqlalchemy.sql.elements import conv

    # Its constraints are copies: the models' own keep the names that they have.
    table = op.to_table()
    of_types: list[Any] = [one for one in op.columns if is_made_by_a_type(one, dialect)]
    constraints: list[Any] = [
        one for one in table.constraints if not getattr(one, "_type_bound", False)
    ]
    constraints += [
        CheckConstraint(text(_sql_of(one.sqltext, dialect)), name=one.name) for one in of_types
    ]
    for one in constraints:
        if isinstance(one.name, str):
            one.name = conv(one.name)
            known.pop(one.name, None)
    named = [one for one in constraints if isinstance(one.name, str)]
    for one in (one for one in constraints if not isinstance(one.name, str)):
        if one.__visit_name__ == "primary_key_constraint" and not list(one.columns):
            continue
        name = _name_by_server(one, known)
        if name is not None:
            one.name = conv(name)
            del known[name]
            named.append(one)
    plain = [
        one
        for one in named
        if not isinstance(one, CheckConstraint)
        or not _SPECIAL.search(_sql_of(one.sqltext, dialect))
    ]
    return _like(op, [*table.columns, *plain])


def is_made_by_a_type(one: object, dialect: Dialect) -> bool:
    """Tell whether *one* is the CHECK of an `Enum` or `Boolean` that this *dialect* creates."""
    if not getattr(one, "_type_bound", False):
        return False
    rule = getattr(one, "_create_rule", None)
    return rule is None or bool(rule(dialect.ddl_compiler(dialect, None)))  # type: ignore[arg-type]  # as Alembic does


def without_constraint(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return *type_* such that it adds no CHECK to a table."""
    if not getattr(type_, "create_constraint", False):
        return type_
    other: Any = type_.copy()
    other.create_constraint = False
    return cast("TypeEngine[Any]", other)


def _name_by_server(one: Any, known: Mapping[str, str]) -> str | None:
    """Return the only one of the *known* constraints that *one* can be."""
    kind = one.__visit_name__
    if kind in ("unique_constraint", "foreign_key_constraint"):
        columns = [str(column.name) for column in one.columns]
        found = [name for name, text in known.items() if _is_key(text, one, columns)]
    else:
        word = _WORDS.get(kind, "CHECK")
        found = [name for name, text in known.items() if text.startswith(word)]
    return found[0] if len(found) == 1 else None


def _is_key(definition: str, one: Any, columns: list[str]) -> bool:
    key = _KEY.match(definition)
    if key is None or _parts(key[2]) != columns:
        return False
    if one.__visit_name__ == "unique_constraint":
        return key[1] == "UNIQUE"
    referred = _parts(definition[key.end() :].removeprefix(" REFERENCES ").partition("(")[0])
    return key[1] == "FOREIGN KEY" and referred[-1] == _referred(one).rpartition(".")[2]


def _parts(text: str) -> list[str]:
    return [bare or quoted.replace('""', '"') for quoted, bare in _PART.findall(text)]


def _sql_of(expression: Any, dialect: Dialect) -> str:
    if isinstance(expression, str):
        return expression
    compiled = expression.compile(
        dialect=dialect, compile_kwargs={"literal_binds": True, "include_table": False}
    )
    return str(compiled)
