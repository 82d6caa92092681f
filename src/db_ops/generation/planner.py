"""Plan a revision: renames, types, operations of Alembic, then what these leave.

Everything is tried on a scratch database while it is put together, so that what is left over is
known, and so is what each step would take to be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from db_ops.generation.change_text import (
    changed_attributes,
    describe_change,
    explain_left_by_downgrade,
    explain_todo,
    is_left_by_downgrade,
    losses,
)
from db_ops.generation.ddl_candidates import ddl_candidates
from db_ops.generation.enum_rebuild import enum_rebuild_statements
from db_ops.generation.identifiers import unquoted_parts
from db_ops.generation.renames import Rename, renamed_parts
from db_ops.generation.statements import (
    RevisionStatement,
    ScratchSession,
    as_one_statement,
    comment,
    revision_statements,
    run_all,
    todo_comment,
)
from db_ops.migrations.autogenerate.rendering import Changed, Operation
from db_ops.migrations.autogenerate.table_operations import Definitions
from db_ops.postgres.schema.compare import compare_schemas, undo_statements
from db_ops.postgres.schema.objects import Change, Schema

# Types and sequences come before what may use them, wherever that is.
_FIRST = ("schema", "enum", "domain", "composite type", "range type", "collation", "sequence")
_ROUNDS = 5


class DraftOperations(Protocol):
    """The operations that Alembic drafts, restricted to what has changed."""

    def upgrade(self, changed: Changed, constraints: Definitions) -> tuple[Operation, ...]: ...

    def downgrade(self, changed: Changed, constraints: Definitions) -> tuple[Operation, ...]: ...


@dataclass
class RevisionPlan:
    """The content of a revision: its `upgrade` and `downgrade`, and the text about them.

    `changes` is what it does, `losses` what that loses, `todos` what could not be written, `kept`
    what `downgrade` leaves as it is.
    """

    upgrade: list[RevisionStatement] = field(default_factory=list)
    downgrade: list[RevisionStatement] = field(default_factory=list)
    changes: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    todos: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


@dataclass
class RevisionPlanner:
    """Plans a revision to the schema of the *models*, in a scratch *session* at the head.

    *draft* asks Alembic, once renames and types are there. *is_relevant* tells which differences
    the models decide.
    """

    models: Schema
    session: ScratchSession
    draft: Callable[[], DraftOperations]
    is_relevant: Callable[[Change], bool]
    _plan: RevisionPlan = field(default_factory=RevisionPlan)
    # What undoes each step, in the order of the steps.
    _undo: list[Sequence[RevisionStatement]] = field(default_factory=list)
    _refused: dict[str, str] = field(default_factory=dict)
    # Operations of Alembic's that have not worked so far.
    _waiting: tuple[Operation, ...] = ()

    def plan(self, renames: Sequence[Rename], decide: Callable[[Schema], None]) -> RevisionPlan:
        """Return the plan; nothing is written. *decide* may refuse to go on with the renames made.

        Raises what *decide*, Alembic and env.py raise.
        """
        plan, start = self._plan, self.session.read()
        self._rename(renames)
        renamed = self.session.read()
        decide(renamed)
        self._rename_parts(renamed)
        changes = self._changes()
        plan.changes = (
            *(rename.description for rename in renames),
            *plan.changes,
            *(describe_change(change) for change in changes),
        )
        if not plan.changes:
            return plan
        plan.losses = tuple(losses(changes))
        self._statements(kinds=_FIRST)
        self._draft(start)
        while True:
            # An operation may wait for a statement, and a statement for an operation.
            self._statements()
            if not self._take_operations():
                break
        plan.todos = tuple(
            explain_todo(change, self._refused.get(_key(change))) for change in self._changes()
        )
        plan.upgrade += [todo_comment(text) for text in plan.todos]
        self._go_back(start)
        return plan

    def _changes(self, here: Schema | None = None) -> tuple[Change, ...]:
        return relevant_changes(self.models, here or self.session.read(), self.is_relevant)

    def _rename(self, renames: Sequence[Rename]) -> None:
        for rename in sorted(renames, key=lambda rename: rename.old.kind == "column"):
            self._take([rename.upgrade], [rename.downgrade])

    def _rename_parts(self, renamed: Schema) -> None:
        for upgrade, downgrade in renamed_parts(self.models, renamed):
            self._take([upgrade], [downgrade])
            self._plan.changes += (upgrade.sql or "",)

    def _take(
        self, statements: Iterable[RevisionStatement], undo: Sequence[RevisionStatement]
    ) -> None:
        taken = run_all(self.session, statements)
        if taken:
            self._plan.upgrade += taken
            self._undo.append(undo)

    def _statements(self, kinds: Sequence[str] | None = None) -> None:
        """Write as statements what is left, in rounds: one thing may have to wait for another."""
        done: set[tuple[str, ...]] = set()
        for _ in range(_ROUNDS):
            before = self.session.read()
            changes = [
                change
                for change in self._changes()
                if kinds is None or (change.kind in kinds and change.expected is not None)
            ]
            taken = [
                statement
                for change in _ordered(changes)
                for statement in self._settle(change, before, done)
            ]
            if not taken:
                return
            self._plan.upgrade += taken
            undo = undo_statements(compare_schemas(before, self.session.read()))
            self._undo.append(revision_statements(undo))

    def _settle(
        self, change: Change, before: Schema, done: set[tuple[str, ...]]
    ) -> tuple[RevisionStatement, ...]:
        tries = (sql for sql in ddl_candidates(change, self.models, before) if sql not in done)
        sql = self._first_settling(tries, change, self.models)
        done.add(sql)
        return revision_statements(sql)

    def _first_settling(
        self, tries: Iterable[tuple[str, ...]], change: Change, wanted: Schema
    ) -> tuple[str, ...]:
        """Run the first of *tries* that settles *change* on the way to *wanted*; return it."""

        def settles(schema: Schema) -> bool:
            return all(_about(one) != _about(change) for one in compare_schemas(wanted, schema))

        for sql in tries:
            # A statement that makes or drops an object has done so if it ran.
            asked = settles if change.attribute is not None else None
            reason = self.session.run(as_one_statement(sql), asked)
            if reason is None:
                return sql
            self._refused[_key(change)] = reason
        return ()

    def _draft(self, start: Schema) -> None:
        """Take those of Alembic's operations that work; the others are left to statements."""
        changed = changed_attributes(self._changes())
        drafted = self.draft()
        old, new = map(constraint_definitions, (start, self.models))
        self._waiting = drafted.upgrade(changed, {**old, **new})
        self._take_operations()
        back = drafted.downgrade(changed, {**new, **old})
        self._undo.append(tuple(RevisionStatement(operation.code) for operation in back))

    def _take_operations(self) -> bool:
        """Take those operations that work, for as long as one does; tell whether any did."""
        offered = self._waiting
        while self._waiting:
            left = tuple(one for one in self._waiting if not self._is_taken(one))
            if len(left) == len(self._waiting):
                break
            self._waiting = left
        return len(self._waiting) < len(offered)

    def _is_taken(self, operation: Operation) -> bool:
        before = set(map(_about, self._changes())) if operation.alters else set()

        def settles(schema: Schema) -> bool:
            return not before <= set(map(_about, self._changes(schema)))

        statement = RevisionStatement(operation.code)
        reason = self.session.run(statement, settles if operation.alters else None)
        if reason is None:
            self._plan.upgrade.append(statement)
        elif operation.kind in ("table", ""):
            # No statement of ours could take its place.
            self._refused[f"{operation.kind} {'.'.join(operation.name)}"] = reason
        return reason is None

    def _go_back(self, start: Schema) -> None:
        """Undo step after step, then whatever still differs from the *start*."""
        plan = self._plan
        for step in reversed(self._undo):
            plan.downgrade += run_all(self.session, step)
        for _ in range(_ROUNDS):
            here = self.session.read()
            left = _ordered(compare_schemas(start, here))
            taken = [
                statement for change in left for statement in self._revert(change, start, here)
            ]
            if not taken:
                break
            plan.downgrade += taken
        found = compare_schemas(start, self.session.read())
        plan.kept = tuple(
            explain_left_by_downgrade(change) for change in found if is_left_by_downgrade(change)
        )
        plan.downgrade += map(comment, plan.kept)
        lost = [
            f"not reverted: {describe_change(change)}"
            for change in found
            if not is_left_by_downgrade(change)
        ]
        plan.downgrade += [todo_comment(text) for text in lost]
        plan.todos += tuple(lost)

    def _revert(self, change: Change, start: Schema, here: Schema) -> tuple[RevisionStatement, ...]:
        tries = list(ddl_candidates(change, start, here))
        if change.kind == "enum" and change.attribute == "values" and not change.undo:
            tries.append(enum_rebuild_statements(change, self.session.read()))
        return revision_statements(self._first_settling(tries, change, start))


