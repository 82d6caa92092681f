"""Models, migrations and database compared."""

from __future__ import annotations

from db_ops.verification.sides import Disagreement, Verdict, judge
from db_ops.verification.target import Findings, verify_target

__all__ = ["Disagreement", "Findings", "Verdict", "judge", "verify_target"]
