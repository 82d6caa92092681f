"""CREATE TABLE for the script of a schema, with columns and constraints, and what follows it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from db_ops.postgres.schema.objects import Schema, SchemaObject
from db_ops.postgres.schema.repair import literal, type_clauses
from db_ops.postgres.schema.script.statements import after_constraint, told_apart
from db_ops.postgres.schema.sequence_options import (
    OWN_SEQUENCE,
    SERIAL,
    new_options,
    own_sequence_name,
)

_CONSTRAINTS = ("PRIMARY KEY", "UNIQUE", "CHECK", "EXCLUDE")


def table_statements(
    table: SchemaObject, parts: Iterable[SchemaObject], schema: Schema
) -> Iterator[str]:
    """Yield what makes *table* with its *parts*: the columns in their order, and constraints."""
    of = table.attributes
    columns, constraints, after = [], [], []
    for part in parts:
        if part.kind == "constraint":
            constraints.append(part)
            continue
        sequence = _explicit_sequence(part, schema)
        columns.append(f"    {_column(part, sequence)}")
        if sequence:
            options = part.attributes["sequence"]
            clauses = " ".join((f"AS {options.partition(' ')[0]}", *new_options(options)))
            yield f"CREATE SEQUENCE {sequence} {clauses};"
            after.append(f"ALTER SEQUENCE {sequence} OWNED BY {part.name};")
        if "NOT VALID" in part.attributes["nullability"]:
            after.append(f"ALTER TABLE {table.name} ADD NOT NULL {part.label} NOT VALID;")
        after += told_apart(part)
    for part in sorted(constraints, key=_constraint_position):
        columns.append(f"    CONSTRAINT {part.label} {part.attributes['definition']}")
        after += after_constraint(part)
    body = "(\n" + ",\n".join(columns) + "\n)" if columns else "()"
    inherits = f" INHERITS ({of['inherits']})" if "inherits" in of else ""
    partitioned = f" PARTITION BY {of['partition key']}" if "partition key" in of else ""
    yield f"CREATE TABLE {table.name} {body}{inherits}{partitioned};"
    yield from told_apart(table)
    yield from after


def _constraint_position(one: SchemaObject) -> tuple[int, str]:
    definition = one.attributes["definition"]
    order = (number for number, word in enumerate(_CONSTRAINTS) if definition.startswith(word))
    return next(order), one.label


def _explicit_sequence(column: SchemaObject, schema: Schema) -> str | None:
    """Return the name for a sequence of the column's own that `serial` would not make."""
    of = column.attributes
    if "sequence" not in of or "identity" in of:
        return None
    options = of["sequence"]
    is_serial = options.partition(" ")[0] == of["type"] and not list(new_options(options))
    if is_serial and of.get("default") == OWN_SEQUENCE:
        return None
    names = (own_sequence_name(column, f"_seq{number or ''}") for number in itertools.count())
    return next(name for name in names if ("sequence", name) not in schema.objects)


def _column(column: SchemaObject, sequence: str | None) -> str:
    of = column.attributes
    default = of.get("default")
    words = [column.label, *type_clauses(of)]
    if default == OWN_SEQUENCE:
        default = f"nextval({literal(sequence)}::regclass)" if sequence else None
        words[1] = words[1] if sequence else SERIAL[words[1]]
    if "identity" in of:
        words.append(f"GENERATED {of['identity']} AS IDENTITY")
        options = " ".join(new_options(of.get("sequence", "")))
        words += [f"({options})"] if options else []
    if default is not None:
        words.append(f"DEFAULT {default}")
    if of["nullability"] != "NULL" and "NOT VALID" not in of["nullability"]:
        words.append(of["nullability"])
    return " ".join(words)
