"""What our records say about the database and the revision files of today."""

from __future__ import annotations

from db_ops.migrations.checksum import Checksums, comparable
from db_ops.migrations.graph import Graph
from db_ops.migrations.project import Project
from db_ops.postgres.recorded import Look, Recorded, Row
from db_ops.postgres.schema import FINGERPRINT_FORMAT
from db_ops.results import Difference, Drift, Revision

APPLIED = ("upgrade", "stamp", "accept")
RECORD = "inv db.history --record"


def judge_drift(found: Look, major: int) -> Drift:
    """Tell whether the catalogs are as they were when the last record was written.

    *major* is the server's version. What cannot be told is `unknown`, with the reason.
    """
    last = found.last
    if last is None:
        return Drift("unknown", found.problem)
    since, by = last.finished, by_whom(last)
    if set(last.heads) != set(found.revisions):
        at = ", ".join(last.heads) or "base"
        return Drift("unknown", f"the last record is of {at}", since, by)
    if last.fingerprint is None:
        return Drift("unknown", "no fingerprint is recorded for this revision", since, by)
    form, version, _ = last.fingerprint.split(":")
    if version != str(major):
        return Drift("unknown", f"recorded by PostgreSQL {version}, this is {major}", since, by)
    if form != str(FINGERPRINT_FORMAT):
        return Drift("unknown", "recorded by another version of db_ops", since, by)
    if found.fingerprint is None:
        return Drift("unknown", "too many objects to look at in passing", since, by)
    equal = found.fingerprint == last.fingerprint
    return Drift("equal" if equal else "changed", None, since, by)


def by_whom(row: Row) -> str:
    """Name the role, and the user of the machine that it was used from."""
    return f"{row.role} ({row.os_user})" if row.os_user else row.role


def file_state(
    project: Project, checksums: Checksums, revision: Revision | None, row: Row | None
) -> str:
    """Tell whether a revision's file does what it did when it was recorded: see `HistoryEntry`."""
    if revision is None:
        return "missing"
    if row is None or row.checksum is None:
        return "unknown"
    now = checksums.of(project.root / revision.path)
    if now is not None and not comparable(now, row.checksum):
        return "unknown"
    return "unchanged" if now == row.checksum else "edited"


def missing_files(graph: Graph, current: tuple[str, ...], recorded: Recorded) -> tuple[Row, ...]:
    """Return the records of applied revisions that have no file any more.

    None where that is certain not to be known: the database is at a revision of another checkout,
    or something was done without a record since.
    """
    last = recorded.rows[-1] if recorded.rows else None
    if last is None or set(last.heads) != set(current) or graph.unknown(current):
        return ()
    return tuple(
        row
        for row in recorded.newest.values()
        if row.action in APPLIED and row.revision not in graph.nodes
    )


def check_files(
    project: Project,
    checksums: Checksums,
    graph: Graph,
    current: tuple[str, ...],
    recorded: Recorded,
) -> tuple[Difference, ...]:
    """Name the applied revisions whose files were edited since, or are gone."""
    newest = recorded.newest
    edited = [
        revision
        for revision in (graph.nodes[name].revision for name in sorted(graph.applied(current)))
        if (row := newest.get(revision.id)) is not None
        and row.action in APPLIED
        and file_state(project, checksums, revision, row) == "edited"
    ]
    return (
        *(
            Difference(
                "edited",
                f"{revision.path} was edited after {_applied(newest[revision.id])}",
                f"restore it, and put the change into a new revision; or let it count: {RECORD}",
                remedies=(f"git restore {revision.path}", RECORD),
            )
            for revision in edited
        ),
        *(
            Difference(
                "missing",
                f"revision {row.revision} has no file any more, after {_applied(row)}",
                f"restore its file from git; or let it be gone: {RECORD}",
                remedies=("restore its file from git", RECORD),
            )
            for row in missing_files(graph, current, recorded)
        ),
    )


def _applied(row: Row) -> str:
    verb = {"upgrade": "it was applied", "stamp": "it was stamped"}.get(row.action, "its record")
    return f"{verb} on {row.finished[:10]} by {by_whom(row)}"
