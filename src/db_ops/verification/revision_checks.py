"""Compare the revision graph with the revisions recorded in a database."""

from __future__ import annotations

from db_ops.migrations.revisions.graph import Graph
from db_ops.results import Difference
from db_ops.target.position import Position

ADOPT = "db-ops stamp --find"


def compare_history(
    graph: Graph, position: Position | None, checkout: str
) -> tuple[Difference, ...]:
    """Compare *graph* with the *position* of the database (None: no such database).

    A database that is only ahead does not differ. *checkout* is what brings the files of revisions
    that this checkout does not have.
    """
    found = []
    if not graph.heads_are_meant():
        found.append(
            Difference(
                "heads",
                f"{len(graph.heads)} heads in the revision files: {', '.join(graph.heads)}",
                "alembic merge -m 'merge heads' heads",
            )
        )
    if position is None:
        found.append(Difference("database", "the database does not exist", "db-ops init"))
        return tuple(found)
    for revision in position.unknown if not position.ahead else ():
        into = position.squashed.get(revision)
        found.append(
            Difference(
                "unknown",
                f"the database is at {revision}, which "
                + (f"was squashed into {into}" if into else "this checkout does not have"),
                checkout,
            )
        )
    for pending in position.pending:
        found.append(
            Difference(
                "pending",
                f"revision {pending.id} is not applied: {pending.summary}",
                checkout if position.unknown else "db-ops upgrade",
            )
        )
    return tuple(found)


def adoption_difference(
    tables: tuple[str, ...], at_head: tuple[str, ...], last: tuple[str, ...]
) -> Difference:
    """Return the difference of a database that has the service's *tables* and no revision.

    *at_head* names the heads if the tables were seen to be what the migrations make up to them,
    *last* the heads of the last record, if there is one.
    """
    named = ", ".join(tables[:5]) + (f" and {len(tables) - 5} more" if len(tables) > 5 else "")
    said = f"no revision is recorded, and tables of this service are there: {named}"
    if at_head:
        said += f"; they are what the migrations make up to {', '.join(at_head)}"
    elif last:
        said += f"; the last record is of {', '.join(last)}"
    named_heads = " ".join(f"-r {head}" for head in at_head)
    return Difference("untracked", said, f"db-ops stamp {named_heads}" if at_head else ADOPT)
