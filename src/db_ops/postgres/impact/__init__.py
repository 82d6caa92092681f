"""What each statement of a session does to existing tables: locks, scans, rewrites."""

from __future__ import annotations

from db_ops.postgres.impact.observer import Observer
from db_ops.postgres.impact.recorder import StatementRecorder
from db_ops.postgres.impact.script import notes, write_script
from db_ops.postgres.impact.snapshot import observed_tables
from db_ops.postgres.impact.statements import may_write, writes_version_table

__all__ = [
    "Observer",
    "StatementRecorder",
    "may_write",
    "notes",
    "observed_tables",
    "write_script",
    "writes_version_table",
]
