"""Recreate an enum type with fewer values: PostgreSQL cannot remove one."""

from __future__ import annotations

from collections.abc import Iterator

from db_ops.errors.quote_ident import quote_ident
from db_ops.postgres.schema.identifiers import schema_prefix, unquoted_parts
from db_ops.postgres.schema.objects import Change, Schema, SchemaObject

_SUFFIX = "_replaced"


def replaces_enum(change: Change) -> bool:
    """Tell whether *change* is one of an enum's values that no other statement makes."""
    return (change.kind, change.attribute) == ("enum", "values") and not change.undo


def enum_rebuild_statements(change: Change, before: Schema) -> tuple[str, ...]:
    """Return the statements that give the enum of *change* its expected values, whatever uses it.

    *before* is the schema as it is now. Each column of the type is rewritten; indexes and
    constraints that speak of the type are made again. A row with a value that is to go makes all of
    it fail.
    """
    name = change.name
    label = quote_ident(unquoted_parts(name)[-1] + _SUFFIX)
    schema = schema_prefix(name)
    columns = columns_of_enum(before, name)
    tables = {column.parent for column in columns}
    in_the_way = [
        found
        for kind in ("index", "constraint")
        for found in _of_kind(before, kind)
        if found.parent in tables and f"::{name}" in found.attributes.get("definition", "")
    ]
    statements = [_drop(found) for found in in_the_way]
    statements.append(f"ALTER TYPE {name} RENAME TO {label}")
    statements.append(f"CREATE TYPE {name} AS ENUM ({change.expected or ''})")
    statements += [_retyped(column) for column in columns]
    statements.append(f"DROP TYPE {schema}{label}")
    statements += [_create(found) for found in in_the_way]
    return tuple(statements)


def columns_of_enum(schema: Schema, name: str) -> list[SchemaObject]:
    """Return the columns of the enum *name*, and of arrays of it."""
    return [
        found
        for found in _of_kind(schema, "column")
        if found.attributes["type"].removesuffix("[]") == name
    ]


def _of_kind(schema: Schema, kind: str) -> Iterator[SchemaObject]:
    for (its_kind, _), found in sorted(schema.objects.items()):
        if its_kind == kind:
            yield found


def _retyped(column: SchemaObject) -> str:
    of, this = column.attributes, f"ALTER COLUMN {column.label}"
    array = "[]" if of["type"].endswith("[]") else ""
    clauses = [f"{this} TYPE {of['type']} USING {column.label}::text{array}::{of['type']}"]
    if "default" in of:
        clauses = [f"{this} DROP DEFAULT", *clauses, f"{this} SET DEFAULT {of['default']}"]
    return f"ALTER TABLE {column.parent} {', '.join(clauses)}"


def _drop(found: SchemaObject) -> str:
    if found.kind == "index":
        return f"DROP INDEX {found.name}"
    return f"ALTER TABLE {found.parent} DROP CONSTRAINT {found.label}"


def _create(found: SchemaObject) -> str:
    definition = found.attributes["definition"]
    if found.kind == "index":
        return definition.replace(" ON ONLY ", " ON ", 1)
    return f"ALTER TABLE {found.parent} ADD CONSTRAINT {found.label} {definition}"
