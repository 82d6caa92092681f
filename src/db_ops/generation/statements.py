"""The statements of a revision: Python source, each with the SQL that it sends."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from db_ops.migrations.autogenerate.rendering import Changed, Operation
from db_ops.migrations.autogenerate.revision_text import escape_parameters
from db_ops.migrations.autogenerate.table_operations import Definitions
from db_ops.migrations.revisions.unfinished import TODO
from db_ops.postgres.schema.dependents import Dependents
from db_ops.postgres.schema.objects import Schema

# With quotes and the indentation of a block in a function, no longer than PEP 8 wants it.
_WIDTH = 66
_ADDS_VALUE = re.compile(r"ALTER TYPE .* ADD VALUE ", re.S)


@dataclass(frozen=True)
class RevisionStatement:
    """One or more lines of a revision; `sql` is what they send, None for Alembic to say."""

    code: str
    sql: str | None = None


@dataclass
class RevisionPlan:
    """The content of a revision: its `upgrade` and `downgrade`, and the text about them.

    `changes` is what it does, `losses` what that loses, `refusals` which rows make it fail, for
    instance with one of the `removed_values` of an enum, as literals; `todos` what could not be
    written, `kept` what `downgrade` leaves as it is. `replaces_older_names` where the database that
    it was planned in has the new ones.
    """

    upgrade: list[RevisionStatement] = field(default_factory=list)
    downgrade: list[RevisionStatement] = field(default_factory=list)
    changes: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    removed_values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    todos: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    replaces_older_names: bool = False

    @property
    def refusal(self) -> str:
        """The statement in the place of a downgrade that is not to be."""
        why = "; ".join(self.losses) or "marked so when it was written"
        return call_with_text("raise NotImplementedError", f"irreversible: {why}")


class DraftOperations(Protocol):
    """The operations that Alembic drafts, restricted to what has changed."""

    def upgrade(self, changed: Changed, constraints: Definitions) -> tuple[Operation, ...]: ...

    def downgrade(self, changed: Changed, constraints: Definitions) -> tuple[Operation, ...]: ...


class ScratchSession(Protocol):
    """A session in a scratch database that runs statements, each on the result of those before."""

    def read(self, *, grants: bool = False) -> Schema:
        """Return the schema as it is now."""

    def dependents(self, columns: Collection[str]) -> Dependents:
        """Return what depends on *columns* now."""

    def sequences(self) -> Mapping[str, str]:
        """Return the name of the sequence of each column that has one now."""

    def run(
        self, statement: RevisionStatement, settles: Callable[[Schema], bool] | None = None
    ) -> str | None:
        """Run *statement*, all or nothing; return why it was not to be, None if it was.

        The server may refuse it; or *settles* may, given the schema that it leads to.
        """


def revision_statements(statements: Iterable[str]) -> tuple[RevisionStatement, ...]:
    """Return a `RevisionStatement` for each of *statements*."""
    return tuple(map(_revision_statement, statements))


def as_one_statement(statements: Iterable[str]) -> RevisionStatement:
    """Return *statements* as one, to be run all or nothing."""
    return RevisionStatement("", ";\n".join(statements))


def todo_comment(text: str) -> RevisionStatement:
    """Return the comment that names what could not be written."""
    return comment(f"{TODO} {text}")


def comment(text: str) -> RevisionStatement:
    """Return *text* as a comment, in lines that fit."""
    lines = textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return RevisionStatement("\n".join(f"# {line}" for line in lines), "")


SETTLES_NOTHING = "it runs, and the difference stays"


def run_all(
    session: ScratchSession, statements: Iterable[RevisionStatement]
) -> tuple[RevisionStatement, ...]:
    """Run *statements* in their order; return those that the server took, as it took them.

    What it refused is tried again for as long as others go through: it may wait for one of them.
    """
    taken: list[RevisionStatement] = []
    waiting = list(statements)
    while waiting:
        left = [statement for statement in waiting if session.run(statement) is not None]
        taken += [statement for statement in waiting if statement not in left]
        if len(left) == len(waiting):
            break
        waiting = left
    return tuple(taken)


def _revision_statement(statement: str) -> RevisionStatement:
    if _ADDS_VALUE.match(statement):
        # A second run, after a failure behind the block, must not fail here.
        statement = statement.replace(" ADD VALUE ", " ADD VALUE IF NOT EXISTS ", 1)
        body = textwrap.indent(_execute(statement), "    ")
        return RevisionStatement(f"with op.get_context().autocommit_block():\n{body}", statement)
    return RevisionStatement(_execute(statement), statement)


def _execute(statement: str) -> str:
    return call_with_text("op.execute", escape_parameters(statement))


def call_with_text(function: str, text: str) -> str:
    """Return the source of a call of *function*, a long *text* broken after spaces."""
    parts = textwrap.wrap(
        text,
        _WIDTH,
        expand_tabs=False,
        replace_whitespace=False,
        drop_whitespace=False,
        break_long_words=False,
        break_on_hyphens=False,
    )
    if len(parts) < 2:
        return f"{function}({text!r})"
    lines = "".join(f"    {part!r}\n" for part in parts)
    return f"{function}(\n{lines})"
