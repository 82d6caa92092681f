"""Renames between migrations and models: an object removed and one added, of the same shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from db_ops.errors import RenameUndecided, UsageError
from db_ops.generation.statements import RevisionStatement, revision_statements
from db_ops.postgres.schema.compare import compare_schemas
from db_ops.postgres.schema.identifiers import display_name, unquoted_parts
from db_ops.postgres.schema.objects import Change, Schema, SchemaObject

_INDEX_NAME = re.compile(r'INDEX (?:"(?:[^"]|"")*"|\S+) ON')
_NAME_PART = re.compile(r'"(?:[^"]|"")*"|[^".]+')
_MODIFIERS = re.compile(r"\([\d, ]*\)")
# Below this share of columns in common, two tables are not the same one.
_ALIKE = 0.5


@dataclass(frozen=True)
class Rename:
    """A column or table of the migrations, and what the models call it."""

    old: SchemaObject
    new: SchemaObject

    @property
    def flag(self) -> str:
        """Return what `--rename` takes for it."""
        return f"{display_name(self.old.name)}:{unquoted_parts(self.new.label)[-1]}"

    @property
    def question(self) -> str:
        old, new = display_name(self.old.name), display_name(self.new.name)
        return f"{self.old.kind} {old} is gone, {new} is new: renamed?"

    @property
    def upgrade(self) -> RevisionStatement:
        return _rename(self.old, self.new)

    @property
    def downgrade(self) -> RevisionStatement:
        return _rename(self.new, self.old)

    @property
    def description(self) -> str:
        new_name = unquoted_parts(self.new.label)[-1]
        return f"rename {self.old.kind} {display_name(self.old.name)} to {new_name}"


def requested_renames(
    models: Schema, migrations: Schema, answers: Sequence[str]
) -> tuple[Rename, ...]:
    """Return the renames that *answers* name, as `table.old:new` or `old_table:new_table`.

    Raises `UsageError` for one that the models and migrations do not bear out.
    """
    tables: dict[str, str] = {}
    columns: list[Rename] = []
    renames: list[Rename] = []
    for answer in answers:
        found = _table(models, migrations, answer)
        if found is not None:
            renames.append(found)
            tables[found.old.name] = found.new.name
    for answer in answers:
        if _table(models, migrations, answer) is None:
            columns.append(_column(models, migrations, answer, tables))
    return (*renames, *columns)


def refuse_undecided(
    models: Schema, migrations: Schema, message: str, is_relevant: Callable[[Change], bool]
) -> None:
    """Raise `RenameUndecided` if something that was dropped may live on under a new name."""
    found = tuple(_candidates(models, migrations, is_relevant))
    if found:
        raise RenameUndecided(
            tuple(rename.question for rename in found),
            tuple(rename.flag for rename in found),
            message,
        )


def renamed_parts(
    models: Schema, migrations: Schema, is_relevant: Callable[[Change], bool]
) -> Iterator[tuple[RevisionStatement, RevisionStatement]]:
    """Yield the upgrade and downgrade of each index or constraint that changed only in name."""
    changes = filter(is_relevant, compare_schemas(models, migrations))
    removed, added = _removed_and_added(changes, models, migrations)
    taken: set[str] = set()
    for new in added:
        if new.kind not in ("constraint", "index"):
            continue
        for old in removed:
            same = (old.kind, old.parent, _shape(old)) == (new.kind, new.parent, _shape(new))
            if same and old.name not in taken:
                taken.add(old.name)
                yield _rename_part(old, new), _rename_part(new, old)
                break


def _table(models: Schema, migrations: Schema, answer: str) -> Rename | None:
    parts, new_name = _parts(answer)
    for schema in ((), ("public",)):
        old = _named(migrations, "table", (*schema, *parts))
        new = _named(models, "table", (*schema, *parts[:-1], new_name))
        if old and new and not _named(models, "table", unquoted_parts(old.name)):
            return Rename(old, new)
    return None


def _column(models: Schema, migrations: Schema, answer: str, tables: Mapping[str, str]) -> Rename:
    """Return the column's rename; its table may be called by its old or its new name."""
    parts, new_name = _parts(answer)
    for (kind, _), old in migrations.objects.items():
        if kind != "column":
            continue
        table = tables.get(old.parent or "", old.parent or "")
        here = replace(old, name=f"{table}.{old.label}", parent=table)
        if (
            parts not in (unquoted_parts(one.name)[-len(parts) :] for one in (old, here))
            or len(parts) < 2
        ):
            continue
        new = _named(models, "column", (*unquoted_parts(table), new_name))
        if new and not _named(models, "column", unquoted_parts(here.name)):
            return Rename(here, new)
    raise UsageError(
        f"--rename: {answer!r} is not a name that the migrations have and one that the models have",
        "see what differs: db-ops verify",
    )


