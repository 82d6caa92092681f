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


def is_expressible_in_models(change: Change) -> bool:
    """Tell whether models can express this, so that its absence from them is a difference."""
    beyond = _BEYOND_MODELS.get(change.kind)
    return beyond is not None and change.attribute not in beyond
