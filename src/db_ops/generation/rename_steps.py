"""The statements that rename an object or move it to another schema, in an order that works."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from db_ops.errors.quote_ident import quote_ident
from db_ops.generation.statements import (
    RevisionPlan,
    RevisionStatement,
    ScratchSession,
    revision_statements,
    run_all,
)
from db_ops.postgres.schema.identifiers import display_name, unquoted_parts
from db_ops.postgres.schema.objects import SchemaObject
from db_ops.postgres.schema.repair import last_part, literal, sql_keyword

_NAME_PART = re.compile(r'"(?:[^"]|"")*"|[^".]+')
_LONGEST = 63


@dataclass(frozen=True)
class Rename:
    """An object of the migrations, and the one of the models that it lives on as.

    `is_swap`: the one that is called so now gets the old name. One that `is_replaced` lives on as
    none: its name is taken over before it is dropped.
    """

    old: SchemaObject
    new: SchemaObject
    is_swap: bool = False
    is_replaced: bool = False

    @property
    def is_move(self) -> bool:
        """Whether it changes the schema."""
        return self.old.kind != "column" and _schema(self.old) != _schema(self.new)

    @property
    def flag(self) -> str:
        """Return what `--rename` takes for it."""
        new = self.new.name if self.is_move else last_part(self.new.label)
        return f"{display_name(self.old.name)}:{new}"

    @property
    def question(self) -> str:
        old, new = display_name(self.old.name), display_name(self.new.name)
        if self.is_swap:
            has = "each other's columns" if self.old.kind == "table" else "each other's type"
            return f"{self.old.kind}s {old} and {new} have {has}: names swapped?"
        return f"{self.old.kind} {old} is gone, {new} is new: {self._done}?"

    @property
    def description(self) -> str:
        old = display_name(self.old.name)
        if self.is_move:
            return f"move {self.old.kind} {old} to {self.new.name}"
        return f"rename {self.old.kind} {old} to {unquoted_parts(self.new.label)[-1]}"

    @property
    def _done(self) -> str:
        if not self.is_move:
            return "renamed"
        same = last_part(self.old.label) == last_part(self.new.label)
        return "moved to another schema" if same else "moved to another schema and renamed"


@dataclass(frozen=True)
class RenameStep:
    """What makes one rename, and what takes it back; `if_there` only if the old name is there."""

    upgrade: RevisionStatement
    downgrade: RevisionStatement
    if_there: RevisionStatement


def rename_steps(renames: Iterable[Rename], names: Collection[str]) -> Iterator[RenameStep]:
    """Yield the steps of *renames*: tables before columns, each name taken once it is free.

    Where names go round in a circle, one of them is a third one meanwhile, none of the *names* that
    there are.
    """
    waiting = sorted(renames, key=lambda rename: rename.old.kind == "column")
    while waiting:
        taken = {_place(rename.old) for rename in waiting}
        free = [one for one in waiting if _place(one.new) not in taken]
        if free:
            waiting.remove(free[0])
            yield _step(free[0].old, free[0].new)
            continue
        first = waiting[0]
        third = under_third_name(first.old, "_swapped", names)
        yield _step(first.old, third)
        waiting[0] = Rename(third, first.new)


def replace_older_names(
    renames: Sequence[Rename], session: ScratchSession, plan: RevisionPlan
) -> None:
    """Add to *plan* what replaces names that other databases than that of *session* have."""
    for step in rename_steps(renames, [name for _, name in session.read().objects]):
        plan.upgrade += run_all(session, [step.if_there])
    plan.changes += tuple(
        f"{one.description}, in databases from before the naming convention" for one in renames
    )
    if renames:
        plan.replaces_older_names = True
        plan.kept = ("names by the naming convention stay: new databases have them too",)


def _place(found: SchemaObject) -> tuple[str, str]:
    """Return where a name is taken: that of a constraint's index is so in the whole schema."""
    if found.kind in ("constraint", "index"):
        return unquoted_parts(found.parent or found.name)[0], last_part(found.label)
    return found.kind, found.name


def _step(old: SchemaObject, new: SchemaObject) -> RenameStep:
    return RenameStep(rename_statement(old, new), rename_statement(new, old), _if_there(old, new))


def _if_there(old: SchemaObject, new: SchemaObject) -> RevisionStatement:
    sql = rename_statement(old, new).sql or ""
    if old.kind == "index":
        return revision_statements([sql.replace("ALTER INDEX", "ALTER INDEX IF EXISTS", 1)])[0]
    table, name = (literal(one) for one in (old.parent or "", unquoted_parts(old.label)[-1]))
    return revision_statements(
        [
            f"DO $do$ BEGIN IF EXISTS (SELECT FROM pg_constraint WHERE conrelid = {table}::regclass"
            f" AND conname = {name}) THEN {sql}; END IF; END $do$"
        ]
    )[0]


def under_third_name(found: SchemaObject, suffix: str, names: Iterable[str]) -> SchemaObject:
    """Return *found* with *suffix* to its name, as none of the *names* is called."""
    known = {unquoted_parts(other)[-1] for other in names}
    third = f"{unquoted_parts(found.label)[-1][: _LONGEST - 20]}{suffix}"
    while third in known:
        third += "_"
    quoted = quote_ident(third)
    label, name = (
        one.removesuffix(last_part(found.label)) + quoted for one in (found.label, found.name)
    )
    return replace(found, name=name, label=label)


def rename_statement(old: SchemaObject, new: SchemaObject) -> RevisionStatement:
    """Return the statement that gives *old* the name, and the schema, of *new*."""
    old_name, new_name = unquoted_parts(old.label)[-1], unquoted_parts(new.label)[-1]
    if old.kind == "column":
        *schema, table = unquoted_parts(old.parent or "")
        where = "" if schema == ["public"] else f", schema={schema[0]!r}"
        code = f"op.alter_column({table!r}, {old_name!r}, new_column_name={new_name!r}{where})"
        return RevisionStatement(
            code, f"ALTER TABLE {old.parent} RENAME COLUMN {old.label} TO {new.label}"
        )
    if old.kind == "constraint":
        sql = f"ALTER TABLE {old.parent} RENAME CONSTRAINT {old.label} TO {new.label}"
        return revision_statements([sql])[0]
    schema_of_old, schema_of_new = _schema(old), _schema(new)
    alter = f"ALTER {sql_keyword(old.kind)}"
    statements = []
    here = old.name
    if schema_of_old != schema_of_new:
        statements.append(f"{alter} {old.name} SET SCHEMA {schema_of_new}")
        here = f"{schema_of_new}.{last_part(old.name)}"
    if old_name != new_name:
        statements.append(f"{alter} {here} RENAME TO {last_part(new.name)}")
    if old.kind == "table" and schema_of_old == schema_of_new:
        plain = unquoted_parts(old.name)[0]
        where = "" if plain == "public" else f", schema={plain!r}"
        code = f"op.rename_table({old_name!r}, {new_name!r}{where})"
    else:
        code = "\n".join(one.code for one in revision_statements(statements))
    return RevisionStatement(code, ";\n".join(statements))


def _schema(found: SchemaObject) -> str:
    """Return the schema of an object that is in one itself, quoted as it is."""
    return str(_NAME_PART.findall(found.name)[0])
