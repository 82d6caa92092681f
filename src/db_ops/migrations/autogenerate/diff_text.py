"""The text of an autogenerate operation: what would make the database match the models."""

from __future__ import annotations

from typing import Any

_MODIFIED = {
    "modify_type": "type",
    "modify_nullable": "nullable",
    "modify_default": "server default",
    "modify_comment": "comment",
}


def describe_operation(diff: Any) -> str:
    """Return one line for one difference, as `MigrationScript.upgrade_ops.as_diffs` gives it."""
    if isinstance(diff, str):
        return diff
    if isinstance(diff, list):
        return "; ".join(describe_operation(part) for part in diff)
    kind = diff[0]
    if kind in _MODIFIED:
        _, schema, table, column, _, before, after = diff
        where = f"{_name(schema, table)}.{column}"
        return f"change {_MODIFIED[kind]} of {where}: {_value(before)} -> {_value(after)}"
    verb, _, thing = kind.partition("_")
    if kind in ("add_column", "remove_column"):
        _, schema, table, column = diff
        return f"{verb} column {_name(schema, table)}.{column.name} ({_type(column.type)})"
    if kind in ("add_table", "remove_table"):
        return f"{verb} table {diff[1].fullname}"
    if kind in ("add_table_comment", "remove_table_comment"):
        return f"{verb} comment of table {diff[1].fullname}"
    item = diff[1]
    label = {"fk": "foreign key", "index": "index"}.get(thing, "constraint")
    return f"{verb} {label} {item.name or 'without a name'} on {item.table.fullname}"


def _name(schema: str | None, table: str) -> str:
    return f"{schema}.{table}" if schema else table


def _type(value: Any) -> str:
    from sqlalchemy.dialects.postgresql import dialect

    return str(value.compile(dialect=dialect()))  # type: ignore[no-untyped-call]  # SQLAlchemy's


def _value(value: Any) -> str:
    if hasattr(value, "compile") and hasattr(value, "python_type"):
        return _type(value)
    argument = getattr(value, "arg", value)
    return "none" if argument is None else str(argument)
