"""The differences between two schemas that a revision is to settle, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from db_ops.migrations.autogenerate.table_operations import Definitions
from db_ops.postgres.schema.compare import compare_schemas
from db_ops.postgres.schema.identifiers import unquoted_parts
from db_ops.postgres.schema.objects import Change, Schema, with_changes


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


def goal_schema(
    models: Schema, migrations: Schema, is_relevant: Callable[[Change], bool]
) -> Schema:
    """Return the schema to lead to: that of *migrations*, but for what the models decide."""
    return with_changes(migrations, models, relevant_changes(models, migrations, is_relevant))


def ordered(changes: Iterable[Change]) -> list[Change]:
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


def key(change: Change) -> str:
    """Return what names the object of *change* in texts."""
    return f"{change.kind} {change.name}"


def about(change: Change) -> tuple[str, str, str | None]:
    """Return what *change* is about, whatever the two sides have there."""
    return change.kind, change.name, change.attribute
