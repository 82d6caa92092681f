"""What each statement of a session does to the tables that were there: locks, scans, rewrites."""

from __future__ import annotations

from db_ops.postgres.impact.observer import Observer
from db_ops.postgres.impact.recorder import Recorder
from db_ops.postgres.impact.script import notes, write_script
from db_ops.postgres.impact.snapshot import observed_tables
from db_ops.postgres.impact.statements import may_write, records

__all__ = [
    "Observer",
    "Recorder",
    "may_write",
    "notes",
    "observed_tables",
    "records",
    "write_script",
]
