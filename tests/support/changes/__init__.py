"""Single changes to a database, as data: what they are, and what a comparison has to call them."""

from __future__ import annotations

from pathlib import Path

from tests.support.changes.behaviour import BEHAVIOUR
from tests.support.changes.case import Case
from tests.support.changes.columns import COLUMNS
from tests.support.changes.privileges import PRIVILEGES
from tests.support.changes.tables import TABLES
from tests.support.changes.types import TYPES

BASE = (Path(__file__).parent / "base.sql").read_text()
CASES: tuple[Case, ...] = (*COLUMNS, *TABLES, *TYPES, *BEHAVIOUR)
GRANT_CASES: tuple[Case, ...] = PRIVILEGES

__all__ = ["BASE", "CASES", "GRANT_CASES", "Case"]
