"""The revision graph: how the revisions of a project follow each other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property
from itertools import combinations

from db_ops.errors import MultipleHeads, RevisionGraphBroken
from db_ops.frozen_data import FrozenData, field, replace
from db_ops.results import Revision

# Where an upgrade ends; None for all heads.
Goal = tuple[str, ...] | None


class Node(FrozenData):
    """One revision file: what it follows (`down`) and what must be applied before (`depends`).

    `replaces` are the revisions that were squashed into it, `replaced_checksum` is that of the file
    that had its identifier then.
    """

    revision: Revision
    down: tuple[str, ...]
    depends: tuple[str, ...]
    labels: tuple[str, ...]
    replaces: tuple[str, ...] = ()
    replaced_checksum: str | None = None

    @property
    def parents(self) -> tuple[str, ...]:
        return (*self.down, *self.depends)


class Graph(FrozenData):
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

    def unknown(self, recorded: Iterable[str]) -> tuple[str, ...]:
        """Return those of *recorded* that have no revision file."""
        return tuple(
            revision
            for revision in recorded
            if revision not in self.heads and revision not in self.nodes
        )

    def applied(self, recorded: Iterable[str]) -> frozenset[str]:
        """Return every revision that is applied in a database at *recorded*."""
        seen: set[str] = set()
        waiting = [revision for revision in recorded if revision in self.nodes]
        while waiting:
            revision = waiting.pop()
            if revision not in seen:
                seen.add(revision)
                waiting.extend(self.nodes[revision].parents)
        return frozenset(seen)

    def pending(self, recorded: Iterable[str], goal: Goal = None) -> tuple[Revision, ...]:
        """Return the revisions from *recorded* to *goal*, each after those it needs."""
        goals = self.heads if goal is None else goal
        recorded = tuple(recorded)
        if set(goals) <= set(recorded):
            return ()
        wanted = self.applied(goals) - self.applied(recorded)
        return tuple(self.nodes[name].revision for name in self.order if name in wanted)

    def tips(self, revisions: Collection[str]) -> tuple[str, ...]:
        """Return those of *revisions* that no other of them needs, in the order of the graph."""
        needed = {parent for name in revisions for parent in self.nodes[name].parents}
        return tuple(name for name in self.order if name in revisions and name not in needed)

    def descendants(self, revision: str) -> frozenset[str]:
        """Return *revision* and its descendants, without those that only depend on it."""
        return self._reached(revision, lambda name: self.next_revisions.get(name, ()))

    def ancestors(self, revision: str) -> frozenset[str]:
        """Return *revision* and its ancestors, without those it only depends on."""
        return self._reached(revision, lambda name: self.nodes[name].down)

    def lineage(self, revision: str) -> frozenset[str]:
        """Return the branch of *revision* as Alembic takes it: ancestors and descendants."""
        return self.ancestors(revision) | self.descendants(revision)

    @cached_property
    def next_revisions(self) -> Mapping[str, list[str]]:
        """The direct successors of each revision, without those that only depend on it."""
        next_revisions: dict[str, list[str]] = {}
        for name, node in self.nodes.items():
            for parent in node.down:
                next_revisions.setdefault(parent, []).append(name)
        return next_revisions

    @cached_property
    def squashed(self) -> Mapping[str, str]:
        """The revision that each one was squashed into whose file is gone."""
        return {
            old: name
            for name, node in self.nodes.items()
            for old in node.replaces
            if old not in self.nodes
        }

    @cached_property
    def labelled(self) -> Mapping[str, str]:
        """The revision that carries each branch label."""
        return {label: name for name, node in self.nodes.items() for label in node.labels}

    def all_labels(self, revision: str) -> set[str]:
        """Return the labels of *revision* and of everything that it follows."""
        return self._labels(self.ancestors(revision))

    def _independent(self, one: str, other: str) -> bool:
        ours, theirs = self.ancestors(one), self.ancestors(other)
        if ours.isdisjoint(theirs):
            return True
        return bool(self._labels(ours - theirs)) and bool(self._labels(theirs - ours))

    def _labels(self, revisions: Iterable[str]) -> set[str]:
        return {label for revision in revisions for label in self.nodes[revision].labels}

    def _reached(self, start: str, step: Callable[[str], Iterable[str]]) -> frozenset[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            revision = waiting.pop()
            if revision not in seen:
                seen.add(revision)
                waiting.extend(step(revision))
        return frozenset(seen)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """All revisions, each after those that it needs."""
        from graphlib import TopologicalSorter

        sorter = TopologicalSorter(
            {name: sorted(node.parents) for name, node in sorted(self.nodes.items())}
        )
        return tuple(sorter.static_order())

    def _check(self) -> None:
        from graphlib import CycleError

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
        name: replace(
            node,
            depends=tuple(labelled.get(dependency, dependency) for dependency in node.depends),
        )
        if node.depends
        else node
        for name, node in nodes.items()
    }
