"""The steps of an upgrade or downgrade, and a check that Alembic plans the same.

What is private in Alembic and used here: `ScriptDirectory._upgrade_revs` and `_downgrade_revs`,
which `alembic.command` itself is made of.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, cast

from db_ops.errors import AlembicFailed, FunctionMissing, StepsDiffer
from db_ops.frozen_data import FrozenData
from db_ops.migrations.revisions.graph import Goal, Graph

if TYPE_CHECKING:
    from alembic.runtime.migration import RevisionStep
    from alembic.script import Script, ScriptDirectory


class TableSteps(FrozenData):
    """What is announced for one version table: these steps, from the revisions that it is at."""

    start: tuple[str, ...]
    steps: tuple[str, ...]


class StepPlan(FrozenData):
    """What a command announces, in one direction, for each version table.

    An upgrade ends at `goal`. `location` and `env_py` are for errors.
    """

    graph: Graph
    direction: str
    tables: tuple[TableSteps, ...]
    location: str
    env_py: str
    goal: Goal = None

    @property
    def total(self) -> int:
        return sum(len(table.steps) for table in self.tables)

    @property
    def typed(self) -> tuple[str, dict[str, Any]]:
        """The command of Alembic, as its parser leaves it, for the most steps that it can name.

        Of several branches, a revision tells which one is meant.
        """
        steps, goal = self._most, self.destination
        if steps and len(self.graph.heads) > 1:
            goal = steps[-1] if self.direction == "upgrade" else f"{steps[0]}-{len(steps)}"
        return self.direction, {"revision": goal, "sql": False, "tag": None}

    @property
    def destination(self) -> str:
        """Where those steps lead to, as it is typed; `context.get_revision_argument` names it."""
        steps, heads = self._most, self.graph.heads
        if self.direction == "upgrade":
            if steps and self.goal is not None and {*self.goal} != {*heads}:
                return steps[-1]
            return "head" if len(heads) == 1 else "heads"
        below = self.graph.nodes[steps[-1]].down if steps else ()
        return below[0] if len(below) == 1 else f"{steps[0]}-{len(steps)}" if below else "base"

    @property
    def _most(self) -> tuple[str, ...]:
        return max((table.steps for table in self.tables), key=len, default=())

    def check(self, scripts: ScriptDirectory) -> None:
        """Compare all of it with what Alembic would do. Raises `StepsDiffer`, `AlembicFailed`."""
        for table in self.tables:
            self.steps_from(table.start, scripts)

    def steps_from(
        self, heads: Iterable[str], scripts: ScriptDirectory, done: Collection[str] | None = None
    ) -> list[RevisionStep]:
        """Return Alembic's own steps for what is left to do where a version table is at *heads*.

        *done* are the steps that this run has taken: of a single version table, no others may be
        missing. Raises `StepsDiffer` if they are not those announced, `AlembicFailed`.
        """
        heads = tuple(sorted(heads))
        left = self._left(heads)
        is_alone = done is not None and len(self.tables) == 1
        if is_alone and {*(left or ()), *(done or ())} != {*self.tables[0].steps}:
            left = None
        announced = self._announced if left is None else left
        planned = self._planned(announced, heads, scripts)
        if left is None or planned.keys() != set(left):
            self._refuse(announced, planned, heads)
        if self.direction == "upgrade":
            return list(planned.values())
        steps = [planned[name] for name in announced]
        if not _can_revert(steps):
            self._refuse(announced, planned, heads)
        return steps

    def is_done(self, heads: Collection[tuple[str, ...]]) -> bool:
        """Tell whether version tables at *heads* have lost and kept what was announced."""
        for table, now in zip(self.tables, heads, strict=True):
            before, steps = self.graph.applied(table.start), frozenset(table.steps)
            applied = self.graph.applied(now)
            if self.direction == "upgrade" and not applied >= before | steps:
                return False
            if self.direction == "downgrade" and applied != before - steps:
                return False
        return True

    @property
    def _announced(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for table in self.tables for name in table.steps))

    def _refuse(
        self, announced: tuple[str, ...], planned: Collection[str], heads: tuple[str, ...]
    ) -> NoReturn:
        raise StepsDiffer(
            self.location, self.direction, announced, tuple(planned), heads, self.env_py
        )

    def _check_function(self, name: str, scripts: ScriptDirectory) -> None:
        script = scripts.revision_map.get_revision(name)
        if script is not None and not hasattr(cast("Script", script).module, self.direction):
            raise FunctionMissing(self.graph.nodes[name].revision.path, self.direction)

    def _left(self, heads: tuple[str, ...]) -> tuple[str, ...] | None:
        """Return which steps are left for a table at *heads*, None if it cannot have got there."""
        if self.graph.unknown(heads):
            return None
        now = self.graph.applied(heads)
        for table in self.tables:
            before, steps = self.graph.applied(table.start), frozenset(table.steps)
            if self.direction == "upgrade" and before <= now <= before | steps:
                return tuple(name for name in table.steps if name not in now)
            if self.direction == "downgrade" and before - steps <= now <= before:
                return tuple(name for name in table.steps if name in now)
        return None

    def _planned(
        self, announced: tuple[str, ...], heads: tuple[str, ...], scripts: ScriptDirectory
    ) -> Mapping[str, RevisionStep]:
        """Return what Alembic would run from *heads*, by its names for the steps *announced*."""
        from alembic.util import CommandError

        for name in announced:
            self._check_function(name, scripts)
        at = cast("str", heads)  # any number of them, whatever Alembic's annotation says
        try:
            if self.direction == "upgrade":
                goal = "heads" if self.goal is None else self.graph.tips(self.goal)
                plans = [scripts._upgrade_revs(cast("str", goal), at)]
            else:
                lowest = _lowest(self.graph, announced)
                plans = [scripts._downgrade_revs(_below(self.graph, one), at) for one in lowest]
        except CommandError as error:
            raise AlembicFailed(
                self.location, f"planning the {self.direction}", str(error)
            ) from error
        return {step.revision.revision: step for plan in plans for step in plan}


def _lowest(graph: Graph, revisions: Collection[str]) -> Iterable[str]:
    return (name for name in revisions if not set(graph.nodes[name].parents) & set(revisions))


def _below(graph: Graph, revision: str) -> str:
    """Return how Alembic calls the goal of a downgrade that reverts *revision* and what needs it.

    A bare parent would stand for all that follows it, on whatever branch.
    """
    down = graph.nodes[revision].down
    others = {name: graph.ancestors(name) - {name} for name in down}
    newest = [name for name in down if not any(name in below for below in others.values())]
    return f"{revision}@{newest[0] if newest else 'base'}"


def _can_revert(steps: Iterable[RevisionStep]) -> bool:
    """Tell whether none of *steps* reverts what a later one still needs, as Alembic sees it."""
    reverted: set[str] = set()
    for step in steps:
        reverted.add(step.revision.revision)
        if reverted.intersection(step.to_revisions):
            return False
    return True
