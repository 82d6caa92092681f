"""Compare the revision files with the records of the applied revisions."""

from __future__ import annotations

from db_ops.migrations.project import Project
from db_ops.migrations.revisions.checksum import Checksums, comparable
from db_ops.migrations.revisions.graph import Graph, Node
from db_ops.postgres.history.rows import HistoryRow, RecordedHistory
from db_ops.results import Difference
from db_ops.target.position import Position
from db_ops.target.target import Target
from db_ops.verification.drift import RECORD, recorded_by

APPLIED = ("upgrade", "stamp", "accept")


def file_state(
    project: Project, checksums: Checksums, node: Node | None, row: HistoryRow | None
) -> str:
    """Tell whether a revision's file does what it did when it was recorded: see `HistoryEntry`."""
    if node is None:
        return "missing"
    if row is None or row.checksum is None:
        return "unknown"
    if row.checksum == node.replaced_checksum:
        # It ran before others were squashed into it.
        return "unchanged"
    now = checksums.of(project.root / node.revision.path)
    if now is not None and not comparable(now, row.checksum):
        return "unknown"
    return "unchanged" if now == row.checksum else "edited"


def missing_files(
    graph: Graph, current: tuple[str, ...], recorded: RecordedHistory
) -> tuple[HistoryRow, ...]:
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
        if row.action in APPLIED
        and row.revision not in graph.nodes
        and row.revision not in graph.squashed
    )


def check_files(
    target: Target, current: tuple[str, ...], recorded: RecordedHistory
) -> tuple[Difference, ...]:
    """Name the applied revisions whose files were edited since, or are gone."""
    graph, newest = target.graph, recorded.newest
    applied = Position(graph, current, recorded).applied
    edited = [
        node.revision
        for node in (graph.nodes[name] for name in sorted(applied))
        if (row := newest.get(node.revision.id)) is not None
        and row.action in APPLIED
        and file_state(target.project, target.checksums, node, row) == "edited"
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


def _applied(row: HistoryRow) -> str:
    verb = {"upgrade": "it was applied", "stamp": "it was stamped"}.get(row.action, "its record")
    return f"{verb} on {row.finished[:10]} by {recorded_by(row)}"
