"""Statements that give a column numbers from a sequence, or none, on tables that hold rows.

What a sequence draws next is past every number of its column, and past what an older one has drawn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from db_ops.errors.quote_ident import quote_ident
from db_ops.postgres.schema.identifiers import schema_prefix, unquoted_parts
from db_ops.postgres.schema.objects import SchemaObject
from db_ops.postgres.schema.repair import literal
from db_ops.postgres.schema.sequence_options import (
    LARGEST,
    OWN_SEQUENCE,
    changed_options,
    cut_name,
    new_options,
    option_pairs,
    own_sequence_name,
)

_NAMED = re.compile(r"nextval\('((?:[^']|'')+)'::regclass\)\Z")
_REPLACED = "_replaced"


def changes_sequence(actual: SchemaObject, wanted: SchemaObject) -> bool:
    """Tell whether *wanted* draws from another sequence than *actual*, or from one unlike it."""
    old, new = _source(actual), _source(wanted)
    if old == new == OWN_SEQUENCE:
        return actual.attributes.get("sequence") != wanted.attributes.get("sequence")
    return old != new and (new is not None or old in ("identity", OWN_SEQUENCE))


def draws_alike(actual: SchemaObject, wanted: SchemaObject) -> bool:
    """Tell whether both draw from a sequence of their own, or from the same one, or from none."""
    return _source(actual) == _source(wanted)


def sequence_statements(
    actual: SchemaObject, wanted: SchemaObject, names: Mapping[str, str], original: str | None
) -> tuple[str, ...]:
    """Return the statements that let *actual* draw its numbers as *wanted* does.

    *names* says what the sequence of each column is called; *original* is what a sequence that is
    made should be called, where it was there before.
    """
    old, new = _source(actual), _source(wanted)
    own = names.get(actual.name)
    alter, this = f"ALTER TABLE {actual.parent}", f"ALTER COLUMN {actual.label}"
    if old == OWN_SEQUENCE and new is not None and new == own:
        # The same one, which no column owns any more.
        position = _position(actual, wanted, literal(new), new)
        return (f"ALTER SEQUENCE {new} OWNED BY NONE", position)
    if new == OWN_SEQUENCE and old == (original or own_sequence_name(wanted)):
        options = wanted.attributes["sequence"]
        cycle = "" if options.endswith(" CYCLE") else " NO CYCLE"
        position = _position(actual, wanted, literal(old), old)
        return (f"ALTER SEQUENCE {old} AS {options}{cycle} OWNED BY {actual.name}", position)
    if new == OWN_SEQUENCE == old:
        return (f"ALTER SEQUENCE {own} {' '.join(_changed_options(actual, wanted))}",)
    if new == "identity":
        return tuple(_to_identity(actual, wanted, own, original))
    if new == OWN_SEQUENCE:
        name = original or own or own_sequence_name(wanted)
        return tuple(_to_own(actual, wanted, own, name))
    drop = "IDENTITY" if old == "identity" else "DEFAULT"
    statements = [f"{alter} {this} DROP {drop}"] if old else []
    if new is not None:
        drawn = own if old in ("identity", OWN_SEQUENCE) else old
        statements.insert(
            0, _position(actual, wanted, literal(new), drawn, f"(SELECT last_value FROM {new})")
        )
        statements.append(f"{alter} {this} SET DEFAULT {wanted.attributes['default']}")
    if old == OWN_SEQUENCE and "sequence" not in wanted.attributes:
        statements.append(f"DROP SEQUENCE {own}")
    return tuple(statements)


def _changed_options(actual: SchemaObject, wanted: SchemaObject) -> Iterator[str]:
    before, after = actual.attributes["sequence"], wanted.attributes["sequence"]
    old, new = (text.partition(" ")[0] for text in (before, after))
    if old != new:
        yield f"AS {new}"
    for clause in changed_options(before, after):
        # The largest number of a type goes with the type.
        largest = f"MAXVALUE {LARGEST.get(old)} " in before and clause == (
            f"MAXVALUE {LARGEST.get(new)}"
        )
        if not (largest and old != new):
            yield clause


def _source(column: SchemaObject) -> str | None:
    """Return where a column's numbers come from: `identity`, its own sequence, or a named one."""
    default = column.attributes.get("default", "")
    if "identity" in column.attributes:
        return "identity"
    if default == OWN_SEQUENCE:
        return OWN_SEQUENCE
    found = _NAMED.match(default)
    return found[1].replace("''", "'") if found else None


