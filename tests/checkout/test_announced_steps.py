"""What is announced is what Alembic plans, on random graphs; no server, and no revision runs."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.runtime.migration import HeadMaintainer, MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from db_ops.errors import (
    AmbiguousDowngrade,
    AmbiguousRevision,
    DbOpsError,
    MultipleHeads,
    NeededByOthers,
    NoSuchRevision,
    NotThatFarAhead,
    StepsDiffer,
)
from db_ops.migrations.revisions.graph import Graph
from db_ops.migrations.revisions.names import upgrade_goal
from db_ops.migrations.revisions.reader import read_graph
from db_ops.migrations.revisions.steps import StepPlan, TableSteps
from db_ops.target.newest_revisions import NewestRevisions
from tests.checkout.test_revision_graph import History, histories, write

EXAMPLES = 40


@st.composite
def commands(draw: st.DrawFn) -> tuple[bool, str | None, int]:
    """Draw a direction, what is named, and how many steps."""
    number = draw(st.integers(0, 12))
    revision, label = f"r{number}", f"label{number}"
    named = ["heads", "head", "base", revision, "r", label, "label", "nosuch", "+1", "+2", "-1"]
    named += ["head-1", f"{revision}+1", f"{revision}-1", f"{revision}@head", f"{label}@r1"]
    named += [f"{label}@head", f"{label}@heads", f"{label}@+1"]
    return draw(st.booleans()), draw(st.sampled_from([None, *named])), draw(st.integers(1, 3))


@dataclass
class Simulation:
    """A version table that Alembic's own rules keep, without a database."""

    graph: Graph
    scripts: ScriptDirectory
    heads: tuple[str, ...] = ()
    applied: list[str] = field(default_factory=list)

    def upgrade(self, text: str | None) -> None:
        theirs = self._theirs(text or "heads")
        try:
            goal = upgrade_goal(self.graph, text, self.heads, "inv db.upgrade -r")
        except NotThatFarAhead:
            return  # stricter than Alembic where dependencies come in addition
        except MultipleHeads:
            assert text is None or theirs is None
            return
        except (NoSuchRevision, AmbiguousRevision):
            assert not theirs
            return
        pending = tuple(one.id for one in self.graph.pending(self.heads, goal))
        plan = self._plan("upgrade", pending, goal)
        if theirs is not None:
            assert theirs == set(pending)
        self._run(plan, pending)
        self.applied += [name for name in self.graph.order if name in pending]

    def downgrade(self, branch: str | None, steps: int) -> None:
        at = {name: number for number, name in enumerate(self.applied)}
        newest = NewestRevisions(self.graph, self.heads, at, "here", "inv db.downgrade")
        try:
            doomed = newest.take(steps, branch)
        except (AmbiguousDowngrade, NeededByOthers) as error:
            self._hinted(newest, error)
            return
        except DbOpsError:
            return
        assert len(doomed) == steps
        if branch is None and len(self.graph.heads) == 1:
            assert doomed == tuple(reversed(self.applied))[:steps]
        self._run(self._plan("downgrade", doomed), doomed)
        self.applied = [name for name in self.applied if name not in doomed]

    def _hinted(self, newest: NewestRevisions, error: AmbiguousDowngrade | NeededByOthers) -> None:
        """See that each command that a hint names works."""
        needed = isinstance(error, NeededByOthers)
        for command in [error.command] if needed else error.commands:
            found = re.fullmatch(r"inv db.downgrade(?: -s (\d+))?(?: --branch (\S+))?", command)
            assert found
            assert newest.take(int(found[1] or 1), found[2])

    def _plan(
        self, direction: str, steps: Iterable[str], goal: tuple[str, ...] | None = None
    ) -> StepPlan:
        tables = (TableSteps(self.heads, tuple(steps)),)
        return StepPlan(self.graph, direction, tables, "here", "env.py", goal)

    def _theirs(self, text: str) -> set[str] | None:
        try:
            steps = self.scripts._upgrade_revs(text, self.heads)  # type: ignore[arg-type]
        except (CommandError, AssertionError):
            return None
        return {step.revision.revision for step in steps}

    def _run(self, plan: StepPlan, announced: tuple[str, ...]) -> None:
        """Let Alembic keep the version table, and look at what is left after every step."""
        before = self.graph.applied(self.heads)
        steps = plan.steps_from(self.heads, self.scripts)
        ids = [step.revision.revision for step in steps]
        assert sorted(ids) == sorted(announced)
        if plan.direction == "downgrade":
            assert tuple(ids) == announced
        first, *others = announced or ("",)
        wrong = announced[:-1] if plan.direction == "upgrade" else tuple(others)
        if plan.direction == "upgrade" or self.graph.applied((first,)) & set(others):
            with pytest.raises(StepsDiffer) if announced else nullcontext():
                self._plan(plan.direction, wrong, plan.goal).check(self.scripts)
        table = HeadMaintainer(_offline(), self.heads)
        for number, step in enumerate(steps, start=1):
            try:
                table.update_to_step(step)
            except (KeyError, AssertionError):
                # Alembic loses count where one parent of a merge is below another, in any order.
                assert plan.direction == "upgrade" or not self._can_be_kept(plan)
                reject()
            left = plan.steps_from(table.heads, self.scripts)
            again = [one.revision.revision for one in left]
            assert sorted(again) == sorted(ids[number:])
            assert plan.direction == "upgrade" or again == ids[number:]
            assert plan.is_done((tuple(table.heads),)) == (number == len(steps))
        done = set(announced)
        after = before | done if plan.direction == "upgrade" else before - done
        assert self.graph.applied(table.heads) == after
        if table.heads != set(self.graph.tips(after)):
            assert plan.direction == "upgrade" or not self._can_be_kept(plan)
            reject()
        self.heads = tuple(sorted(table.heads))

    def _can_be_kept(self, plan: StepPlan) -> bool:
        """Tell whether Alembic keeps the table well in the order of its own plan."""
        table = HeadMaintainer(_offline(), self.heads)
        try:
            for step in plan._planned(plan.tables[0].steps, self.heads, self.scripts).values():
                table.update_to_step(step)
        except (KeyError, AssertionError):
            return False
        return table.heads == set(self.graph.tips(self.graph.applied(table.heads)))


def _offline() -> MigrationContext:
    silence = {"as_sql": True, "output_buffer": io.StringIO()}
    return MigrationContext.configure(dialect_name="postgresql", opts=silence)


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(histories(), st.lists(commands(), min_size=2, max_size=10))
def test_announced_steps_are_those_of_alembic_and_nothing_else_is_reverted(
    history: History, typed: list[tuple[bool, str | None, int]]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        project = write(Path(name), history)
        scripts = ScriptDirectory.from_config(Config(str(project.alembic_ini)))
        simulation = Simulation(read_graph(project), scripts)
        simulation.upgrade("heads")
        for down, text, steps in typed:
            if down:
                simulation.downgrade(text, steps)
            else:
                simulation.upgrade(text)
