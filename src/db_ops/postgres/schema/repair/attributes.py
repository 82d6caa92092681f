"""Statements that undo a change of one attribute."""

from __future__ import annotations

from db_ops.postgres.schema.objects import SchemaObject
from db_ops.postgres.schema.repair.addressing import address, comment, last_part, query
from db_ops.postgres.schema.repair.columns import COLUMN_UNDO, Undo
from db_ops.postgres.schema.repair.objects import (
    add_constraint,
    clustered,
    enabled,
    index_statistics,
    recreate,
    statistics_target,
)
from db_ops.postgres.schema.repair.privileges import grant_statements, revoke_statements


def undo_attribute(expected: SchemaObject, actual: SchemaObject, attribute: str) -> tuple[str, ...]:
    """Return the statements that give *actual* the *attribute* of *expected*."""
    value = expected.attributes.get(attribute)
    if attribute == "comment":
        return (comment(expected, value),)
    if attribute in ("options", "toast options") and expected.kind in _WITH_OPTIONS:
        return _options(expected, actual, attribute)
    undo = _UNDO.get((expected.kind, attribute)) or _UNDO.get((expected.kind, "*"))
    found = undo(expected, actual, value) if undo else None
    return (found,) if isinstance(found, str) else found or ()


def _persistence(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str:
    return f"ALTER TABLE {expected.name} SET {'UNLOGGED' if value == 'unlogged' else 'LOGGED'}"


def _row_security(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str:
    verb = "ENABLE" if value == "enabled" else "DISABLE"
    return f"ALTER TABLE {expected.name} {verb} ROW LEVEL SECURITY"


def _forced(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str:
    verb = "FORCE" if value == "forced" else "NO FORCE"
    return f"ALTER TABLE {expected.name} {verb} ROW LEVEL SECURITY"


def _replica_identity(
    expected: SchemaObject, actual: SchemaObject, value: str | None
) -> str | None:
    if value is None:
        return None
    how = (
        f"USING INDEX {last_part(value.removeprefix('index '))}"
        if value.startswith("index ")
        else value.upper()
    )
    return f"ALTER TABLE {expected.name} REPLICA IDENTITY {how}"


_WITH_OPTIONS = ("table", "view", "materialized view")


def _options(expected: SchemaObject, actual: SchemaObject, attribute: str) -> tuple[str, ...]:
    prefix = "toast." if attribute == "toast options" else ""
    wanted, found = (
        dict(
            option.split("=", 1)
            for option in side.attributes.get(attribute, "").split(", ")
            if option
        )
        for side in (expected, actual)
    )
    changed = [
        f"{prefix}{name}={value}" for name, value in wanted.items() if found.get(name) != value
    ]
    extra = [prefix + name for name in found if name not in wanted]
    clauses = [f"SET ({', '.join(changed)})"] * bool(changed)
    clauses += [f"RESET ({', '.join(extra)})"] * bool(extra)
    return tuple(f"ALTER {address(expected)} {clause}" for clause in clauses)


def _constraint(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str:
    clauses = f"DROP CONSTRAINT {expected.label}, {add_constraint(expected)}"
    return f"ALTER TABLE {expected.parent} {clauses}"


def _validity(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str | None:
    same = expected.attributes["definition"] == actual.attributes["definition"]
    if value != "valid" or not same:
        return None
    owner = "DOMAIN" if expected.kind == "domain constraint" else "TABLE"
    return f"ALTER {owner} {expected.parent} VALIDATE CONSTRAINT {expected.label}"


def _domain_constraint(
    expected: SchemaObject, actual: SchemaObject, value: str | None
) -> tuple[str, ...]:
    alter = f"ALTER DOMAIN {expected.parent}"
    return f"{alter} DROP CONSTRAINT {expected.label}", f"{alter} {add_constraint(expected)}"


def _recreate(expected: SchemaObject, actual: SchemaObject, value: str | None) -> tuple[str, ...]:
    return recreate(expected)


def _reindex(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str | None:
    return f"REINDEX INDEX {expected.name}" if value == "valid" else None


_SEQUENCE = {
    "type": "AS",
    "start": "START",
    "increment": "INCREMENT",
    "minimum": "MINVALUE",
    "maximum": "MAXVALUE",
    "cache": "CACHE",
    "cycle": "",
}


def _sequence(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str | None:
    ours, theirs = expected.attributes, actual.attributes
    if ours["persistence"] != theirs["persistence"]:
        return None
    # Some of them hold only together: a type, and the largest number that it takes.
    clauses = [
        f"{word} {ours[name]}".strip()
        for name, word in _SEQUENCE.items()
        if ours[name] != theirs[name]
    ]
    return f"ALTER SEQUENCE {expected.name} {' '.join(clauses)}"


def _view(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str | tuple[str, ...]:
    ours, theirs = (
        side.attributes["definition"].partition("\n   FROM")[0] for side in (expected, actual)
    )
    if ours != theirs:
        # Its columns can only grow under CREATE OR REPLACE.
        return recreate(expected)
    options = expected.attributes.get("options")
    with_options = f" WITH ({options})" if options else ""
    return f"CREATE OR REPLACE VIEW {expected.name}{with_options} AS {query(value or '')}"


def _routine(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str | None:
    ours, theirs = (side.attributes["definition"].split("\n") for side in (expected, actual))
    # Another result or another argument name is more than CREATE OR REPLACE can change.
    return (value or "").strip() if ours[:2] == theirs[:2] else None


def _enabled(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str:
    return enabled(expected)


def _clustered(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str:
    return clustered(expected)


def _index_statistics(
    expected: SchemaObject, actual: SchemaObject, value: str | None
) -> tuple[str, ...]:
    return index_statistics(expected, actual.attributes.get("statistics", ""))


def _rights(expected: SchemaObject, actual: SchemaObject, value: str | None) -> tuple[str, ...]:
    return (*revoke_statements(actual), *grant_statements(expected))


def _enum(expected: SchemaObject, actual: SchemaObject, value: str | None) -> tuple[str, ...]:
    wanted, found = (_labels(side.attributes.get("values", "")) for side in (expected, actual))
    if [label for label in wanted if label in found] != found:
        return ()
    statements = []
    for number, label in enumerate(wanted):
        if label not in found:
            place = f" AFTER {wanted[number - 1]}" if number else f" BEFORE {found[0]}"
            statements.append(f"ALTER TYPE {expected.name} ADD VALUE {label}{place}")
    return tuple(statements)


def _labels(values: str) -> list[str]:
    """Split what `quote_literal` has quoted; a label may hold commas and quotes."""
    parts = values.split("', '")
    last = len(parts) - 1
    return [
        ("" if number == 0 else "'") + part + ("" if number == last else "'")
        for number, part in enumerate(parts)
    ]


def _domain_default(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str:
    clause = "DROP DEFAULT" if value is None else f"SET DEFAULT {value}"
    return f"ALTER DOMAIN {expected.name} {clause}"


def _domain_nullability(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str:
    return f"ALTER DOMAIN {expected.name} {'SET' if value == 'NOT NULL' else 'DROP'} NOT NULL"


def _statistics_target(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str:
    return statistics_target(expected)


def _operations(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str:
    return f"ALTER PUBLICATION {expected.name} SET (publish = '{value}')"


def _via_root(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str:
    return f"ALTER PUBLICATION {expected.name} SET (publish_via_partition_root = {bool(value)})"


def _extension_schema(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str:
    return f"ALTER EXTENSION {expected.name} SET SCHEMA {value}"


# Longest first, since a label is a kind and a name.
_OWNED = {
    "foreign data wrapper": "FOREIGN DATA WRAPPER",
    "materialized view": "MATERIALIZED VIEW",
    "foreign server": "SERVER",
    "foreign table": "FOREIGN TABLE",
    "function": "ROUTINE",
}


def _owner(expected: SchemaObject, actual: SchemaObject, value: str | None) -> str:
    default = expected.label.partition(" ")[0]
    kind = next((kind for kind in _OWNED if expected.label.startswith(f"{kind} ")), default)
    name = expected.label.removeprefix(f"{kind} ")
    return f"ALTER {_OWNED.get(kind, kind.upper())} {name} OWNER TO {value}"


_UNDO: dict[tuple[str, str], Undo] = {
    **{("column", attribute): undo for attribute, undo in COLUMN_UNDO.items()},
    ("table", "persistence"): _persistence,
    ("table", "row security"): _row_security,
    ("table", "forced row security"): _forced,
    ("table", "replica identity"): _replica_identity,
    ("constraint", "definition"): _constraint,
    ("constraint", "validity"): _validity,
    ("domain constraint", "definition"): _domain_constraint,
    ("domain constraint", "validity"): _validity,
    ("index", "definition"): _recreate,
    ("index", "validity"): _reindex,
    ("index", "clustered"): _clustered,
    ("index", "statistics"): _index_statistics,
    ("constraint", "clustered"): _clustered,
    ("grant", "privileges"): _rights,
    ("sequence", "*"): _sequence,
    ("statistics", "target"): _statistics_target,
    ("statistics", "definition"): _recreate,
    ("enum", "values"): _enum,
    ("domain", "default"): _domain_default,
    ("domain", "nullability"): _domain_nullability,
    ("view", "definition"): _view,
    ("function", "definition"): _routine,
    ("procedure", "definition"): _routine,
    ("trigger", "definition"): _recreate,
    ("trigger", "enabled"): _enabled,
    ("rule", "definition"): _recreate,
    ("rule", "enabled"): _enabled,
    ("event trigger", "enabled"): _enabled,
    ("policy", "*"): _recreate,
    ("cast", "*"): _recreate,
    ("extension", "schema"): _extension_schema,
    ("publication", "operations"): _operations,
    ("publication", "via root"): _via_root,
    ("owner", "role"): _owner,
}
