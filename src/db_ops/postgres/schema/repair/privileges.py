"""Statements that grant and revoke what the catalogs say of rights."""

from __future__ import annotations

from collections.abc import Iterator

from db_ops.postgres.schema.objects import SchemaObject

_TARGETS = {
    "column": "TABLE",
    "view": "TABLE",
    "materialized view": "TABLE",
    "foreign table": "TABLE",
    "function": "ROUTINE",
}
_WITH_OPTION = " WITH GRANT OPTION"


def grant_statements(found: SchemaObject) -> tuple[str, ...]:
    """Return what grants the rights of *found*; nothing for those that an owner has anyway."""
    return tuple(_grants(found))


def revoke_statements(found: SchemaObject) -> tuple[str, ...]:
    """Return what revokes the rights of *found*."""
    target = _target(found)
    if target is None:
        return ()
    column, on, grantee = target
    return (f"REVOKE ALL{column} ON {on} FROM {grantee}",)


def _grants(found: SchemaObject) -> Iterator[str]:
    target = _target(found)
    if target is None:
        return
    column, on, grantee = target
    rights = found.attributes["privileges"].split(", ")
    for option in ("", _WITH_OPTION):
        here = [right for right in rights if right.endswith(_WITH_OPTION) == bool(option)]
        names = ", ".join(right.removesuffix(_WITH_OPTION) + column for right in here)
        if names:
            yield f"GRANT {names} ON {on} TO {grantee}{option}"


def _target(found: SchemaObject) -> tuple[str, str, str] | None:
    """Return the column, what it is of, and the grantee; None if no statement can name them."""
    target, _, grantee = found.label.rpartition(" to ")
    parent = found.parent or ""
    # Outside of the schemas, the kind is part of a parent's name.
    kind = target.removesuffix(parent).strip() or parent.rpartition(" ")[0]
    if grantee == "its owner" or kind == "sequence of":
        return None
    name = parent.removeprefix(f"{kind} ")
    column = ""
    if kind == "column":
        end = name.rindex('"', 0, -1) if name.endswith('"') else name.rindex(".") + 1
        name, column = name[: end - 1], f" ({name[end:]})"
    return column, f"{_TARGETS.get(kind, kind.upper())} {name}", grantee
