"""The revision files compared with what a database says it has applied."""

from __future__ import annotations

from db_ops.migrations.graph import Graph
from db_ops.results import Difference


def compare_history(graph: Graph, recorded: tuple[str, ...] | None) -> tuple[Difference, ...]:
    """Compare *graph* with what is *recorded* (None: no such database)."""
    found = []
    if not graph.heads_are_meant():
        found.append(
            Difference(
                "heads",
                f"{len(graph.heads)} heads in the revision files: {', '.join(graph.heads)}",
                "alembic merge -m 'merge heads' heads",
            )
        )
    if recorded is None:
        found.append(Difference("database", "the database does not exist", "db-ops init"))
        return tuple(found)
    for revision in graph.unknown(recorded):
        found.append(
            Difference(
                "unknown",
                f"the database is at {revision}, which this checkout does not have",
                "check out the branch that has it",
            )
        )
    for pending in graph.pending(recorded):
        found.append(
            Difference(
                "pending",
                f"revision {pending.id} is not applied: {pending.summary}",
                "db-ops upgrade",
            )
        )
    return tuple(found)
