"""Alembic's operations as Python text, narrowed to what has really changed.

What is private and used here: Alembic's `alembic.autogenerate.render`, where `render_op` and
`_repr_type` are, which its own revision files are made of; SQLAlchemy's `_double_percents`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from db_ops.migrations.autogenerate.diff_text import describe_operation, diff_of
from db_ops.migrations.autogenerate.table_operations import (
    Definitions,
    in_order_of_references,
    with_named_constraints,
    without_constraint,
)

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext
    from alembic.operations.ops import AlterColumnOp, MigrateOperation, OpContainer

Name = tuple[str, ...]
# Attributes that differ, of an object by kind and plain name; None stands for the whole object.
Changed = Mapping[tuple[str, Name], frozenset[str | None]]

_OF_TYPE = frozenset(("type", "collation"))
_OF_DEFAULT = frozenset(("default", "generated", "identity", "sequence"))


@dataclass(frozen=True)
class Operation:
    """One operation as it can stand in a revision file; `name` is that of what it changes.

    One that `alters` may run and change nothing. One of a plugin has no kind; `unknown` describes
    it. It has no code if nobody can write it.
    """

    code: str
    kind: str
    name: Name
    alters: bool = False
    unknown: str = ""


@dataclass(frozen=True)
class Renderer:
    """Renders operations in the *context* of one comparison, with types that create nothing.

    A type that the server knows by name is created and dropped by statements of its own: Alembic
    creates one with a table even where it is there, and never with a column.
    """

    context: AutogenContext
    default_schema: str

    def operations(
        self, container: OpContainer, changed: Changed, constraints: Definitions
    ) -> Iterator[Operation]:
        """Yield the operations of *container* that concern what is *changed*.

        *constraints* are those that tables are to have.
        """
        from alembic.autogenerate import render
        from alembic.operations.ops import AlterColumnOp

        for found in in_order_of_references(list(flat_operations(container))):
            with self._as_source():
                op = with_named_constraints(
                    found, constraints, self.default_schema, self.context.dialect
                )
                if op is None:
                    continue
                kind, name, table = subject_of(op, self.default_schema)
                if not self._concerns(op, changed, kind, name, table):
                    continue
                unknown = "" if kind else describe_operation(diff_of(op))
                try:
                    code = render.render_op_text(self.context, op)
                except Exception:
                    # A plugin that compares need not be one that writes.
                    if kind:
                        raise
                    code = ""
            if code or unknown:
                yield Operation(code, kind, name, isinstance(op, AlterColumnOp), unknown)

    @contextmanager
    def _as_source(self) -> Iterator[None]:
        """Render types that create nothing, and each `%` of SQL as it is.

        SQLAlchemy doubles it for the driver when it compiles, and again when the file runs.
        """
        theirs = self.context.opts.get("render_item")
        preparer: Any = self.context.dialect.identifier_preparer
        doubled = preparer._double_percents
        self.context.opts["render_item"] = _rendering_types(theirs)
        preparer._double_percents = False
        try:
            yield
        finally:
            self.context.opts["render_item"] = theirs
            preparer._double_percents = doubled

    def _concerns(
        self, op: MigrateOperation, changed: Changed, kind: str, name: Name, table: Name
    ) -> bool:
        from alembic.operations.ops import AlterColumnOp

        if kind == "":
            # The project's own kind of operation, of which nothing is known.
            return True
        if "" in name:
            return False
        attributes = changed.get((kind, name), frozenset())
        if isinstance(op, AlterColumnOp):
            return _narrow(op, attributes)
        return bool(attributes) or None in changed.get(("table", table), ())


def subject_of(op: MigrateOperation, default_schema: str) -> tuple[str, Name, Name]:
    """Return the kind and name of what *op* is about, and the name of its table.

    Of an operation that is not Alembic's own, nothing is known: its kind is empty.
    """
    from alembic.operations import ops

    schema = getattr(op, "schema", None) or getattr(op, "source_schema", None)
    kw = getattr(op, "kw", None)
    if schema is None and isinstance(kw, dict):
        schema = kw.get("source_schema")
    schema = str(schema or default_schema)
    owner = getattr(op, "table_name", None) or getattr(op, "source_table", None)
    table = (schema, str(owner or ""))
    match op:
        case ops.CreateTableOp() | ops.DropTableOp():
            return "table", table, table
        case ops.CreateTableCommentOp() | ops.DropTableCommentOp():
            return "table", table, table
        case ops.AddColumnOp():
            return "column", (*table, str(op.column.name)), table
        case ops.DropColumnOp() | ops.AlterColumnOp():
            return "column", (*table, str(op.column_name)), table
        case ops.CreateIndexOp() | ops.DropIndexOp():
            return "index", (schema, str(op.index_name or "")), table
        case ops.AddConstraintOp() | ops.DropConstraintOp():
            name = getattr(op, "constraint_name", None)
            return "constraint", (*table, str(name or "")), table
    return "", (), ()


def flat_operations(container: OpContainer) -> Iterator[MigrateOperation]:
    from alembic.operations.ops import ModifyTableOps

    for op in container.ops:
        if isinstance(op, ModifyTableOps):
            yield from op.ops
        else:
            yield op


def _narrow(op: AlterColumnOp, attributes: frozenset[str | None]) -> bool:
    """Remove from *op* what is unchanged; return whether anything is left."""
    if not attributes & _OF_TYPE:
        op.modify_type = None
    if "nullability" not in attributes:
        op.modify_nullable = None
    if not attributes & _OF_DEFAULT:
        op.modify_server_default = False
    if "comment" not in attributes:
        op.modify_comment = False
    return (
        op.modify_type is not None
        or op.modify_nullable is not None
        or op.modify_server_default is not False
        or op.modify_comment is not False
    )


def _rendering_types(theirs: Callable[..., Any] | None) -> Callable[..., Any]:
    def render(kind: str, item: Any, context: AutogenContext) -> str | bool:
        rendered: str | bool = theirs(kind, item, context) if theirs else False
        if rendered is not False or kind != "type":
            return rendered
        return _named_type(item, context) or _unconstrained_type(item, context)

    return render


def _unconstrained_type(item: Any, context: AutogenContext) -> str | bool:
    """Render a type that adds a CHECK to a table without it: its name is not the file's."""
    from alembic.autogenerate import render

    inner = _inner(item)
    plain = without_constraint(inner)
    return _own_type(item, context) if plain is inner else render._repr_type(plain, context)


