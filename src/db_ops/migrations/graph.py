"""The revision graph: how the revisions of a project follow each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import combinations

from db_ops.errors import (
    BranchNotNamed,
    MultipleHeads,
    NoSuchRevision,
    NotThatFarAhead,
    RevisionGraphBroken,
)
from db_ops.results import Revision

_STEPS = re.compile(r"\+[0-9]+")


@dataclass(frozen=True)
class Node:
    """One revision file: what it follows (`down`) and what must be applied before (`depends`)."""

    revision: Revision
    down: tuple[str, ...]
    depends: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def parents(self) -> tuple[str, ...]:
        return (*self.down, *self.depends)


@dataclass(frozen=True)
class Graph:
    """All revisions of a project, sorted heads first known.

    The nodes are made from `load` when a question first needs them: that a database is at the heads
    is seen without.
    """

    folder: str
    heads: tuple[str, ...]
    load: Callable[[], Mapping[str, Node]] = field(repr=False)

    @classmethod
    def of(cls, nodes: Iterable[Node], folder: str) -> Graph:
        """Return the checked graph of *nodes*.

        Raises `RevisionGraphBroken` for a duplicate, a missing parent or a cycle.
        """
        known = _resolved(_by_revision(nodes))
        followed = {parent for node in known.values() for parent in node.down}
        graph = cls(folder, tuple(sorted(known.keys() - followed)), lambda: known)
        graph._check()
        return graph

    @classmethod
    def of_checked(
        cls, load: Callable[[], Iterable[Node]], folder: str, heads: tuple[str, ...]
    ) -> Graph:
        """Return a graph that passed `of` before, without making its nodes yet."""
        return cls(folder, heads, lambda: _resolved(_by_revision(load())))

    @cached_property
    def nodes(self) -> Mapping[str, Node]:
        return self.load()

    def head(self) -> str | None:
        """Return the only head, or None without revisions. Raises `MultipleHeads`."""
        if len(self.heads) > 1:
            raise MultipleHeads(self.folder, self.heads)
        return self.heads[0] if self.heads else None

    def goals(self) -> tuple[str, ...]:
        """Return what "everything applied" means: the heads, if they are meant to be several.

        They are where no two of them come from one branch: they have no revision in common, or
        each carries a branch label of its own. Raises `MultipleHeads` else.
        """
        if not self.heads_are_meant():
            raise MultipleHeads(self.folder, self.heads)
        return self.heads

    def heads_are_meant(self) -> bool:
        """Tell whether no two heads have to be merged."""
        return all(self._independent(*pair) for pair in combinations(self.heads, 2))

    def branch(self, named: str | None) -> str:
        """Return how Alembic calls the head that a new revision follows.

        That of the branch *named*, by a label or its head. Raises `MultipleHeads`,
        `BranchNotNamed` if there are several branches and none is named, `NoSuchRevision`.
        """
        if named is not None:
            return self._head_of(named, named)
        if len(self.goals()) > 1:
            raise BranchNotNamed(self.folder, tuple(map(self._name_of, self.heads)))
        return "head"

    def on_branch(self, recorded: tuple[str, ...], named: str | None) -> tuple[str, ...]:
        """Return those of *recorded* that belong to the branch *named*, all if none is.

        Raises `NoSuchRevision`.
        """
        if named is None:
            return recorded
        line = self._line(self._head_of(named, named))
        return tuple(revision for revision in recorded if revision in line)

    def _name_of(self, head: str) -> str:
        others = {label for one in self.heads if one != head for label in self._all_labels(one)}
        return next(iter(sorted(self._all_labels(head) - others)), head)

    def unknown(self, recorded: Iterable[str]) -> tuple[str, ...]:
        """Return those of *recorded* that no file has."""
        return tuple(
            revision
            for revision in recorded
            if revision not in self.heads and revision not in self.nodes
        )

    def applied(self, recorded: Iterable[str]) -> frozenset[str]:
        """Return every revision that a database at *recorded* has behind it."""
        seen: set[str] = set()
        waiting = [revision for revision in recorded if revision in self.nodes]
        while waiting:
            revision = waiting.pop()
            if revision not in seen:
                seen.add(revision)
                waiting.extend(self.nodes[revision].parents)
        return frozenset(seen)

    def pending(self, recorded: Iterable[str], target: str | None = None) -> tuple[Revision, ...]:
        """Return what leads from *recorded* to *target* (all heads), in an order that can run."""
        goals = self.heads if target is None else (target,)
        recorded = tuple(recorded)
        if set(goals) <= set(recorded):
            return ()
        wanted = self.applied(goals) - self.applied(recorded)
        return tuple(self.nodes[name].revision for name in self.order if name in wanted)

    def resolve(self, text: str) -> str:
        """Return the revision that *text* names: `head`, an identifier, or a unique beginning.

        `LABEL@head` is the head of the branch with that label.

        Raises `NoSuchRevision`, or `MultipleHeads` for an ambiguous `head`.
        """
        if text == "head" and self.heads:
            return self.head() or ""
        if text in self.nodes:
            return text
        label, at, end = text.rpartition("@")
        if at and end in ("head", "heads"):
            return self._head_of(label, text)
        found = [name for name in self.nodes if text and name.startswith(text)]
        if len(found) != 1:
            raise NoSuchRevision(self.folder, text)
        return found[0]

    def goal(self, text: str | None, recorded: Iterable[str]) -> str | None:
        """Return the revision that *text* means for a database at *recorded*, None for all heads.

        Besides what `resolve` takes, *text* is None or `heads`, or a number of steps ahead: `+2`.
        Raises what `resolve` raises, `MultipleHeads` for heads that have to be merged if none is
        named, and `NotThatFarAhead`, also where branches leave open which steps are meant.
        """
        if text is None:
            self.goals()
        if text is None or text == "heads":
            return None
        return self._ahead(text, recorded) if _STEPS.fullmatch(text) else self.resolve(text)

    def _ahead(self, text: str, recorded: Iterable[str]) -> str:
        steps, recorded = int(text), tuple(recorded)
        pending = self.pending(recorded)
        if 0 < steps <= len(pending):
            goal = pending[steps - 1].id
            if len(self.pending(recorded, goal)) == steps:
                return goal
        raise NotThatFarAhead(text, tuple(revision.id for revision in pending))

    def _head_of(self, label: str, text: str) -> str:
        found = [head for head in self.heads if head == label or label in self._all_labels(head)]
        if len(found) != 1:
            raise NoSuchRevision(self.folder, text)
        return found[0]

    def _independent(self, one: str, other: str) -> bool:
        ours, theirs = self._line(one), self._line(other)
        if ours.isdisjoint(theirs):
            return True
        return bool(self._labels(ours - theirs)) and bool(self._labels(theirs - ours))

    def _line(self, head: str) -> set[str]:
        """Return what *head* follows, not what it only depends on."""
        seen: set[str] = set()
        waiting = [head]
        while waiting:
            revision = waiting.pop()
            if revision not in seen:
                seen.add(revision)
                waiting.extend(self.nodes[revision].down)
        return seen

    def _labels(self, revisions: Iterable[str]) -> set[str]:
        return {label for revision in revisions for label in self.nodes[revision].labels}

    def _all_labels(self, head: str) -> set[str]:
        return self._labels(self._line(head))

    @cached_property
    def order(self) -> tuple[str, ...]:
        """All revisions, each after those that it needs."""
        sorter = TopologicalSorter(
            {name: sorted(node.parents) for name, node in sorted(self.nodes.items())}
        )
        return tuple(sorter.static_order())

    def _check(self) -> None:
        for node in self.nodes.values():
            for parent in node.parents:
                if parent not in self.nodes:
                    reason = f"revision {node.revision.id} follows {parent}, which is not there"
                    raise RevisionGraphBroken(node.revision.path, reason)
        try:
            self.order  # noqa: B018  # sorting is what finds a cycle
        except CycleError as error:
            cycle = " -> ".join(error.args[1])
            raise RevisionGraphBroken(self.folder, f"the revisions form a cycle: {cycle}") from None


def _by_revision(nodes: Iterable[Node]) -> dict[str, Node]:
    known: dict[str, Node] = {}
    for node in nodes:
        other = known.setdefault(node.revision.id, node)
        if other is not node:
            reason = f"revision {node.revision.id} is also in {other.revision.path}"
            raise RevisionGraphBroken(node.revision.path, reason)
    return known


def _resolved(nodes: dict[str, Node]) -> dict[str, Node]:
    """Replace branch labels in `depends_on` by the revisions that carry them."""
    labelled = {label: name for name, node in nodes.items() for label in node.labels}
    return {
        name: Node(
            node.revision,
            node.down,
            tuple(labelled.get(dependency, dependency) for dependency in node.depends),
            node.labels,
        )
        if node.depends
        else node
        for name, node in nodes.items()
    }
