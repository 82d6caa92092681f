"""Which schema objects SQLAlchemy models can express; the others exist in migrations alone."""

from __future__ import annotations

from db_ops.postgres.schema.objects import Change

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
