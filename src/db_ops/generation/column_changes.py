"""Columns of tables with rows that change their type, or what they draw their numbers from."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from db_ops.generation.column_sequences import (
    changes_sequence,
    draws_alike,
    sequence_statements,
)
from db_ops.generation.column_types import (
    OF_TYPE,
    enum_candidates,
    retype_candidates,
    retyped_columns,
)
from db_ops.generation.differences import key
from db_ops.generation.statements import (
    RevisionStatement,
    ScratchSession,
    as_one_statement,
    revision_statements,
)
from db_ops.generation.value_checks import unchanged_values_check
from db_ops.postgres.schema.compare import compare_schemas
from db_ops.postgres.schema.identifiers import display_name
from db_ops.postgres.schema.objects import Change, Schema
from db_ops.postgres.schema.ownership import RIGHTS
from db_ops.postgres.schema.type_values import holds_every_value

_ROUNDS = 5
# What the server words by the types of the columns that it speaks of.
_TEXT = ("definition", "using", "with check", "where", "generated", "default")


@dataclass
class ColumnChanges:
    """Changes columns in a scratch *session*; *refused* gets what the server said, by column.

    `refusals` says which values of rows make the upgrade or the downgrade fail.
    """

    session: ScratchSession
    refused: dict[str, str]
    refusals: list[str] = field(default_factory=list)
    # By the names that columns have once they and their tables are renamed.
    _original_names: Mapping[str, str] = field(default_factory=dict)

    def prepare(self, direction: str, goal: Schema) -> list[RevisionStatement]:
        """Check values that a new type would change, and let columns draw from other sequences."""
        if direction == "upgrade":
            self._original_names = self.session.sequences()
        here = self.session.read()
        changes = compare_schemas(goal, here)
        statements: list[RevisionStatement] = []
        for name in retyped_columns(changes):
            column, after = (side.objects["column", name] for side in (here, goal))
            kind = after.attributes["type"]
            if holds_every_value(column.attributes["type"], kind):
                continue
            self.refusals.append(
                f"{direction}, where a value of {display_name(name)} does not fit"
                f" {display_name(kind)} unchanged"
            )
            check = unchanged_values_check(column, kind)
            statements += self._run((check,) if check else ())
        for name in dict.fromkeys(change.name for change in changes if change.kind == "column"):
            actual, wanted = (side.objects.get(("column", name)) for side in (here, goal))
            if actual is None or wanted is None or not changes_sequence(actual, wanted):
                continue
            if not draws_alike(actual, wanted) and name in self._differing(goal):
                # An identity takes only the numbers of its column's type.
                statements += self._retype([name], goal)
            names, original = self.session.sequences(), self._original_names.get(name)
            statements += self._run(sequence_statements(actual, wanted, names, original))
        return statements

    def retype_all(self, goal: Schema) -> list[RevisionStatement]:
        """Give columns the types of *goal*: one by one, together, and one by one at any price."""
        taken: list[RevisionStatement] = []
        for name in self._differing(goal):
            taken += self._retype([name], goal, at_most=1)
        # What stands in the way of several is to be made again once.
        taken += self._retype(self._differing(goal), goal)
        for name in self._differing(goal):
            taken += self._retype([name], goal)
        return taken

    def rebuild_enum(self, change: Change, goal: Schema) -> list[RevisionStatement]:
        """Give an enum the values of *goal*, with what stands in the way made again."""
        before = self.session.read(grants=True)
        for statements in enum_candidates(self.session, before, goal, change):
            refusal = self.session.run(as_one_statement(statements))
            if refusal is None:
                return [*revision_statements(statements), *self.put_back(before, goal)]
            self.refused[key(change)] = refusal
        return []

    def reason(self, change: Change, refusal: str | None) -> str | None:
        """Return why *change* was not written: what the server said, and what is in the way."""
        in_the_way: Iterable[tuple[str, str]] = ()
        if change.kind == "column" and change.actual is not None:
            in_the_way = self.session.dependents([change.name]).in_the_way()
        elif change.kind == "table" and change.expected is None:
            here = self.session.read().objects.values()
            parts = [one.name for one in here if one.kind == "column" and one.parent == change.name]
            found = self.session.dependents(parts).in_order()
            in_the_way = (one for one in found if one[0] in ("view", "materialized view"))
        names = ", ".join(f"{kind} {display_name(name)}" for kind, name in in_the_way)
        return "; ".join(filter(None, (refusal, names and f"in the way: {names}"))) or None

    def put_back(
        self, before: Schema, goal: Schema, kinds: Collection[str] | None = None
    ) -> list[RevisionStatement]:
        """Restore what another change has taken along since *before*, unless *goal* is without it.

        *before* has owners and rights, *goal* has not.
        """
        rights = {place: one for place, one in before.objects.items() if place[0] in RIGHTS}
        wanted = replace(goal, grants=True, objects={**goal.objects, **rights})
        taken: list[RevisionStatement] = []
        for _ in range(_ROUNDS):
            here = self.session.read(grants=True)
            lost = {_difference(change) for change in compare_schemas(before, here)}
            done = [
                statement
                for change in compare_schemas(wanted, here)
                if _difference(change) in lost
                and change.attribute not in (*_TEXT, *OF_TYPE)
                and (kinds is None or change.kind in kinds)
                for statement in self._run(change.undo)
            ]
            if not done:
                break
            taken += done
        return taken

    def _differing(self, goal: Schema) -> tuple[str, ...]:
        return retyped_columns(compare_schemas(goal, self.session.read()))

    def _retype(
        self, columns: Sequence[str], goal: Schema, at_most: int | None = None
    ) -> list[RevisionStatement]:
        if not columns:
            return []
        before = self.session.read(grants=True)
        candidates = retype_candidates(self.session, before, goal, columns)
        reason = "PostgreSQL has no cast for it, write one: USING ..."
        for statements in itertools.islice(candidates, at_most):
            refusal = self.session.run(as_one_statement(statements))
            if refusal is None:
                return [*revision_statements(statements), *self.put_back(before, goal)]
            reason = refusal
        self.refused.update((f"column {name}", reason) for name in columns)
        return []

    def _run(self, statements: tuple[str, ...]) -> tuple[RevisionStatement, ...]:
        """Run *statements*, all or none; return what was run."""
        if statements and self.session.run(as_one_statement(statements)) is None:
            return revision_statements(statements)
        return ()


def _difference(change: Change) -> tuple[str | None, ...]:
    return change.kind, change.name, change.attribute, change.expected, change.actual