def relevant_changes(
    models: Schema, migrations: Schema, is_relevant: Callable[[Change], bool]
) -> tuple[Change, ...]:
    """Return what differs that is the models' to settle, and the schemas that their tables need."""
    found = compare_schemas(models, migrations)
    lived_in = {
        change.name.rpartition(".")[0]
        for change in found
        if change.attribute is None and change.actual is None and is_relevant(change)
    }
    return tuple(
        change
        for change in found
        if not change.of_partition
        and (is_relevant(change) or (change.kind == "schema" and change.name in lived_in))
    )


def _ordered(changes: Iterable[Change]) -> list[Change]:
    """Return *changes* so that what is missing comes first, and what goes last latest first."""
    found = list(changes)
    extra = [change for change in found if change.attribute is None and change.expected is None]
    return [change for change in found if change not in extra] + extra[::-1]


def constraint_definitions(schema: Schema) -> Definitions:
    """Return how the server defines the constraints of each table, by schema and plain name."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for one in schema.objects.values():
        if one.kind == "constraint":
            space, *table = unquoted_parts(one.parent or "")
            (name,) = unquoted_parts(one.label)
            of_table = found.setdefault((space, ".".join(table)), {})
            of_table[name] = one.attributes["definition"]
    return found


def _key(change: Change) -> str:
    return f"{change.kind} {change.name}"


def _about(change: Change) -> tuple[str, str, str | None]:
    return change.kind, change.name, change.attribute
