"""The text of an autogenerate operation: what would make the database match the models."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

_MODIFIED = {
    "modify_type": "type",
    "modify_nullable": "nullable",
    "modify_default": "server default",
    "modify_comment": "comment",
}
_LABELS = {"fk": "foreign key", "index": "index", "constraint": "constraint"}
# Alembic's own kinds. What a plugin adds has others, which may hold anything.
OWN_KINDS = frozenset(
    {
        *_MODIFIED,
        *(
            f"{verb}_{thing}"
            for verb in ("add", "remove")
            for thing in ("table", "table_comment", "column", *_LABELS)
        ),
    }
)
_LONGEST = 200


def diff_of(op: Any) -> Any:
    """Return the difference that *op* stands for, as `UpgradeOps.as_diffs` gives it.

    One of a plugin need not be able to say it: then it is its name, and what it holds.
    """
    try:
        return op.to_diff_tuple()
    except Exception:
        return (type(op).__name__, *vars(op).values())


def describe_operation(diff: Any) -> str:
    """Return one line for one difference, as `MigrationScript.upgrade_ops.as_diffs` gives it.

    What is not Alembic's own, or holds something that cannot be told, is shown as it is.
    """
    if isinstance(diff, str):
        return diff
    if isinstance(diff, list):
        return "; ".join(describe_operation(part) for part in diff)
    if diff and diff[0] in OWN_KINDS:
        with suppress(Exception):
            return _own(diff)
    kind, *parts = map(_as_it_is, diff)
    return f"{kind.replace('_', ' ')} {', '.join(filter(None, parts))}".strip()


def _own(diff: Any) -> str:
    kind = diff[0]
    if kind in _MODIFIED:
        _, schema, table, column, _, before, after = diff
        where = f"{_name(schema, table)}.{column}"
        return f"change {_MODIFIED[kind]} of {where}: {_value(before)} -> {_value(after)}"
    verb, _, thing = kind.partition("_")
    if thing == "column":
        _, schema, table, column = diff
        return f"{verb} column {_name(schema, table)}.{column.name} ({_type(column.type)})"
    if thing == "table":
        return f"{verb} table {diff[1].fullname}"
    if thing == "table_comment":
        return f"{verb} comment of table {diff[1].fullname}"
    item = diff[1]
    return f"{verb} {_LABELS[thing]} {item.name or 'without a name'} on {item.table.fullname}"


def _name(schema: str | None, table: str) -> str:
    return f"{schema}.{table}" if schema else table


def _type(value: Any) -> str:
    from sqlalchemy.dialects.postgresql import dialect

    # A type that reflection did not know cannot be compiled.
    return _first_that_works(
        lambda: str(value.compile(dialect=dialect())),  # type: ignore[no-untyped-call]  # SQLAlchemy's
        lambda: repr(value),
        lambda: type(value).__name__,
    )


def _value(value: Any) -> str:
    if hasattr(value, "compile") and hasattr(value, "python_type"):
        return _type(value)
    argument = getattr(value, "arg", value)
    return "none" if argument is None else _as_it_is(argument)


def _as_it_is(value: Any) -> str:
    if value is None:
        return ""
    name = getattr(value, "fullname", None) or getattr(value, "name", None)
    said = name if isinstance(name, str) else None
    text = said or _first_that_works(
        lambda: str(value), lambda: repr(value), lambda: type(value).__name__
    )
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _first_that_works(*ways: Callable[[], str]) -> str:
    for way in ways[:-1]:
        with suppress(Exception):
            return way()
    return ways[-1]()