def _parts(answer: str) -> tuple[tuple[str, ...], str]:
    left, _, right = answer.rpartition(":")
    if not unquoted_parts(left) or not unquoted_parts(right):
        raise UsageError(
            f"--rename: {answer!r} is not OLD:NEW",
            "name a column as table.old:new, a table as old_table:new_table",
        )
    return unquoted_parts(left), unquoted_parts(right)[-1]


def _named(schema: Schema, kind: str, name: tuple[str, ...]) -> SchemaObject | None:
    for (its_kind, _), found in schema.objects.items():
        if its_kind == kind and unquoted_parts(found.name) == name:
            return found
    return None


def _candidates(
    models: Schema, migrations: Schema, is_relevant: Callable[[Change], bool]
) -> Iterator[Rename]:
    changes = filter(is_relevant, compare_schemas(models, migrations))
    removed, added = _removed_and_added(changes, models, migrations)
    for new in added:
        for old in removed:
            if old.kind != new.kind:
                continue
            if old.kind == "column" and old.parent == new.parent:
                if _base(old) == _base(new):
                    yield Rename(old, new)
            elif (
                old.kind == "table"
                and unquoted_parts(old.name)[0] == unquoted_parts(new.name)[0]
                and _are_alike(_columns(migrations, old), _columns(models, new))
            ):
                yield Rename(old, new)


def _removed_and_added(
    changes: Iterable[Change], models: Schema, migrations: Schema
) -> tuple[list[SchemaObject], list[SchemaObject]]:
    """Return what only the migrations have, and what only the models have."""
    removed, added = [], []
    for change in changes:
        if change.attribute is None and not change.of_partition:
            key = change.kind, change.name
            if key in migrations.objects:
                removed.append(migrations.objects[key])
            else:
                added.append(models.objects[key])
    return removed, added


def _base(column: SchemaObject) -> str:
    return _MODIFIERS.sub("", column.attributes["type"])


def _columns(schema: Schema, table: SchemaObject) -> set[tuple[str, str]]:
    return {
        (found.label, _base(found))
        for (kind, _), found in schema.objects.items()
        if kind == "column" and found.parent == table.name
    }


def _are_alike(one: set[tuple[str, str]], other: set[tuple[str, str]]) -> bool:
    most = max(len(one), len(other))
    return most > 0 and len(one & other) / most >= _ALIKE


def _shape(found: SchemaObject) -> str:
    definition = found.attributes.get("definition", "")
    rest = sorted((key, value) for key, value in found.attributes.items() if key != "definition")
    return f"{_INDEX_NAME.sub('INDEX ON', definition, count=1)} {rest}"


def _rename(old: SchemaObject, new: SchemaObject) -> RevisionStatement:
    *schema, table = unquoted_parts(old.name if old.kind == "table" else old.parent or "")
    where = "" if schema == ["public"] else f", schema={schema[0]!r}"
    old_name, new_name = unquoted_parts(old.label)[-1], unquoted_parts(new.label)[-1]
    if old.kind == "table":
        code = f"op.rename_table({old_name!r}, {new_name!r}{where})"
        return RevisionStatement(code, f"ALTER TABLE {old.name} RENAME TO {_last(new.label)}")
    code = f"op.alter_column({table!r}, {old_name!r}, new_column_name={new_name!r}{where})"
    return RevisionStatement(
        code, f"ALTER TABLE {old.parent} RENAME COLUMN {old.label} TO {new.label}"
    )


def _rename_part(old: SchemaObject, new: SchemaObject) -> RevisionStatement:
    if old.kind == "index":
        sql = f"ALTER INDEX {old.name} RENAME TO {_last(new.name)}"
    else:
        sql = f"ALTER TABLE {old.parent} RENAME CONSTRAINT {old.label} TO {new.label}"
    return revision_statements([sql])[0]


def _last(name: str) -> str:
    """Return the last part of a qualified name, quoted as it is."""
    return str(_NAME_PART.findall(name)[-1])
