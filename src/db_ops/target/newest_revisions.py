"""Which of the applied revisions are the newest, for a downgrade by a number of steps."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import cached_property

from db_ops.errors import AmbiguousDowngrade, NeededByOthers, TooManySteps
from db_ops.frozen_data import FrozenData
from db_ops.migrations.revisions.graph import Graph
from db_ops.migrations.revisions.names import branch_name, resolve_revision


class NewestRevisions(FrozenData):
    """Chooses the newest of the revisions that are applied where `start` is recorded.

    `applied_at` numbers them in the order of application, as far as that is known. `location` and
    `command` are for errors.
    """

    graph: Graph
    start: tuple[str, ...]
    applied_at: Mapping[str, int]
    location: str
    command: str

    @cached_property
    def applied(self) -> frozenset[str]:
        return self.graph.applied(self.start)

    def take(self, steps: int | None, branch: str | None) -> tuple[str, ...]:
        """Return the newest *steps* revisions (of *branch*), or all, newest first."""
        parts = [self.applied] if branch is None else self._parts(branch)
        count = sum(map(len, parts))
        steps = count if steps is None else steps
        if steps > count:
            raise TooManySteps(self.location, steps, count, branch)
        taken: list[str] = []
        for part in parts:
            while len(taken) < steps and part.difference(taken):
                taken.append(self._newest(part.difference(taken), taken, branch))
        return tuple(taken)

    def _parts(self, branch: str) -> list[frozenset[str]]:
        """Return what is applied of *branch*: from the revision named on, then what it follows.

        Where that revision is not applied, nothing is: what it would follow belongs to others.
        """
        named = resolve_revision(self.graph, branch, f"{self.command} --branch")
        above = self.graph.descendants(named) & self.applied
        return (
            [above, (self.graph.ancestors(named) & self.applied) - above] if named in above else []
        )

    def _newest(self, part: frozenset[str], taken: list[str], branch: str | None) -> str:
        tips = self.graph.tips(part)
        free = [tip for tip in tips if not self._needing(tip, taken)]
        if not free:
            raise self._needed(tips[-1], taken)
        if len(tips) > 1 and not frozenset.intersection(*map(self.graph.descendants, tips)):
            commands = tuple(self._on(branch_name(self.graph, tip, self.applied)) for tip in free)
            if taken:
                certain = f"{self.command} -s {len(taken)}"
                commands = (certain + (f" --branch {shlex.quote(branch)}" if branch else ""),)
            raise AmbiguousDowngrade(self.location, tips, len(taken), commands)
        if all(tip in self.applied_at for tip in free):
            return max(free, key=self.applied_at.__getitem__)
        return free[-1]

    def _needing(self, revision: str, taken: list[str]) -> list[str]:
        nodes, left = self.graph.nodes, self.applied.difference(taken)
        return sorted(name for name in left if revision in nodes[name].parents)

    def _needed(self, revision: str, taken: list[str]) -> NeededByOthers:
        by = self._needing(revision, taken)
        above = {by[0]}
        for name in self.graph.order:
            if name in self.applied and above.intersection(self.graph.nodes[name].parents):
                above.add(name)
        first = self._on(self.graph.tips(above)[-1])
        return NeededByOthers(self.location, revision, tuple(by), first)

    def _on(self, branch: str) -> str:
        return f"{self.command} --branch {shlex.quote(branch)}"
