"""Unsafe patterns: objects dropped, renamed or detached that running code may use."""

from __future__ import annotations

from collections.abc import Iterator

from db_ops.postgres.impact.observation import Observation
from db_ops.postgres.impact.statements import is_truncate
from db_ops.results import UnsafePattern

_RELEASE_FIRST = (
    "first release code that does not use {what}; keep what it holds: pg_dump -t {table}"
)


def structure_changes(seen: Observation) -> Iterator[UnsafePattern]:
    """Yield what is dropped, emptied, renamed or detached of what was there."""
    yield from _tables(seen)
    yield from _columns(seen)
    yield from _indexes(seen)


def _tables(seen: Observation) -> Iterator[UnsafePattern]:
    for table, was in seen.before.relations.items():
        now = seen.after.relations.get(table)
        holds_rows = was.kind in ("r", "p", "f")
        if now is None:
            if holds_rows:
                yield UnsafePattern(
                    "drop-table",
                    was.name,
                    f"the rows of {was.name} are lost, and code that uses it fails",
                    _RELEASE_FIRST.format(what="it", table=was.name),
                )
        elif now.name != was.name:
            yield UnsafePattern(
                "rename-table",
                was.name,
                f"code that uses {was.name} fails from the commit on",
                f"in the same transaction: CREATE VIEW {was.name} AS SELECT * FROM {now.name}",
            )
        elif is_truncate(seen.text) and table in seen.with_new_file:
            yield UnsafePattern(
                "truncate",
                was.name,
                f"the rows of {was.name} are lost",
                f"keep what it holds: pg_dump -t {was.name}",
            )
        elif was.is_partition and not now.is_partition and seen.alone is None:
            yield UnsafePattern(
                "detach-partition",
                was.name,
                "reads of and writes to the partitioned table wait",
                f"DETACH PARTITION {was.name} CONCURRENTLY, in op.get_context().autocommit_block()",
            )


def _columns(seen: Observation) -> Iterator[UnsafePattern]:
    for (table, _), was, now in seen.changed_columns():
        on = seen.name(table)
        if now.dropped and not was.dropped:
            yield UnsafePattern(
                "drop-column",
                f"{on}.{was.name}",
                f"the values of {on}.{was.name} are lost, and code that uses it fails",
                _RELEASE_FIRST.format(what=was.name, table=on),
            )
        elif now.name != was.name:
            yield UnsafePattern(
                "rename-column",
                f"{on}.{was.name}",
                f"code that uses {on}.{was.name} fails from the commit on",
                f"add {now.name}, let the application write both, backfill, then drop {was.name}",
            )


def _indexes(seen: Observation) -> Iterator[UnsafePattern]:
    """Yield indexes that were dropped for themselves, not with a column or for a new file."""
    kept = {(one.table, one.name) for one in seen.after.indexes.values()}
    of_constraints = {one.by_index for one in seen.before.constraints.values()}
    changed = {table for (table, _), _, now in seen.changed_columns() if now.dropped}
    for oid, one in seen.before.indexes.items():
        gone = oid not in seen.after.indexes and (one.table, one.name) not in kept
        if not gone or oid in of_constraints or one.table in changed:
            continue
        if one.table in seen.after.relations and seen.alone is None:
            on = seen.name(one.table)
            yield UnsafePattern(
                "drop-index",
                on,
                f"reads of and writes to {on} wait for the lock and until the transaction ends",
                f"DROP INDEX CONCURRENTLY {one.name} in op.get_context().autocommit_block(): "
                "op.drop_index(..., postgresql_concurrently=True)",
            )
