"""Statements that give a column numbers from a sequence, or none, on tables that hold rows.

What a sequence draws next is past every number of its column, and past what an older one has drawn.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping

from db_ops.errors.quote_ident import quote_ident
from db_ops.postgres.schema.identifiers import schema_prefix, unquoted_parts
from db_ops.postgres.schema.objects import SchemaObject
from db_ops.postgres.schema.repair import literal

_OWN = "nextval(its own sequence)"
_NAMED = re.compile(r"nextval\('((?:[^']|'')+)'::regclass\)\Z")
_OPTIONS = ("START", "INCREMENT", "MINVALUE", "MAXVALUE", "CACHE")
_LARGEST = {"smallint": 32767, "integer": 2147483647, "bigint": 9223372036854775807}
_REPLACED = "_replaced"


def changes_sequence(actual: SchemaObject, wanted: SchemaObject) -> bool:
    """Tell whether *wanted* draws from another sequence than *actual*, or from one unlike it."""
    old, new = _source(actual), _source(wanted)
    if old == new == _OWN:
        return actual.attributes.get("sequence") != wanted.attributes.get("sequence")
    return old != new and (new is not None or old in ("identity", _OWN))


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
    if new == _OWN == old:
        return (f"ALTER SEQUENCE {own} {' '.join(_changed_options(actual, wanted))}",)
    if new == "identity":
        return tuple(_to_identity(actual, wanted, own))
    if new == _OWN:
        name = original or own or _sequence_name(wanted)
        return tuple(_to_own(actual, wanted, own, name))
    drop = "IDENTITY" if old == "identity" else "DEFAULT"
    statements = [f"{alter} {this} DROP {drop}"] if old else []
    if new is not None:
        drawn = own if old in ("identity", _OWN) else old
        statements.insert(
            0, _position(actual, wanted, literal(new), drawn, f"(SELECT last_value FROM {new})")
        )
        statements.append(f"{alter} {this} SET DEFAULT {wanted.attributes['default']}")
    if old == _OWN and "sequence" not in wanted.attributes:
        statements.append(f"DROP SEQUENCE {own}")
    return tuple(statements)


def new_options(options: str) -> Iterator[str]:
    """Yield the clauses of a new sequence, without those that its type implies."""
    kind, of = options.partition(" ")[0], dict(_pairs(options))
    implied = {"START": "1", "INCREMENT": "1", "MINVALUE": "1", "CACHE": "1"}
    implied["MAXVALUE"] = str(_LARGEST.get(kind, ""))
    if of.get("INCREMENT", "1").startswith("-"):
        implied = {"CACHE": "1"}
    yield from (f"{word} {value}" for word, value in of.items() if implied.get(word) != value)
    if options.endswith(" CYCLE"):
        yield "CYCLE"


def changed_options(before: str, after: str) -> Iterator[str]:
    """Yield the clauses in which two sequences differ, but for the type."""
    old, new = dict(_pairs(before)), dict(_pairs(after))
    yield from (f"{word} {value}" for word, value in new.items() if old.get(word) != value)
    if before.endswith(" CYCLE") != after.endswith(" CYCLE"):
        yield "CYCLE" if after.endswith(" CYCLE") else "NO CYCLE"


def _changed_options(actual: SchemaObject, wanted: SchemaObject) -> Iterator[str]:
    before, after = actual.attributes["sequence"], wanted.attributes["sequence"]
    old, new = (text.partition(" ")[0] for text in (before, after))
    if old != new:
        yield f"AS {new}"
    for clause in changed_options(before, after):
        # The largest number of a type goes with the type.
        largest = f"MAXVALUE {_LARGEST.get(old)} " in before and clause == (
            f"MAXVALUE {_LARGEST.get(new)}"
        )
        if not (largest and old != new):
            yield clause


def _source(column: SchemaObject) -> str | None:
    """Return where a column's numbers come from: `identity`, its own sequence, or a named one."""
    default = column.attributes.get("default", "")
    if "identity" in column.attributes:
        return "identity"
    if default == _OWN:
        return _OWN
    found = _NAMED.match(default)
    return found[1].replace("''", "'") if found else None


def _to_identity(actual: SchemaObject, wanted: SchemaObject, own: str | None) -> Iterator[str]:
    alter, this = f"ALTER TABLE {actual.parent}", f"ALTER COLUMN {actual.label}"
    drawn = _source(actual)
    if "default" in actual.attributes:
        yield f"{alter} {this} DROP DEFAULT"
    if drawn == _OWN and own:
        # Its name is that of the new one.
        drawn = _with_suffix(own)
        yield f"ALTER SEQUENCE {own} OWNED BY NONE"
        yield f"ALTER SEQUENCE {own} RENAME TO {quote_ident(unquoted_parts(drawn)[-1])}"
    if actual.attributes["nullability"] == "NULL":
        yield f"{alter} {this} SET NOT NULL"
    options = " ".join(new_options(wanted.attributes.get("sequence", "")))
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
    of = dict(_pairs(wanted.attributes.get("sequence", "")))
    down = of.get("INCREMENT", "1").startswith("-")
    value = actual.label if actual.attributes["type"] in _LARGEST else f"{actual.label}::bigint"
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


def _sequence_name(column: SchemaObject) -> str:
    table = column.parent or ""
    label = f"{unquoted_parts(table)[-1]}_{unquoted_parts(column.label)[-1]}"
    return schema_prefix(table) + quote_ident(_cut(label, "_seq"))


def _with_suffix(name: str) -> str:
    return schema_prefix(name) + quote_ident(_cut(unquoted_parts(name)[-1], _REPLACED))


def _cut(label: str, suffix: str) -> str:
    """Return *label* and *suffix* as a name that the server does not shorten."""
    return label.encode()[: 63 - len(suffix)].decode(errors="ignore") + suffix


def _pairs(options: str) -> Iterator[tuple[str, str]]:
    """Yield the clauses of a sequence as the catalogs list them: a type first, then pairs."""
    for word, value in itertools.pairwise(options.split()):
        if word in _OPTIONS:
            yield word, value
