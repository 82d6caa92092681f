"""Models, migrations and database compared."""

from __future__ import annotations

from db_ops.verification.report import Report, Sides, alembic_differences, compare_sides
from db_ops.verification.rules import Rules, read_rules, write_baseline
from db_ops.verification.sides import Disagreement, Verdict, judge
from db_ops.verification.target import compare_history

__all__ = [
    "Disagreement",
    "Report",
    "Rules",
    "Sides",
    "Verdict",
    "alembic_differences",
    "compare_history",
    "compare_sides",
    "judge",
    "read_rules",
    "write_baseline",
]
