"""The target compared with the revision files, then with the models as Alembic sees them."""

from __future__ import annotations

from dataclasses import dataclass

from db_ops.migrations.describe import describe
from db_ops.migrations.graph import Graph
from db_ops.migrations.project import Project
from db_ops.migrations.runner import Database, compare
from db_ops.results import Difference


@dataclass(frozen=True)
class Findings:
    """What was found, and what could not be looked at for it."""

    differences: tuple[Difference, ...]
    unchecked: tuple[str, ...] = ()


def verify_target(
    project: Project, graph: Graph, database: Database, recorded: tuple[str, ...] | None
) -> Findings:
    """Compare *graph* with what is *recorded* (None: no such database), then models with tables.

    Alembic compares models only with a database at head, so anything found before that leaves
    them uncompared, and the result says so.
    """
    history = _history(graph, recorded)
    if history:
        return Findings(history, ("models were not compared: the database is not at the head",))
    diffs, unchecked = compare(project, database)
    differences = tuple(
        Difference(
            "models",
            f"models and database differ: {describe(diff)}",
            "inv db.create-migration -m MESSAGE",
        )
        for diff in diffs
    )
    return Findings(differences, unchecked)


def _history(graph: Graph, recorded: tuple[str, ...] | None) -> tuple[Difference, ...]:
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
        found.append(Difference("database", "the database does not exist", "inv db.init"))
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
                "inv db.upgrade",
            )
        )
    return tuple(found)
