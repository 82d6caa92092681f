"""Plan a revision: renames, types, operations of Alembic, then what these leave.

Everything is tried on a scratch database while it is put together, so that what is left over is
known, and so is what each step would take to be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from db_ops.errors.quote_ident import quote_ident
from db_ops.generation.change_text import (
    changed_attributes,
    describe_change,
    explain_todo,
    left_by_downgrade,
    losses,
    refused_values,
    values_removed,
)
from db_ops.generation.column_changes import ColumnChanges
from db_ops.generation.column_types import retyped_columns
from db_ops.generation.ddl_candidates import ddl_candidates
from db_ops.generation.differences import (
    about,
    constraint_definitions,
    goal_schema,
    key,
    ordered,
    relevant_changes,
)
from db_ops.generation.enum_rebuild import replaces_enum
from db_ops.generation.rename_steps import Rename, rename_steps, replace_older_names
from db_ops.generation.renames import renamed_parts
from db_ops.generation.statements import (
    DraftOperations,
    RevisionPlan,
    RevisionStatement,
    ScratchSession,
    as_one_statement,
    comment,
    revision_statements,
    run_all,
    todo_comment,
)
from db_ops.migrations.autogenerate.rendering import Name, Operation
from db_ops.postgres.schema.compare import compare_schemas, undo_statements
from db_ops.postgres.schema.dependencies import create_extension
from db_ops.postgres.schema.identifiers import unquoted_parts
from db_ops.postgres.schema.objects import Change, Schema
from db_ops.postgres.schema.repair import undo_missing

# Types and sequences come before what may use them, wherever that is.
_FIRST = ("schema", "enum", "domain", "composite type", "range type", "collation", "sequence")
# What the server makes again with a new type, and not always as it was.
_OF_TABLES = ("table", "column", "constraint", "index", "statistics")
_ROUNDS = 5


@dataclass
class RevisionPlanner:
    """Plans a revision to the schema of the *models*, in a scratch *session* at the head.

    *draft* asks Alembic, once renames and types are there. *is_relevant* tells which differences
    the models decide, *unknown* are operations of others than Alembic that it will draft.
    """

    models: Schema
    session: ScratchSession
    draft: Callable[[], DraftOperations]
    is_relevant: Callable[[Change], bool]
    unknown: Sequence[str] = ()
    _plan: RevisionPlan = field(default_factory=RevisionPlan)
    # What undoes each step, in the order of the steps.
    _undo: list[Sequence[RevisionStatement]] = field(default_factory=list)
    _refused: dict[str, str] = field(default_factory=dict)
    # Where the operations of Alembic's are in the upgrade that have worked, by what they change.
    _written: dict[Name, int] = field(default_factory=dict)
    # Operations of Alembic's that have not worked so far.
    _waiting: tuple[Operation, ...] = ()

    def __post_init__(self) -> None:
        self._columns = ColumnChanges(self.session, self._refused)

    def plan(
        self,
        renames: Sequence[Rename],
        decide: Callable[[Schema], None],
        extensions: Sequence[str] = (),
        older_names: Sequence[Rename] = (),
    ) -> RevisionPlan:
        """Return the plan; nothing is written. *decide* may refuse to go on with the renames made.

        *extensions* come first, *older_names* are replaced. Raises what *decide* and Alembic raise.
        """
        plan, start = self._plan, self.session.read()
        for name in extensions:
            both = create_extension(name), f"DROP EXTENSION {quote_ident(name)}"
            self._take(*(revision_statements([sql]) for sql in both))
            plan.changes += (f"create extension {name}",)
        replace_older_names(older_names, self.session, plan)
        spaces = filter(lambda one: one.kind == "schema", self._changes())
        plan.changes += tuple(map(describe_change, spaces))
        # A table may move there.
        self._statements(kinds=("schema",))
        self._rename(renames)
        renamed = self.session.read()
        decide(renamed)
        self._rename(tuple(renamed_parts(self.models, renamed, self.is_relevant)))
        changes = self._changes()
        plan.changes += tuple(describe_change(change) for change in changes)
        if not plan.changes and not self.unknown:
            return plan
        earlier = {one.new.name: one.old.name for one in renames if one.is_replaced}
        plan.losses = tuple(losses(changes, earlier))
        plan.removed_values = values_removed(changes)
        self._statements(kinds=_FIRST)
        plan.upgrade += self._columns.prepare("upgrade", self._goal())
        self._draft(start)
        while True:
            # An operation may wait for a statement, and a statement for an operation.
            self._statements()
            if not self._take_operations():
                break
        plan.todos = (
            *(
                explain_todo(one, self._columns.reason(one, self._refused.get(key(one))))
                for one in self._changes()
            ),
            *(f"{one.unknown}: {self._refused[one.code]}" for one in self._waiting if one.unknown),
        )
        plan.upgrade += [todo_comment(text) for text in plan.todos]
        self._go_back(start, renamed)
        plan.refusals = (*refused_values(plan.removed_values), *self._columns.refusals)
        return plan

    def _changes(self, here: Schema | None = None) -> tuple[Change, ...]:
        return relevant_changes(self.models, here or self.session.read(), self.is_relevant)

    def _goal(self) -> Schema:
        return goal_schema(self.models, self.session.read(), self.is_relevant)

    def _rename(self, renames: Sequence[Rename]) -> None:
        names = [name for _, name in (*self.models.objects, *self.session.read().objects)]
        for step in rename_steps(renames, names):
            self._take([step.upgrade], [step.downgrade])
        self._plan.changes += tuple(rename.description for rename in renames)

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
            if kinds is None:
                self._plan.upgrade += self._columns.retype_all(self._goal())
            before = self.session.read()
            changes = [
                change
                for change in self._changes()
                if kinds is None or (change.kind in kinds and change.expected is not None)
            ]
            taken = [
                statement
                for change in ordered(changes)
                for statement in self._settle(change, before, done)
            ]
            if not taken:
                return
            self._plan.upgrade += taken
            undo = undo_statements(compare_schemas(before, self.session.read()))
            self._undo.append(revision_statements(undo))

    def _settle(
        self, change: Change, before: Schema, done: set[tuple[str, ...]], end: Schema | None = None
    ) -> tuple[RevisionStatement, ...]:
        if replaces_enum(change):
            return tuple(self._columns.rebuild_enum(change, end or self._goal()))
        wanted = end or self.models
        tries = (sql for sql in ddl_candidates(change, wanted, before) if sql not in done)
        sql = self._first_settling(tries, change, wanted)
        done.add(sql)
        return revision_statements(sql)

    def _first_settling(
        self, tries: Iterable[tuple[str, ...]], change: Change, wanted: Schema
    ) -> tuple[str, ...]:
        """Run the first of *tries* that settles *change* on the way to *wanted*; return it."""

        def settles(schema: Schema) -> bool:
            return all(about(one) != about(change) for one in compare_schemas(wanted, schema))

        for sql in tries:
            # A statement that makes or drops an object has done so if it ran.
            asked = settles if change.attribute is not None else None
            reason = self.session.run(as_one_statement(sql), asked)
            if reason is None:
                return sql
            self._refused[key(change)] = reason
        return ()

    def _draft(self, start: Schema) -> None:
        """Take those of Alembic's operations that work; the others are left to statements."""
        changes, goal, before = (
            self._changes(),
            self._goal(),
            self.session.read(grants=True),
        )
        changed = changed_attributes(changes)
        drafted = self.draft()
        old, new = map(constraint_definitions, (start, self.models))
        self._waiting = drafted.upgrade(changed, {**old, **new})
        # What a plugin finds may be settled by now: a type that a column needs.
        self._plan.changes += tuple(one.unknown for one in self._waiting if one.unknown)
        self._take_operations()
        self._correct_defaults(before)
        if retyped_columns(changes):
            self._plan.upgrade += self._columns.put_back(before, goal, _OF_TABLES)
        back = drafted.downgrade(changed, {**new, **old})
        self._undo.append(
            tuple(RevisionStatement(operation.code) for operation in back if operation.code)
        )

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
        before = set(map(about, self._changes())) if operation.alters else set()

        def settles(schema: Schema) -> bool:
            return not before <= set(map(about, self._changes(schema)))

        statement, reason = RevisionStatement(operation.code), "it has no renderer"
        if operation.code:
            failed = self.session.run(statement, settles if operation.alters else None)
            if failed is None:
                self._written[operation.name] = len(self._plan.upgrade)
                self._plan.upgrade.append(statement)
                return True
            reason = failed
        if operation.kind == "table":
            # No statement of ours could take its place.
            self._refused[f"{operation.kind} {'.'.join(operation.name)}"] = reason
        elif operation.unknown:
            self._refused[operation.code] = reason
        return False

    def _correct_defaults(self, before: Schema) -> None:
        """Replace what adds a column with another default than the models': rows would keep it."""
        for change in self._changes():
            place = self._written.get(unquoted_parts(change.name))
            added = ("column", change.name) not in before.objects
            if change.attribute != "default" or not added or place is None:
                continue
            statements = undo_missing(self.models.objects["column", change.name])
            if statements and self.session.run(as_one_statement(change.undo)) is None:
                self._plan.upgrade[place : place + 1] = revision_statements(statements[:1])

    def _go_back(self, start: Schema, renamed: Schema) -> None:
        """Undo step after step, then whatever still differs from the *start*.

        *renamed* is the same under the names of now.
        """
        plan = self._plan
        plan.downgrade += self._columns.prepare("downgrade", renamed)
        for step in reversed(self._undo):
            plan.downgrade += run_all(self.session, step)
        for _ in range(_ROUNDS):
            plan.downgrade += self._columns.retype_all(start)
            here = self.session.read()
            left = ordered(compare_schemas(start, here))
            taken = [
                statement
                for change in left
                for statement in self._settle(change, here, set(), start)
            ]
            if not taken:
                break
            plan.downgrade += taken
        kept, lost = left_by_downgrade(compare_schemas(start, self.session.read()))
        plan.kept += kept
        plan.downgrade += (*map(comment, plan.kept), *map(todo_comment, lost))
        plan.todos += lost
