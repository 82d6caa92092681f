"""Statements that undo a missing or an extra object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from db_ops.postgres.schema.objects import SchemaObject
from db_ops.postgres.schema.repair.addressing import address, comment, last_part, query, sql_keyword
from db_ops.postgres.schema.repair.privileges import grant_statements, revoke_statements

_TABLE_PARTS = {"column": "COLUMN", "constraint": "CONSTRAINT"}
_ENABLE = {
    "enabled": "ENABLE",
    "disabled": "DISABLE",
    "replica": "ENABLE REPLICA",
    "always": "ENABLE ALWAYS",
}
_NO_DROP = ("partition", "view column", "owner", "grant", "default privileges")


def undo_extra(extra: SchemaObject) -> tuple[str, ...]:
    """Return the statement that drops *extra* and its rows."""
    if extra.kind == "grant":
        return revoke_statements(extra)
    if extra.kind in _TABLE_PARTS:
        return (f"ALTER TABLE {extra.parent} DROP {_TABLE_PARTS[extra.kind]} {extra.label}",)
    if extra.kind == "domain constraint":
        return (f"ALTER DOMAIN {extra.parent} DROP CONSTRAINT {extra.label}",)
    if extra.kind == "publication table":
        return (f"ALTER {extra.parent} DROP TABLE {_published(extra)}",)
    if extra.kind in _NO_DROP or (extra.kind == "aggregate" and extra.name.endswith("()")):
        return ()
    return (f"DROP {address(extra)}",)


def undo_missing(missing: SchemaObject, parts: Iterable[SchemaObject] = ()) -> tuple[str, ...]:
    """Return the statements that create *missing* and its *parts*, without the rows it held."""
    if missing.kind == "grant":
        return grant_statements(missing)
    create = _CREATE.get(missing.kind)
    first = create(missing) if create else None
    if first is None:
        return ()
    statements = [first, *_state(missing)]
    text = missing.attributes.get("comment")
    if text is not None:
        statements.append(comment(missing, text))
    for part in parts:
        of_part = undo_missing(part)
        if not of_part:
            return ()
        statements += of_part
    return tuple(statements)


def recreate(expected: SchemaObject) -> tuple[str, ...]:
    """Return the statements that replace the object of the same name by *expected*."""
    create = undo_missing(expected)
    return (*undo_extra(expected), *create) if create else ()


def enabled(found: SchemaObject) -> str:
    """Return the statement that enables a trigger or rule as *found* is, or disables it."""
    verb = _ENABLE[found.attributes["enabled"]]
    if found.kind == "event trigger":
        return f"ALTER EVENT TRIGGER {found.name} {verb}"
    return f"ALTER TABLE {found.parent} {verb} {sql_keyword(found.kind)} {found.label}"


def clustered(found: SchemaObject) -> str:
    """Return the statement that clusters a table on an index or constraint as *found* does."""
    verb = f"CLUSTER ON {last_part(found.label)}" if "clustered" in found.attributes else ""
    return f"ALTER TABLE {found.parent} {verb or 'SET WITHOUT CLUSTER'}"


def index_statistics(found: SchemaObject, before: str = "") -> tuple[str, ...]:
    """Return the statements that give the expressions of an index their statistics targets."""
    old, new = (
        dict(part.split(": ") for part in text.split(", ") if part)
        for text in (before, found.attributes.get("statistics", ""))
    )
    alter = f"ALTER INDEX {found.name} ALTER COLUMN"
    return tuple(f"{alter} {number} SET STATISTICS {new.get(number, -1)}" for number in old | new)


def statistics_target(found: SchemaObject) -> str:
    """Return the statement that gives extended statistics the target of *found*."""
    return f"ALTER STATISTICS {found.name} SET STATISTICS {found.attributes.get('target', -1)}"


def _state(found: SchemaObject) -> tuple[str, ...]:
    """Return what *found* is beside its definition."""
    of = found.attributes
    if of.get("enabled", "enabled") != "enabled":
        return (enabled(found),)
    if found.kind == "statistics" and "target" in of:
        return (statistics_target(found),)
    statements = index_statistics(found) if found.kind == "index" else ()
    return (*statements, *([clustered(found)] if "clustered" in of else []))


def _policy(found: SchemaObject) -> str:
    of = found.attributes
    clauses = [f"AS {of['kind']} FOR {of['command']} TO {of['roles']}"]
    if "using" in of:
        clauses.append(f"USING ({of['using']})")
    if "with check" in of:
        clauses.append(f"WITH CHECK ({of['with check']})")
    return f"CREATE POLICY {found.label} ON {found.parent} {' '.join(clauses)}"


def _index(found: SchemaObject) -> str:
    # ONLY would not reach the partitions.
    return found.attributes["definition"].replace(" ON ONLY ", " ON ", 1)


def add_constraint(found: SchemaObject) -> str:
    """Return the ADD CONSTRAINT clause of a constraint, valid or not as it was."""
    of = found.attributes
    definition = of["definition"]
    doubt = " NOT VALID" if of["validity"] != "valid" and "NOT ENFORCED" not in definition else ""
    return f"ADD CONSTRAINT {found.label} {definition}{doubt}"


def _plain(found: SchemaObject) -> str:
    return f"CREATE {address(found)}"


def _definition(found: SchemaObject) -> str:
    return found.attributes["definition"].strip().rstrip(";")


def type_clauses(of: Mapping[str, str]) -> list[str]:
    """Return the type of a column, its collation, and how it is computed."""
    clauses = [of["type"]]
    if "collation" in of:
        clauses.append(f"COLLATE {of['collation']}")
    if "generated" in of:
        expression, _, how = of["generated"].rpartition(" ")
        clauses.append(f"GENERATED ALWAYS AS ({expression}) {how}")
    return clauses


def _column(found: SchemaObject) -> str | None:
    of = found.attributes
    if "identity" in of or "sequence" in of:
        return None
    clauses = type_clauses(of)
    if "default" in of:
        clauses.append(f"DEFAULT {of['default']}")
    if of["nullability"] != "NULL":
        if not {"default", "generated"} & of.keys():
            return None
        clauses.append("NOT NULL")
    return f"ALTER TABLE {found.parent} ADD COLUMN {found.label} {' '.join(clauses)}"


def _constraint(found: SchemaObject) -> str:
    return f"ALTER TABLE {found.parent} {add_constraint(found)}"


def _domain_constraint(found: SchemaObject) -> str:
    return f"ALTER DOMAIN {found.parent} {add_constraint(found)}"


def _sequence(found: SchemaObject) -> str:
    of = found.attributes
    unlogged = "UNLOGGED " if of["persistence"] == "unlogged" else ""
    return (
        f"CREATE {unlogged}SEQUENCE {found.name} AS {of['type']} START {of['start']}"
        f" INCREMENT {of['increment']} MINVALUE {of['minimum']} MAXVALUE {of['maximum']}"
        f" CACHE {of['cache']} {of['cycle']}"
    )


def _view(found: SchemaObject) -> str:
    of = found.attributes
    options = f" WITH ({of['options']})" if "options" in of else ""
    return f"CREATE {address(found)}{options} AS {query(of['definition'])}"


def _view_column(found: SchemaObject) -> str:
    alter = f"ALTER VIEW {found.parent} ALTER COLUMN {found.label}"
    default = found.attributes.get("default")
    return f"{alter} SET DEFAULT {default}" if default else f"{alter} DROP DEFAULT"


def _domain(found: SchemaObject) -> str:
    of = found.attributes
    collation = f" COLLATE {of['collation']}" if "collation" in of else ""
    default = f" DEFAULT {of['default']}" if "default" in of else ""
    nullability = " NOT NULL" if of["nullability"] == "NOT NULL" else ""
    return f"CREATE DOMAIN {found.name} AS {of['type']}{collation}{default}{nullability}"


def _enum(found: SchemaObject) -> str:
    return f"CREATE TYPE {found.name} AS ENUM ({found.attributes.get('values', '')})"


def _composite(found: SchemaObject) -> str:
    return f"CREATE TYPE {found.name} AS ({found.attributes.get('attributes', '')})"


def _extension(found: SchemaObject) -> str:
    of = found.attributes
    return f"CREATE EXTENSION {found.name} SCHEMA {of['schema']} VERSION '{of['version']}'"


def _published(found: SchemaObject) -> str:
    publication = (found.parent or "").removeprefix("publication ")
    return found.name.removeprefix(f"{publication}.")


def _publication_table(found: SchemaObject) -> str:
    of = found.attributes
    columns = f" ({of['columns']})" if "columns" in of else ""
    where = f" WHERE ({of['where']})" if "where" in of else ""
    return f"ALTER {found.parent} ADD TABLE {_published(found)}{columns}{where}"


def _cast(found: SchemaObject) -> str:
    of = found.attributes
    how = {"binary": "WITHOUT FUNCTION", "inout": "WITH INOUT"}.get(of["method"])
    context = "" if of["context"] == "explicit" else f" AS {sql_keyword(of['context'])}"
    return f"CREATE CAST {found.name} {how or 'WITH FUNCTION ' + of['function']}{context}"


_CREATE: dict[str, Callable[[SchemaObject], str | None]] = {
    "schema": _plain,
    "column": _column,
    "constraint": _constraint,
    "index": _index,
    "sequence": _sequence,
    "statistics": _definition,
    "domain": _domain,
    "enum": _enum,
    "composite type": _composite,
    "domain constraint": _domain_constraint,
    "cast": _cast,
    "view": _view,
    "materialized view": _view,
    "function": _definition,
    "procedure": _definition,
    "trigger": _definition,
    "rule": _definition,
    "view column": _view_column,
    "policy": _policy,
    "extension": _extension,
    "publication table": _publication_table,
}
