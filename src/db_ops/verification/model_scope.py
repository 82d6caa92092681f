"""Which schema objects models decide; the others exist in migrations, or in a database, alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from db_ops.migrations.autogenerate.scope import AutogenerateScope
from db_ops.postgres.schema.identifiers import unquoted_parts
from db_ops.postgres.schema.objects import Change, Schema

# What each kind can have that models cannot say. `create_all` makes no schema.
_BEYOND_MODELS: dict[str, frozenset[str | None]] = {
    "table": frozenset(
        {"row security", "forced row security", "replica identity", "toast options", "of type"}
    ),
    "column": frozenset({"statistics", "storage", "compression", "options", "foreign options"}),
    "constraint": frozenset({"triggers", "index validity", "index options", "clustered"}),
    "index": frozenset({"comment", "statistics", "clustered"}),
    "sequence": frozenset({"comment", "persistence"}),
    "enum": frozenset({"comment"}),
    "domain": frozenset({"comment"}),
    "domain constraint": frozenset({"comment"}),
}


# What a DDL event of the metadata may make as well; and the values that say nothing was said.
_BY_EVENTS = frozenset(
    {
        "extension",
        "function",
        "procedure",
        "aggregate",
        "view",
        "materialized view",
        "trigger",
        "rule",
        "policy",
        "statistics",
        "composite type",
        "range type",
        "collation",
        "cast",
        "operator",
    }
)
_UNSAID = frozenset({None, "disabled", "not forced", "default", "permanent"})


def is_of_models(change: Change) -> bool:
    """Tell whether *change*, from migrations to models, is the models' to decide.

    What they cannot express they may still make, by DDL events: then it is theirs, and its absence
    says nothing.
    """
    if is_expressible_in_models(change):
        return True
    if change.attribute == "enabled" or (change.kind == "extension" and change.attribute):
        return False
    known = change.kind in _BY_EVENTS or change.kind in _BEYOND_MODELS
    return known and change.expected not in _UNSAID


def is_expressible_in_models(change: Change) -> bool:
    """Tell whether models can express this, so that its absence from them is a difference."""
    beyond = _BEYOND_MODELS.get(change.kind)
    return beyond is not None and change.attribute not in beyond


@dataclass(frozen=True)
class ModelScope:
    """What the options of env.py leave out of a comparison, as they do for autogenerate.

    `sides` are the schemas that are compared, the one of the models first.
    """

    scope: AutogenerateScope = field(default_factory=AutogenerateScope)
    sides: tuple[Schema, ...] = ()

    def left_out(self, change: Change) -> str | None:
        """Return why a difference between models and migrations does not count, None if it does."""
        name = unquoted_parts(change.name)
        found = self.scope.reason(change.kind, name, change.attribute)
        if found is None and change.parent:
            found = self.scope.reason("table", unquoted_parts(change.parent))
        if found is None and name[0] not in self._modelled:
            found = self.scope.reason_for_schema(name[0])
            found = found or self.scope.reason("schema", name[:1])
        return found or self._used_by_left_out(change)

    def foreign(self, change: Change) -> str | None:
        """Return why what only the database has is not the project's, None if it may be.

        That is asked of whole tables and schemas: what was changed on a table of the migrations by
        hand is a difference, whatever autogenerate would say.
        """
        if change.attribute is not None or change.expected is not None:
            return None
        owner = change.name if change.kind == "table" else change.parent
        name = unquoted_parts(owner or change.name)
        if len(name) == 2 and owner and not self._has_table(owner):
            return self.scope.reason_for_foreign("table", name)
        if name[0] not in self._lived_in:
            return self.scope.reason_for_foreign("schema", name[:1])
        return None

    @cached_property
    def _modelled(self) -> frozenset[str]:
        return _schemas_of_tables(self.sides[:1])

    @cached_property
    def _lived_in(self) -> frozenset[str]:
        return _schemas_of_tables(self.sides)

    def _has_table(self, name: str) -> bool:
        return any(("table", name) in side.objects for side in self.sides)

    def _used_by_left_out(self, change: Change) -> str | None:
        """Return why all tables that have columns of a type are left out, if they are."""
        if change.kind not in ("enum", "domain", "composite type", "range type"):
            return None
        users = {
            found.parent
            for side in self.sides
            for found in side.objects.values()
            if found.kind == "column"
            and found.attributes.get("type", "").partition("[")[0] == change.name
        }
        reasons = [self.scope.reason("table", unquoted_parts(one)) for one in users if one]
        return reasons[0] if reasons and None not in reasons else None


def _schemas_of_tables(sides: tuple[Schema, ...]) -> frozenset[str]:
    names = (name for side in sides for kind, name in side.objects if kind == "table")
    return frozenset(unquoted_parts(name)[0] for name in names)