def _to_identity(
    actual: SchemaObject, wanted: SchemaObject, own: str | None, original: str | None
) -> Iterator[str]:
    alter, this = f"ALTER TABLE {actual.parent}", f"ALTER COLUMN {actual.label}"
    drawn = _source(actual)
    if "default" in actual.attributes:
        yield f"{alter} {this} DROP DEFAULT"
    if drawn == OWN_SEQUENCE and own:
        # Its name is that of the new one.
        drawn = _with_suffix(own)
        yield f"ALTER SEQUENCE {own} OWNED BY NONE"
        yield f"ALTER SEQUENCE {own} RENAME TO {quote_ident(unquoted_parts(drawn)[-1])}"
    if actual.attributes["nullability"] == "NULL":
        yield f"{alter} {this} SET NOT NULL"
    is_renamed = original not in (None, own_sequence_name(actual))
    named = [f"SEQUENCE NAME {original}"] if is_renamed else []
    options = " ".join((*named, *new_options(wanted.attributes.get("sequence", ""))))
    options = f" ({options})" if options else ""
    yield f"{alter} {this} ADD GENERATED {wanted.attributes['identity']} AS IDENTITY{options}"
    yield _position(actual, wanted, _serial_sequence(actual), drawn)
    if drawn and own and drawn == _with_suffix(own):
        yield f"DROP SEQUENCE {drawn}"


def _to_own(
    actual: SchemaObject, wanted: SchemaObject, own: str | None, name: str
) -> Iterator[str]:
    alter, this = f"ALTER TABLE {actual.parent}", f"ALTER COLUMN {actual.label}"
    drawn = _source(actual)
    if drawn == "identity" and own:
        drawn = _with_suffix(own)
        yield f"ALTER SEQUENCE {own} RENAME TO {quote_ident(unquoted_parts(drawn)[-1])}"
    elif own:
        # It belongs to the column already, and nothing draws from it.
        yield _position(actual, wanted, literal(own), drawn)
        yield f"{alter} {this} SET DEFAULT nextval({literal(own)})"
        return
    options = wanted.attributes.get("sequence", "")
    kind = options.partition(" ")[0]
    clauses = [f"AS {kind}"] if kind and kind != "bigint" else []
    yield " ".join((f"CREATE SEQUENCE {name}", *clauses, *new_options(options)))
    yield _position(actual, wanted, literal(name), drawn)
    if "identity" in actual.attributes:
        yield f"{alter} {this} DROP IDENTITY"
    yield f"ALTER SEQUENCE {name} OWNED BY {actual.name}"
    yield f"{alter} {this} SET DEFAULT nextval({literal(name)})"


def _position(
    actual: SchemaObject,
    wanted: SchemaObject,
    sequence: str,
    drawn: str | None,
    start: str | None = None,
) -> str:
    """Return what sets *sequence* to the last number of the column, or that *drawn* has given."""
    of = dict(option_pairs(wanted.attributes.get("sequence", "")))
    down = of.get("INCREMENT", "1").startswith("-")
    value = actual.label if actual.attributes["type"] in LARGEST else f"{actual.label}::bigint"
    last = f"{'min' if down else 'max'}({value})"
    if drawn and drawn != sequence:
        known = f"(SELECT last_value FROM {drawn} WHERE is_called)"
        last = f"{'least' if down else 'greatest'}({last}, {known})"
    start = start or of.get("START", "1")
    return (
        f"SELECT setval({sequence}, {last}) FROM {actual.parent}"
        f" HAVING {last} {'<=' if down else '>='} {start}"
    )


def _serial_sequence(column: SchemaObject) -> str:
    name = unquoted_parts(column.label)[-1]
    return f"pg_get_serial_sequence({literal(column.parent or '')}, {literal(name)})"


def _with_suffix(name: str) -> str:
    return schema_prefix(name) + quote_ident(cut_name(unquoted_parts(name)[-1], _REPLACED))
