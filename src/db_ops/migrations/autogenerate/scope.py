"""What the project's own filters, hook and plugins of autogenerate leave out and add.

`include_name`, `include_object` and `process_revision_directives` are asked by Alembic while it
compares, with the objects that it has reflected; what they answer is kept here, so that it counts
for what Alembic does not compare as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from db_ops.migrations.autogenerate.alembic_plugin import is_loaded
from db_ops.migrations.autogenerate.diff_text import OWN_KINDS, describe_operation, diff_of
from db_ops.migrations.autogenerate.rendering import Name, flat_operations, subject_of
from db_ops.settings import RECORDS_SCHEMA

if TYPE_CHECKING:
    from alembic.operations import MigrationScript
    from alembic.operations.ops import MigrateOperation
    from sqlalchemy import Connection

FILTERS = ("include_object", "include_name", "process_revision_directives")
# The name under which Alembic imports env.py.
_ENV_PY = "env_py"
_CONSTRAINTS = ("unique_constraint", "foreign_key_constraint", "check_constraint")
# What an operation on a column may change, its value if it does not, and what the catalogs call it.
_MODIFIES: Mapping[str, tuple[object, tuple[str, ...]]] = {
    "modify_type": (None, ("type", "collation")),
    "modify_nullable": (None, ("nullability",)),
    "modify_server_default": (False, ("default", "generated", "identity", "sequence")),
    "modify_comment": (False, ("comment",)),
}

# An object by kind and plain name, whose schema is empty for the default one, and an attribute.
Subject = tuple[str, Name, str | None]


@dataclass
class AutogenerateScope:
    """What autogenerate looks at; `left_out` says by which of `FILTERS` an object is not.

    `schemas` are those of the models. Without `include_schemas`, no other is looked at; of those,
    nothing is that only the database has. `default_schema` is what Alembic calls None,
    `translated` the `schema_translate_map` of the connection that env.py gives to Alembic.
    `diffs` is what it has found, each with its line of text.
    """

    schemas: frozenset[str] = frozenset()
    include_schemas: bool = True
    default_schema: str = "public"
    translated: dict[str | None, str] = field(default_factory=dict)
    left_out: dict[Subject, str] = field(default_factory=dict)
    diffs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_narrowed(self) -> bool:
        """Tell whether env.py has filters or a hook, or somebody's plugin compares as well."""
        return any(self.options.get(name) for name in FILTERS) or has_plugins()

    def look_at(self, theirs: Mapping[str, Any]) -> None:
        """Keep the options that env.py itself gives to `context.configure`."""
        self.options = dict(theirs)
        self.include_schemas = bool(theirs.get("include_schemas"))
        self.schemas = frozenset(_schemas(theirs.get("target_metadata")))

    def translate_as(self, connection: Connection | None) -> None:
        """Keep how *connection*, which env.py configures, translates schemas."""
        options = connection.get_execution_options() if connection is not None else {}
        self.translated = dict(options.get("schema_translate_map") or {})

    @property
    def translated_models(self) -> tuple[str, ...]:
        """The translations that change where a model lives, as `SCHEMA -> SCHEMA`."""
        return tuple(
            f"{schema or self.default_schema} -> {self.translated[schema or None]}"
            for schema in sorted(self.schemas)
            if self.translated.get(schema or None, schema) != schema
        )

    def watched(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return *options* of `context.configure` with filters whose answers are kept."""
        watched = dict(options)
        for name, kept in (("include_name", self._name), ("include_object", self._object)):
            # A filter of ours leaves out what is without models: no answer to keep.
            theirs = self.options.get(name)
            if theirs is not None:
                watched[name] = kept(theirs)
        return watched

    def reason(self, kind: str, name: Name, attribute: str | None = None) -> str | None:
        """Return by what an object, or an attribute of it, is left out; None if it is not."""
        names = [name]
        if name[0] == self.default_schema:
            names.append(("", *name[1:]))
        for one in names:
            for asked in {None, attribute}:
                if (kind, one, asked) in self.left_out:
                    return self.left_out[kind, one, asked]
        return None

    def reason_for_schema(self, schema: str) -> str | None:
        """Return why a schema is not looked at, None if it is."""
        if schema == self.default_schema or schema in self.schemas:
            return None
        return None if self.include_schemas else "include_schemas, which is not set"

    def reason_for_foreign(self, kind: str, name: Name) -> str | None:
        """Return by what a table or a schema that only a database has is left out.

        Alembic need not have seen it: then the filters are asked now.
        """
        from sqlalchemy import MetaData, Table

        found = self.reason(kind, name) or self.reason("schema", name[:1])
        schema = None if name[0] == self.default_schema else name[0]
        by_name, by_object = (self.options.get(one) for one in ("include_name", "include_object"))
        # One may ask for more than such a table has.
        with suppress(Exception):
            if found is None and by_name is not None and not by_name(schema, "schema", {}):
                found = "include_name"
            if found is None and kind == "table":
                whole = ".".join(name if schema else name[1:])
                parents = {"schema_name": schema, "schema_qualified_table_name": whole}
                table = Table(name[1], MetaData(), schema=schema)
                if by_name is not None and not by_name(name[1], "table", parents):
                    found = "include_name"
                elif by_object and not by_object(table, name[1], "table", True, None):
                    found = "include_object"
        return found

    def sees_records(self) -> bool:
        """Tell whether plain `alembic` would take our records for a table without a model."""
        if not self.include_schemas or RECORDS_SCHEMA in self.schemas:
            return False
        if is_loaded(self.options.get("autogenerate_plugins")):
            return False
        return self.reason_for_foreign("table", (RECORDS_SCHEMA, "history")) is None

    def _name(self, theirs: Callable[..., Any]) -> Callable[..., bool]:
        def include_name(name: str | None, kind: str, parents: Mapping[str, Any]) -> bool:
            included = bool(theirs(name, kind, parents))
            if not included and name is not None:
                schema = "" if kind == "schema" else parents.get("schema_name") or ""
                table = parents.get("table_name") or ""
                self._leave_out(kind, name, schema, table, "include_name")
            return included

        return include_name

    def _object(self, theirs: Callable[..., Any]) -> Callable[..., bool]:
        def include_object(
            item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any
        ) -> bool:
            included = bool(theirs(item, name, kind, reflected, compare_to))
            if not included:
                table = item if kind == "table" else getattr(item, "table", None)
                schema = getattr(table, "schema", None) or ""
                named = name or _implied_name(item)
                self._leave_out(kind, named, schema, getattr(table, "name", ""), "include_object")
            return included

        return include_object

    def _leave_out(self, kind: str, name: str, schema: str, table: str, by: str) -> None:
        named: dict[str, list[tuple[str, Name]]] = {
            "schema": [("schema", (name,))],
            "table": [("table", (schema, name))],
            "column": [("column", (schema, table, name))],
            "index": [("index", (schema, name)), ("constraint", (schema, table, name))],
        }
        constraint: list[tuple[str, Name]] = [
            ("constraint", (schema, table, name)),
            ("index", (schema, name)),
        ]
        for found in named.get(kind, constraint if kind in _CONSTRAINTS else []):
            self.left_out[(*found, None)] = by

    def process(
        self,
        theirs: Callable[..., Any] | None,
        context: Any,
        revision: Any,
        directives: list[MigrationScript],
    ) -> None:
        """Call the hook of env.py; keep what it takes out, and what is left as differences."""
        self.default_schema = context.dialect.default_schema_name or "public"
        before = set(_subjects(directives))
        if theirs is not None:
            theirs(context, revision, directives)
        for subject in before.difference(_subjects(directives)):
            self.left_out[subject] = "process_revision_directives"
        # With several calls of `configure`, what was found in those before is there too.
        self.diffs = {describe_operation(one): one for one in map(diff_of, _operations(directives))}

    @property
    def unknown(self) -> tuple[str, ...]:
        """The differences that are not Alembic's own, each in a line."""
        return tuple(text for text, diff in self.diffs.items() if not _is_own(diff))


def has_plugins() -> bool:
    """Tell whether what compares is not Alembic's own alone."""
    from alembic.autogenerate import comparators

    registered = (one for several in _registered(comparators) for one in several)
    if not all(_module_of(one).startswith("alembic.") for one in registered):
        return True
    try:
        from alembic.runtime.plugins import _all_plugins
    except ImportError:
        return False
    return not all(name.startswith(("alembic.", "db_ops")) for name in _all_plugins)


def forget_plugins_of_env_py() -> None:
    """Forget what an earlier run of env.py itself has registered, which the next one does again."""
    from alembic.autogenerate import comparators

    for several in _registered(comparators):
        several[:] = [one for one in several if _module_of(one) != _ENV_PY]


def _registered(comparators: Any) -> Iterator[list[Any]]:
    # Private in Alembic: functions; since 1.18, pairs of one and its group.
    yield from (one for one in comparators._registry.values() if isinstance(one, list))


def _module_of(registered: Any) -> str:
    function = registered[0] if isinstance(registered, tuple) else registered
    return str(getattr(function, "__module__", ""))


def _operations(directives: Iterable[MigrationScript]) -> Iterator[MigrateOperation]:
    for script in directives:
        for container in script.upgrade_ops_list:
            yield from flat_operations(container)


def _subjects(directives: Iterable[MigrationScript]) -> Iterator[Subject]:
    for op in _operations(directives):
        kind, name, _ = subject_of(op, "")
        if not kind:
            continue
        if not hasattr(op, "modify_type"):
            yield kind, name, None
            continue
        for way, (unchanged, attributes) in _MODIFIES.items():
            if getattr(op, way) is not unchanged:
                yield from ((kind, name, one) for one in attributes)


def _is_own(diff: Any) -> bool:
    if isinstance(diff, list):
        return all(map(_is_own, diff))
    return bool(diff and diff[0] in OWN_KINDS)


def _schemas(metadata: Any) -> Iterator[str]:
    several = metadata if isinstance(metadata, list | tuple | set | frozenset) else [metadata]
    for one in filter(None, several):
        for table in one.tables.values():
            yield table.schema or ""


def _implied_name(item: Any) -> str:
    """Return the name that the server gives to a foreign key without one."""
    columns = [str(column.name) for column in getattr(item, "columns", ())]
    return "_".join((str(getattr(getattr(item, "table", None), "name", "")), *columns, "fkey"))
