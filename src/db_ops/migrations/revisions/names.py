"""Resolve revision identifiers, their prefixes, branch labels and relative steps.

The same text means here what it means to Alembic. Where Alembic takes more than one revision for
the answer, or we cannot tell which, nothing is chosen: the candidates are named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from db_ops.errors import (
    AmbiguousRevision,
    BranchNotNamed,
    NoSuchRevision,
    NotThatFarAhead,
)
from db_ops.migrations.revisions.graph import Goal, Graph

_HEAD = ("head", "heads")
# As Alembic takes them apart: LABEL@REVISION+2, REVISION-1, +2.
_RELATIVE = re.compile(r"(?:(.+?)@)?(\w+)?([+-]\d+)")


def resolve_revision(graph: Graph, text: str, command: str) -> str:
    """Return the revision that *text* names: an identifier, its unique beginning, a label, `head`.

    `LABEL@head` and `LABEL@REVISION` are of the branch of the label, for which a revision may stand
    as well. *command* is what is typed before *text*. Raises `NoSuchRevision`, `AmbiguousRevision`,
    or `MultipleHeads` for an ambiguous `head`.
    """
    if text == "head" and graph.heads:
        return graph.head() or ""
    label, at, name = text.rpartition("@")
    branch = graph.lineage(resolve_revision(graph, label, command)) if at else None
    if branch is not None and name in _HEAD:
        return _only(graph, text, [head for head in graph.heads if head in branch], command)
    known = {**graph.labelled, **{revision: revision for revision in graph.nodes}}
    if name in known:
        found = [known[name]]
    else:
        found = sorted({known[key] for key in known if name and key.startswith(name)})
    if branch is not None:
        found = [revision for revision in found if revision in branch]
    return _only(graph, text, found, command)


def upgrade_goal(graph: Graph, text: str | None, recorded: Iterable[str], command: str) -> Goal:
    """Return where an upgrade to *text* ends for a database at *recorded*; None for all heads.

    Besides what `resolve` takes, *text* is None or `heads`, `LABEL@heads`, a number of steps ahead
    (`+2`), on a branch (`LABEL@+2`), or steps from a revision (`REVISION+2`, `head-1`). Raises what
    `resolve` raises, `MultipleHeads` for heads that have to be merged if none is named, and
    `NotThatFarAhead`, also where it is open which steps are meant.
    """
    if text is None:
        graph.goals()
    if text is None or text == "heads":
        return None
    relative = _RELATIVE.fullmatch(text)
    if relative is not None:
        return (_relative(graph, text, relative, tuple(recorded), command),)
    label, at, name = text.rpartition("@")
    if at and name == "heads":
        branch = graph.lineage(resolve_revision(graph, label, command))
        return graph.tips([head for head in graph.heads if head in branch])
    return (resolve_revision(graph, text, command),)


def stamp_goal(
    graph: Graph, names: Iterable[str], recorded: Iterable[str], command: str
) -> tuple[str, ...]:
    """Return what a database at *recorded* is at when *names* are stamped.

    Besides what `resolve` takes, a name is `heads`, or `base`, also of a branch (`LABEL@base`). The
    branches that none of them is of stay where they are. Raises what `resolve` raises.
    """
    applied = {head: graph.applied((head,)) for head in recorded if head in graph.nodes}
    goals: set[str] = set()
    for text in names:
        label, at, name = text.rpartition("@")
        branch = frozenset(graph.nodes)
        if at:
            branch = graph.lineage(resolve_revision(graph, label, command))
        if name == "base":
            applied = {head: below for head, below in applied.items() if head not in branch}
            continue
        heads = [head for head in graph.heads if head in branch] if name == "heads" else None
        goals.update(heads if heads is not None else [resolve_revision(graph, text, command)])
    wanted = graph.applied(goals)
    for head, below in applied.items():
        if head not in wanted and goals.isdisjoint(below):
            wanted |= below
    return tuple(sorted(graph.tips(wanted)))


def branch_head(graph: Graph, named: str | None, command: str) -> str:
    """Return how Alembic calls the head that a new revision follows.

    That of the branch *named*, by a label or any of its revisions. Raises `MultipleHeads`,
    `BranchNotNamed` if there are several branches and none is named, and what `resolve` raises.
    """
    if named is not None:
        branch = graph.lineage(resolve_revision(graph, named, command))
        return _only(graph, named, [head for head in graph.heads if head in branch], command)
    if len(graph.goals()) > 1:
        branches = tuple(branch_name(graph, head, frozenset(graph.nodes)) for head in graph.heads)
        raise BranchNotNamed(graph.folder, branches, command)
    return "head"


def branch_name(graph: Graph, tip: str, among: frozenset[str]) -> str:
    """Return a label under which *tip* is the newest of the revisions *among*, or itself."""
    for label in sorted(graph.all_labels(tip)):
        if graph.tips(graph.descendants(graph.labelled[label]) & among) == (tip,):
            return label
    return tip


def _only(graph: Graph, text: str, found: list[str], command: str) -> str:
    if not found:
        raise NoSuchRevision(graph.folder, text)
    if len(found) > 1:
        raise AmbiguousRevision(graph.folder, text, tuple(found), command)
    return found[0]


def _relative(
    graph: Graph, text: str, found: re.Match[str], recorded: tuple[str, ...], command: str
) -> str:
    label, name, steps = found[1], found[2], int(found[3])
    branch = (
        graph.lineage(resolve_revision(graph, label, command)) if label else frozenset(graph.nodes)
    )
    if name is not None:
        start = resolve_revision(graph, f"{label}@{name}" if label else name, command)
        goal = _walk(graph, start, steps, branch)
    else:
        goal = _ahead(graph, steps, recorded, branch)
    if goal is None:
        pending = tuple(revision.id for revision in graph.pending(recorded))
        raise NotThatFarAhead(text, pending, command)
    return goal


def _walk(graph: Graph, start: str | None, steps: int, branch: frozenset[str]) -> str | None:
    """Go *steps* up from *start* (None for base), or down; None where the way ends or parts."""
    here = start
    for _ in range(abs(steps)):
        if steps < 0:
            ways = list(graph.nodes[here].down) if here else []
        elif here is None:
            ways = [name for name in graph.order if not graph.nodes[name].down and name in branch]
        else:
            ways = [name for name in graph.next_revisions.get(here, ()) if name in branch]
        if len(ways) != 1:
            return None
        here = ways[0]
    return here


def _ahead(
    graph: Graph, steps: int, recorded: tuple[str, ...], branch: frozenset[str]
) -> str | None:
    """Return the revision that *steps* steps lead to, None if not exactly one does.

    To Alembic, these are steps along one line; what they depend on comes in addition. The two must
    not differ.
    """
    if steps < 1:
        return None
    applied = graph.applied(recorded)
    starts = graph.tips(applied & branch) or (None,)
    if len(starts) == 1:
        goal = _walk(graph, starts[0], steps, branch)
        if goal is not None:
            return goal if len(graph.pending(recorded, (goal,))) == steps else None
    pending = [one.id for one in graph.pending(recorded) if one.id in branch]
    if steps > len(pending):
        return None
    goal, first = pending[steps - 1], applied | frozenset(pending[: steps - 1])
    ready = [name for name in pending[steps - 1 :] if first.issuperset(graph.nodes[name].parents)]
    alone = ready == [goal] and len(graph.pending(recorded, (goal,))) == steps
    return goal if alone else None
