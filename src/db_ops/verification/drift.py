"""Compare the catalogs with the last record of them."""

from __future__ import annotations

from db_ops.postgres.history.reader import RecordedState
from db_ops.postgres.history.rows import HistoryRow
from db_ops.postgres.schema.reading import fingerprint_format
from db_ops.results import Drift

RECORD = "db-ops history --record"


def judge_drift(found: RecordedState, major: int) -> Drift:
    """Tell whether the catalogs are as they were when the last record was written.

    *major* is the server's version. What cannot be told is `unknown`, with the reason.
    """
    last = found.last
    if last is None:
        return Drift("unknown", found.problem)
    since, by = last.finished, recorded_by(last)
    if set(last.heads) != set(found.revisions):
        at = ", ".join(last.heads) or "base"
        return Drift("unknown", f"the last record is of {at}", since, by)
    if last.fingerprint is None:
        return Drift("unknown", "no fingerprint is recorded for this revision", since, by)
    form, version, _ = last.fingerprint.split(":")
    if version != str(major):
        return Drift("unknown", f"recorded by PostgreSQL {version}, this is {major}", since, by)
    if form == fingerprint_format(of_schema=not found.of_schema):
        other = "the whole database" if found.of_schema else "this schema alone"
        return Drift("unknown", f"the last fingerprint is of {other}", since, by)
    if form != fingerprint_format(of_schema=found.of_schema):
        return Drift("unknown", "recorded by another version of db_ops", since, by)
    if found.fingerprint is None:
        return Drift("unknown", "too many objects to look at in passing", since, by)
    equal = found.fingerprint == last.fingerprint
    return Drift("equal" if equal else "changed", None, since, by)


def recorded_by(row: HistoryRow) -> str:
    """Return the role of a record, and the operating system user."""
    return f"{row.role} ({row.os_user})" if row.os_user else row.role
