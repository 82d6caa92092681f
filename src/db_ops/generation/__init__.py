"""A revision that changes the schema of the migrations into that of the models."""

from __future__ import annotations

from db_ops.generation.change_text import describe_change, is_left_by_downgrade
from db_ops.generation.differences import relevant_changes
from db_ops.generation.planner import RevisionPlanner
from db_ops.generation.rename_steps import Rename
from db_ops.generation.renames import refuse_undecided, requested_renames
from db_ops.generation.statements import (
    RevisionPlan,
    RevisionStatement,
    ScratchSession,
    call_with_text,
)

__all__ = [
    "Rename",
    "RevisionPlan",
    "RevisionPlanner",
    "RevisionStatement",
    "ScratchSession",
    "call_with_text",
    "describe_change",
    "is_left_by_downgrade",
    "refuse_undecided",
    "relevant_changes",
    "requested_renames",
]
