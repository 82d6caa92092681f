"""The statements that make an object of any kind but a table, for the script of a schema."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from db_ops.postgres.schema.enum_values import labels
from db_ops.postgres.schema.identifiers import schema_prefix
from db_ops.postgres.schema.normalization import without_own_prefix
from db_ops.postgres.schema.objects import Schema, SchemaObject
from db_ops.postgres.schema.repair import literal, undo_attribute, undo_missing
from db_ops.postgres.schema.repair.addressing import comment
from db_ops.postgres.schema.repair.objects import add_constraint

# Older servers qualify the columns of a view's only relation.
_WITHOUT_PREFIX = 16
# What the statement that creates an object says of it, where that is not all.
_SAID: Mapping[str, Collection[str]] = {
    "table": ("partition key", "inherits"),
    "partition": ("of", "bound", "partition key"),
    "column": ("type", "nullability", "default", "generated", "identity", "sequence", "collation"),
    "constraint": ("definition", "validity"),
    "index": ("definition", "clustered", "statistics", "comment"),
    "view": ("definition", "options", "comment"),
    "materialized view": ("definition", "options", "comment"),
    "view column": ("default", "comment"),
    "collation": ("provider", "collate", "ctype", "locale", "deterministic"),
    "range type": ("subtype", "multirange", "operator class"),
    "publication": ("all tables", "operations", "via root", "schemas"),
}
# What an object has of which nothing is said.
_USUAL = {
    "persistence": "permanent",
    "row security": "disabled",
    "forced row security": "not forced",
    "replica identity": "default",
    "access method": "heap",
    "validity": "valid",
    "generated columns": "none",
}


def stands_in_table(one: SchemaObject, schema: Schema) -> bool:
    """Tell whether *one* is a column or a constraint that CREATE TABLE can hold."""
    if ("table", one.parent or "") not in schema.objects:
        return False
    is_valid = one.kind == "constraint" and one.attributes["validity"] == "valid"
    return one.kind == "column" or (is_valid and not is_foreign_key(one))


def is_foreign_key(one: SchemaObject) -> bool:
    return one.kind == "constraint" and one.attributes["definition"].startswith("FOREIGN KEY")


def statements(one: SchemaObject, major: int) -> Iterator[str]:
    """Yield what makes *one*, or tells of it; *major* is the version of its server."""
    of = one.attributes
    create = _CREATE.get(one.kind)
    if (one.kind, one.name) == ("schema", "public"):
        # Every database begins with it, and with plpgsql.
        if of.get("comment", "standard public schema") != "standard public schema":
            yield f"{comment(one, of['comment'])};"
    elif one.kind == "extension":
        if one.name != "plpgsql":
            yield f"CREATE EXTENSION IF NOT EXISTS {one.name} WITH SCHEMA {of['schema']};"
    elif create is not None:
        yield f"{create(one)};"
        yield from told_apart(one)
    elif one.kind == "column":
        # Of a foreign table, which no statement makes here: options may be secrets.
        yield from _told(one, of)
    elif one.kind == "view column" and "default" not in of:
        yield from told_apart(one, ("default",))
    else:
        if "view" in one.kind and "definition" in of and major < _WITHOUT_PREFIX:
            query = without_own_prefix(of["definition"])
            one = replace(one, attributes={**of, "definition": query})
        made = undo_missing(one)
        yield from (f"{statement};" for statement in made)
        yield from told_apart(one, _SAID.get(one.kind, of)) if made else _told(one, of)


def after_constraint(one: SchemaObject) -> Iterator[str]:
    """Yield what CREATE TABLE does not say of a constraint in it."""
    options = one.attributes.get("index options")
    if options:
        yield f"ALTER INDEX {schema_prefix(one.parent or '')}{one.label} SET ({options});"
    yield from (f"{statement};" for statement in undo_missing(one)[1:])
    yield from told_apart(one, (*_SAID["constraint"], "index options", "clustered", "comment"))


def told_apart(one: SchemaObject, said: Collection[str] | None = None) -> Iterator[str]:
    """Yield what is to be told of *one* beside what is *said* of it by what creates it."""
    of = one.attributes
    if said is None:
        said = _SAID.get(one.kind, of.keys() - {"comment"})
    untold = {}
    for name, value in of.items():
        usual = _USUAL.get(name)
        if name in said or value == usual:
            continue
        others = {key: text for key, text in of.items() if key != name}
        plain = others if usual is None else {**others, name: usual}
        found = undo_attribute(one, replace(one, attributes=plain), name)
        yield from (f"{statement};" for statement in found)
        if not found:
            untold[name] = value
    if untold:
        yield from _told(one, untold)


def _told(one: SchemaObject, attributes: Mapping[str, str]) -> Iterator[str]:
    yield f"-- {one.kind} {one.name}"
    for name, value in attributes.items():
        yield f"--   {name}: " + "\n--     ".join(value.split("\n"))


def _enum(one: SchemaObject) -> str:
    values = ",\n".join(f"    {label}" for label in labels(one.attributes.get("values")))
    return f"CREATE TYPE {one.name} AS ENUM (\n{values}\n)"


def _partition(one: SchemaObject) -> str:
    of = one.attributes
    key = f" PARTITION BY {of['partition key']}" if "partition key" in of else ""
    return f"CREATE TABLE {one.name} PARTITION OF {of['of']} {of['bound']}{key}"


def _constraint(one: SchemaObject) -> str:
    return f"ALTER TABLE {one.parent}\n    {add_constraint(one)}"


def _collation(one: SchemaObject) -> str:
    of = one.attributes
    given = {"locale": "locale", "lc_collate": "collate", "lc_ctype": "ctype"}
    clauses = [f"provider = {of['provider']}"]
    clauses += [f"{word} = {literal(of[name])}" for word, name in given.items() if name in of]
    clauses += ["deterministic = false"] if of["deterministic"] == "false" else []
    return f"CREATE COLLATION {one.name} ({', '.join(clauses)})"


def _range(one: SchemaObject) -> str:
    of = one.attributes
    names = f"subtype = {of['subtype']}, subtype_opclass = {of['operator class']}"
    return f"CREATE TYPE {one.name} AS RANGE ({names}, multirange_type_name = {of['multirange']})"


def _publication(one: SchemaObject) -> str:
    of = one.attributes
    what = " FOR ALL TABLES" if "all tables" in of else ""
    what = f" FOR TABLES IN SCHEMA {of['schemas']}" if "schemas" in of else what
    root = ", publish_via_partition_root = true" if "via root" in of else ""
    return f"CREATE PUBLICATION {one.name}{what} WITH (publish = '{of['operations']}'{root})"


_CREATE = {
    "enum": _enum,
    "partition": _partition,
    "constraint": _constraint,
    "collation": _collation,
    "range type": _range,
    "publication": _publication,
}
