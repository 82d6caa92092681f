"""A revision put together from what the models have and the migrations have not."""

from __future__ import annotations

from db_ops.generation.change_text import describe, is_kept
from db_ops.generation.planner import Plan, Planner, relevant_changes
from db_ops.generation.renames import Rename, answered, refuse_undecided
from db_ops.generation.statements import TODO, Bench, Piece

__all__ = [
    "TODO",
    "Bench",
    "Piece",
    "Plan",
    "Planner",
    "Rename",
    "answered",
    "describe",
    "is_kept",
    "refuse_undecided",
    "relevant_changes",
]
