"""The options with which autogenerate compares the models with a database."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from db_ops.migrations.autogenerate.table_operations import is_made_by_a_type
from db_ops.settings import RECORDS_SCHEMA

if TYPE_CHECKING:
    from alembic.operations import MigrationScript
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import Column, MetaData, Table

_CHECK_CONSTRAINTS = "alembic.ext.checkconstraint_byname"
_CAST = re.compile(r"::(?:\"[^\"]+\"|[a-z_][\w .]*)(?:\([\d, ]*\))?(?:\[\])*", re.IGNORECASE)
_NEXTVAL = re.compile(r"nextval\('\"([a-z_][a-z_\d]*)\"\.([^']+)'\)\Z", re.IGNORECASE)
_VOLATILE = re.compile(
    r"\b(nextval|setval|random|clock_timestamp|uuidv[47]|gen_random_uuid|uuid_generate_\w+)\s*\(",
    re.IGNORECASE,
)


def comparison_options(metadata: MetaData, others: Iterable[str] = ()) -> dict[str, Any]:
    """Return the keyword arguments of `context.configure` that make a comparison complete.

    CHECK constraints are compared by name where the metadata names all of them by convention;
    without one, Alembic would report every unnamed CHECK as removed, for ever. Other schemas are
    looked into only if a model lives in one.
    """
    options: dict[str, Any] = {
        "compare_type": True,
        "compare_server_default": True,
    }
    if not not_compared(metadata):
        options["autogenerate_plugins"] = ["alembic.autogenerate.*", _CHECK_CONSTRAINTS]
    schemas = {table.schema for table in metadata.tables.values()} | {*others}
    if schemas - {None}:
        options["include_schemas"] = True
        options["include_name"] = lambda name, kind, parents: (
            kind != "schema" or name in (schemas | {None})
        )
    return options


def without_history_schema(options: dict[str, Any]) -> dict[str, Any]:
    """Return *options* of `context.configure` that exclude the schema of the history table."""
    if not options.get("include_schemas"):
        return options
    theirs = options.get("include_name")

    def include_name(name: str | None, kind: str, parents: Any) -> bool:
        if kind == "schema" and name == RECORDS_SCHEMA:
            return False
        return theirs is None or bool(theirs(name, kind, parents))

    return {**options, "include_name": include_name}


def not_compared(metadata: MetaData) -> tuple[str, ...]:
    """Say what `comparison_options` has to leave out, and why."""
    if "ck" not in metadata.naming_convention:
        return ("CHECK constraints were not compared: the models have no naming convention for ck",)
    if find_spec("alembic.ext") is None:
        return ("CHECK constraints were not compared: this version of Alembic cannot",)
    return ()


def drop_constraints_never_created(script: MigrationScript, metadatas: Iterable[MetaData]) -> None:
    """Take from *script* the CHECK constraints of types that the dialect does not create.

    The plugin takes each for missing: a `Boolean` adds one only where the server has no such type.
    """
    from alembic.operations.ops import CreateCheckConstraintOp, DropConstraintOp, ModifyTableOps
    from sqlalchemy.dialects import postgresql

    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    never = [
        (table, one)
        for table, one in _checks(metadatas)
        if getattr(one, "_type_bound", False) and not is_made_by_a_type(one, dialect)
    ]
    names = {(table.schema, table.name, one.name) for table, one in never}
    for container in (*script.upgrade_ops_list, *script.downgrade_ops_list):
        for part in container.ops:
            if isinstance(part, ModifyTableOps):
                part.ops[:] = [
                    op
                    for op in part.ops
                    if not isinstance(op, CreateCheckConstraintOp | DropConstraintOp)
                    or (op.schema, op.table_name, op.constraint_name) not in names
                ]


def remove_copied_constraints(metadatas: Iterable[MetaData]) -> None:
    """Take from the models the CHECK constraints that a comparison of Alembic's has added to them.

    To tell what is missing, it makes the constraint again, by the same name; and that attaches
    itself to the table of the columns in its expression.
    """
    named: set[tuple[int, str]] = set()
    for table, one in sorted(_checks(metadatas), key=lambda found: found[1]._creation_order):
        if isinstance(one.name, str):
            if (id(table), one.name) in named:
                table.constraints.discard(one)
            named.add((id(table), one.name))


def _checks(metadatas: Iterable[MetaData]) -> list[tuple[Table, Any]]:
    from sqlalchemy import CheckConstraint

    return [
        (table, one)
        for metadata in metadatas
        for table in metadata.tables.values()
        for one in table.constraints
        if isinstance(one, CheckConstraint)
    ]


def make_default_comparison_safe(context: MigrationContext) -> None:
    """Replace how *context* compares server defaults, without evaluating a volatile function.

    Alembic's own comparison sends both defaults to the server unquoted: it fails on a string with
    an apostrophe and draws a number from every sequence. A callable given to `configure` would be
    the public way, but Alembic 1.18 to 1.20 fail on identity and computed columns with one.
    """

    def compare(
        inspected: Column[Any], column: Column[Any], rendered: object, theirs: str | None
    ) -> bool:
        return _defaults_differ(context, column, theirs)

    context.impl.compare_server_default = compare  # type: ignore[method-assign]


def _defaults_differ(context: MigrationContext, column: Column[Any], theirs: str | None) -> bool:
    """Compare texts without their casts first; only then ask the server, inside a savepoint.

    What cannot be decided counts as different, so that it is seen.
    """
    if column.primary_key and column is column.table._autoincrement_column:
        return False
    ours = _rendered(context, column)
    if ours is None or theirs is None:
        return (ours is None) != (theirs is None)
    if _normalised(ours) == _normalised(theirs):
        return False
    if _VOLATILE.search(ours) or _VOLATILE.search(theirs):
        return True
    return not _server_says_equal(context, column, ours, theirs)


def _rendered(context: MigrationContext, column: Column[Any]) -> str | None:
    """Return the default as `create_all` writes it: only the dialect knows how to."""
    from sqlalchemy import DefaultClause

    default = column.server_default
    if not isinstance(default, DefaultClause):
        return None
    dialect = context.dialect
    try:
        compiled = dialect.ddl_compiler(dialect, None).get_column_default_string(column)  # type: ignore[arg-type]  # as it does for its own `str()`
    except Exception:
        # What cannot be written counts as different.
        return str(getattr(default.arg, "value", default.arg))
    return str(compiled).replace("%%", "%")


def _normalised(default: str) -> str:
    text = _CAST.sub("", default.strip())
    while text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    # SQLAlchemy quotes the schema that it adds where the search path leaves it out.
    text = _NEXTVAL.sub(r"nextval('\1.\2')", text)
    return text if "'" in text else text.lower()


def _server_says_equal(
    context: MigrationContext, column: Column[Any], ours: str, theirs: str
) -> bool:
    from sqlalchemy.exc import SQLAlchemyError

    connection = context.connection
    if connection is None:
        return False
    try:
        kind = column.type.compile(dialect=context.dialect)
    except SQLAlchemyError:
        return False
    query = f"SELECT (({theirs})::{kind})::text IS NOT DISTINCT FROM (({ours})::{kind})::text"
    try:
        with connection.begin_nested():
            return bool(connection.exec_driver_sql(query.replace("%", "%%")).scalar())
    except SQLAlchemyError:
        return False
