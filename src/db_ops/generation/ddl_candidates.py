"""The DDL statements that may settle a difference, the best first.

Each candidate is a tuple of them, which settle it together.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from db_ops.postgres.schema.objects import Change, Schema, SchemaObject

_SET_EXPRESSION_SINCE = 17
_OPTIONS = ("START", "INCREMENT", "MINVALUE", "MAXVALUE", "CACHE")


def ddl_candidates(change: Change, wanted: Schema, actual: Schema) -> Iterator[tuple[str, ...]]:
    """Yield SQL that may make *actual* like *wanted* in one *change*, each whole in itself."""
    if change.undo:
        yield change.undo
    found = wanted.objects.get((change.kind, change.name))
    if change.kind == "column" and found is not None:
        for found_sql in _column(change, found, actual):
            yield (found_sql,) if isinstance(found_sql, str) else found_sql


def _column(
    change: Change, column: SchemaObject, actual: Schema
) -> Iterator[str | tuple[str, ...]]:
    alter = f"ALTER TABLE {column.parent}"
    this = f"ALTER COLUMN {column.label}"
    of = column.attributes
    if change.attribute in ("type", "collation") and "generated" not in of:
        collation = f" COLLATE {of['collation']}" if "collation" in of else ""
        changed = f"{this} TYPE {of['type']}{collation} USING {column.label}"
        default = f", {this} SET DEFAULT {of['default']}" if _has_plain_default(of) else ""
        for cast in (f"::{of['type']}", f"::text::{of['type']}"):
            yield f"{alter} {this} DROP DEFAULT, {changed}{cast}{default}"
        computed = "".join(f"DROP COLUMN {label}, " for label in _computed(column, actual))
        if computed:
            # They come back in the next round.
            yield f"{alter} {computed}{changed}::{of['type']}"
    elif change.attribute == "sequence" and change.expected and change.actual:
        yield from _sequence(change, column, alter, this)
    elif change.attribute == "sequence" and change.expected is None and "identity" not in of:
        sequence = _own_sequence(column)
        if "default" not in of:
            yield f"{alter} {this} DROP DEFAULT", f"DROP SEQUENCE {sequence}"
        yield f"DROP SEQUENCE {sequence}"
    elif change.attribute == "default" and change.expected == "nextval(its own sequence)":
        sequence = _own_sequence(column)
        yield (
            f"CREATE SEQUENCE {sequence} AS {of['type']} OWNED BY {column.name}",
            f"{alter} {this} SET DEFAULT nextval('{sequence}')",
        )
        yield f"{alter} {this} SET DEFAULT nextval('{sequence}')"
    elif change.attribute == "generated" and change.expected:
        expression, _, how = change.expected.rpartition(" ")
        if actual.major >= _SET_EXPRESSION_SINCE and change.actual and change.actual.endswith(how):
            yield f"{alter} {this} SET EXPRESSION AS ({expression})"
        yield from _anew(column, alter)
    elif change.attribute == "generated" and change.actual and change.actual.endswith("VIRTUAL"):
        yield from _anew(column, alter)
    elif change.attribute is None and change.actual is None:
        yield from _with_identity(column, alter)


def _computed(column: SchemaObject, actual: Schema) -> Iterator[str]:
    """Yield the computed columns of a table, which may hold on to the type of another one."""
    for (kind, _), found in sorted(actual.objects.items()):
        if kind == "column" and found.parent == column.parent and "generated" in found.attributes:
            yield found.label


def _has_plain_default(of: object) -> bool:
    assert isinstance(of, dict)
    return "default" in of and "its own sequence" not in of["default"]


def _anew(column: SchemaObject, alter: str) -> Iterator[str]:
    """Yield how to make a column again whose values are computed, so that none are lost."""
    of = column.attributes
    collation = f" COLLATE {of['collation']}" if "collation" in of else ""
    null = " NOT NULL" if of["nullability"] == "NOT NULL" else ""
    if "generated" in of:
        expression, _, how = of["generated"].rpartition(" ")
        clause = f" GENERATED ALWAYS AS ({expression}) {how}"
    else:
        clause = f" DEFAULT {of['default']}" if _has_plain_default(of) else ""
    added = f"ADD COLUMN {column.label} {of['type']}{collation}{clause}{null}"
    yield f"{alter} DROP COLUMN {column.label}, {added}"


def _with_identity(column: SchemaObject, alter: str) -> Iterator[str]:
    of = column.attributes
    if "identity" in of:
        options = " ".join(_options(of.get("sequence", "")))
        yield (
            f"{alter} ADD COLUMN {column.label} {of['type']}"
            f" GENERATED {of['identity']} AS IDENTITY ({options})"
        )
    elif "sequence" in of:
        serial = {"smallint": "smallserial", "integer": "serial", "bigint": "bigserial"}
        if of["type"] in serial:
            yield f"{alter} ADD COLUMN {column.label} {serial[of['type']]}"
    elif of["nullability"] == "NOT NULL":
        collation = f" COLLATE {of['collation']}" if "collation" in of else ""
        yield f"{alter} ADD COLUMN {column.label} {of['type']}{collation} NOT NULL"


def _sequence(change: Change, column: SchemaObject, alter: str, this: str) -> Iterator[str]:
    before = set(_options(change.actual or ""))
    options = [option for option in _options(change.expected or "") if option not in before]
    if "identity" in column.attributes:
        yield f"{alter} {this} {' '.join(f'SET {option}' for option in options)}"
    else:
        yield f"ALTER SEQUENCE {_own_sequence(column)} {' '.join(options)}"


def _options(text: str) -> Iterator[str]:
    """Yield the clauses of a sequence as the catalogs list them: a type first, then pairs."""
    words = text.split()
    for word, value in itertools.pairwise(words):
        if word in _OPTIONS:
            yield f"{word} {value}"
    yield "CYCLE" if words and words[-1] == "CYCLE" else "NO CYCLE"


def _own_sequence(column: SchemaObject) -> str:
    """Return the name that PostgreSQL gives to the sequence of a serial column."""
    table = (column.parent or "").removesuffix('"')
    quote = '"' if (column.parent or "").endswith('"') else ""
    return f"{table}_{column.label.strip(chr(34))}_seq{quote}"
