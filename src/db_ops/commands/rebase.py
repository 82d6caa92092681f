"""Move an unmerged branch of revisions onto the other head, instead of merging them."""

from __future__ import annotations

from db_ops.errors import AppliedRevision, DbOpsError, UsageError
from db_ops.frozen_data import replace
from db_ops.migrations.revisions.graph import Graph
from db_ops.migrations.revisions.names import resolve_revision
from db_ops.migrations.revisions.reader import read_graph
from db_ops.migrations.revisions.rebase import replace_down_revision
from db_ops.results import MigrationRebased, OnEvent, ignore
from db_ops.settings import Settings
from db_ops.target.ahead import check_known
from db_ops.target.open_project import open_project
from db_ops.target.open_server import server_of
from db_ops.target.target import Target


def rebase_migration(
    settings: Settings, revision: str, *, on_event: OnEvent = ignore
) -> MigrationRebased:
    """Let the branch that ends in *revision*, one of two heads, follow the other head.

    Only the first revision of the branch is rewritten: what it follows. That is safe only where
    none of the branch is applied, or a database would take the other head for applied as well:
    the target is asked if it answers at once, and else the result says that it was not. Raises
    `UsageError`, `NoSuchRevision`, `AppliedRevision`, `RevisionFileBroken`.
    """
    settings, project = open_project(settings)
    graph = read_graph(project, settings.cache_folder)
    mine = resolve_revision(graph, revision, "db-ops create-migration --rebase")
    others = [head for head in graph.heads if head != mine]
    if mine not in graph.heads or len(others) != 1:
        heads = ", ".join(graph.heads)
        raise UsageError(
            f"--rebase: {mine} is not one of two heads, the heads are: {heads}",
            "see the heads: db-ops status; merge several: alembic merge -m 'merge heads' heads",
        )
    (onto,) = others
    branch = _branch(graph, mine, onto)
    location = settings.url.location if settings.url else "embedded"
    unasked = None
    try:
        # It answers now or is not asked: the files need no server.
        server = server_of(replace(settings, wait_timeout=0), "create-migration", on_event)
        location = server.location
        _refuse_applied(Target(project, graph, server), branch, onto)
    except AppliedRevision:
        raise
    except DbOpsError as error:
        unasked = error.message
    first = graph.nodes[branch[-1]]
    path = settings.root / first.revision.path
    before = first.down[0] if first.down else None
    replace_down_revision(path, before, onto, first.revision.path)
    return MigrationRebased(location, first.revision, onto, unasked)


def _branch(graph: Graph, mine: str, onto: str) -> tuple[str, ...]:
    """Return the revisions of *mine* that *onto* does not have, newest first."""
    shared = graph.applied((onto,))
    branch: list[str] = []
    here = mine
    while True:
        branch.append(here)
        down = graph.nodes[here].down
        if len(down) > 1:
            raise UsageError(
                f"--rebase: {here} merges others itself",
                "merge the heads: alembic merge -m 'merge heads' heads",
            )
        if not down or down[0] in shared:
            return tuple(branch)
        here = down[0]


def _refuse_applied(target: Target, branch: tuple[str, ...], onto: str) -> None:
    with target.server.target_if_exists() as connection:
        if connection is None:
            return
        recorded = target.recorded_on(connection)
        position = target.position(recorded, connection)
        if not position.is_known:
            check_known(target, recorded, connection)
    applied = position.applied
    for revision in branch:
        if revision in applied:
            raise AppliedRevision(target.location, revision, onto)
