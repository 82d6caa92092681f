"""Unsafe patterns: table rewrites, and NOT NULL columns without a value for old rows."""

from __future__ import annotations

from collections.abc import Iterator

from db_ops.postgres.impact.observation import Observation
from db_ops.results import UnsafePattern

_BACKFILL = "backfill in batches, each committed"


def table_rewrites(seen: Observation) -> Iterator[UnsafePattern]:
    """Yield what rewrites a table that was there, and what its rows would make fail."""
    yield from _without_value(seen)
    for table in sorted(seen.rewritten):
        on = seen.name(table)
        cost = f"every row of {on} is written anew while reads and writes wait"
        if seen.after.relations[table].kind == "m":
            yield UnsafePattern(
                "refresh",
                on,
                f"reads of {on} wait until it is filled",
                f"REFRESH MATERIALIZED VIEW CONCURRENTLY {on}, which needs a unique index",
            )
            continue
        retyped = [
            now.name
            for (of, _), was, now in seen.changed_columns()
            if of == table and was.type != now.type and not now.dropped
        ]
        added = [column.name for (of, _), column in seen.new_columns.items() if of == table]
        for column in retyped:
            yield UnsafePattern(
                "type-change",
                f"{on}.{column}",
                cost,
                f"add a column of the new type, let the application write both, {_BACKFILL}, then "
                f"drop {column} and rename the new column",
            )
        for column in added:
            yield UnsafePattern(
                "volatile-default",
                f"{on}.{column}",
                cost,
                f"add {column} without a default, then ALTER COLUMN {column} SET DEFAULT, "
                f"{_BACKFILL}",
            )
        if not retyped and not added:
            yield UnsafePattern(
                "rewrite", on, cost, "do it while nobody uses the table, or with pg_repack"
            )


def _without_value(seen: Observation) -> Iterator[UnsafePattern]:
    for table, column in seen.demanded_without_value():
        on = seen.name(table)
        yield UnsafePattern(
            "not-null-without-value",
            f"{on}.{column.name}",
            f"fails if {on} holds a row: {column.name} is NOT NULL and has no value for it",
            f"give it a server_default, or add it nullable, {_BACKFILL}, then SET NOT NULL by way "
            "of a validated CHECK",
        )