def _inner(item: Any) -> Any:
    from sqlalchemy.types import TypeDecorator

    while isinstance(item, TypeDecorator):
        item = item.impl_instance
    return item


def _named_type(item: Any, context: AutogenContext) -> str | bool:
    """Render an enum or domain so that it is taken for there; also inside of a type of the user."""
    from sqlalchemy import Enum
    from sqlalchemy.dialects import postgresql

    inner = _inner(item)
    schema = f", schema={inner.schema!r}" if getattr(inner, "schema", None) else ""
    if isinstance(inner, Enum) and inner.native_enum and inner.name:
        context.imports.add("from sqlalchemy.dialects import postgresql")
        values = "".join(f"{value!r}, " for value in inner.enums)
        name = str(inner.name)
        return f"postgresql.ENUM({values}name={name!r}{schema}, create_type=False)"
    if isinstance(inner, postgresql.DOMAIN):
        from alembic.autogenerate import render

        context.imports.add("from sqlalchemy.dialects import postgresql")
        base = render._repr_type(inner.data_type, context)
        return f"postgresql.DOMAIN({str(inner.name)!r}, {base}{schema}, create_type=False)"
    return False


def _own_type(item: Any, context: AutogenContext) -> bool:
    """Add the import of a type of the user's, which Alembic renders without one."""
    module = type(item).__module__
    if module.partition(".")[0] != "sqlalchemy" and module in sys.modules:
        context.imports.add(f"import {module}")
    return False
