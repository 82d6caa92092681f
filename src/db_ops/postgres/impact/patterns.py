"""Unsafe patterns: statements that block or fail on tables with rows, and alternatives.

Judged by what was observed: locks, scans, new files, changed catalogs. Sources: PostgreSQL
documentation, "ALTER TABLE", "CREATE INDEX", "Explicit Locking".
"""

from __future__ import annotations

from collections.abc import Iterator

from db_ops.errors.base import enumerate_names
from db_ops.postgres.impact.observation import Observation
from db_ops.postgres.impact.rewrites import table_rewrites
from db_ops.postgres.impact.snapshot import BLOCKS_WRITES
from db_ops.postgres.impact.statements import may_change_rows
from db_ops.postgres.impact.structure import structure_changes
from db_ops.results import UnsafePattern

_ALONE = "in op.get_context().autocommit_block()"
_VALIDATE_LATER = "in a later revision, or after the commit: VALIDATE CONSTRAINT {name}"


def unsafe_patterns(seen: Observation) -> tuple[UnsafePattern, ...]:
    """Return what is unsafe about one statement, each thing once."""
    rules = (table_rewrites, _index_builds, _scans, structure_changes, _held)
    return tuple(dict.fromkeys(pattern for rule in rules for pattern in rule(seen)))


def _index_builds(seen: Observation) -> Iterator[UnsafePattern]:
    constraints = {one.by_index: one for one in seen.after.constraints.values()}
    for index, table in seen.built.items():
        if table in seen.rewritten or seen.lock_on(table) not in BLOCKS_WRITES:
            continue
        name, on = seen.after.indexes[index].name, seen.name(table)
        constraint = constraints.get(index)
        if index in seen.before.indexes:
            yield UnsafePattern(
                "reindex",
                on,
                f"rebuilding {name} blocks writes to {on} until the end of the transaction",
                f"REINDEX INDEX CONCURRENTLY {name}, {_ALONE}",
            )
        elif constraint is None:
            yield UnsafePattern(
                "index-build",
                on,
                f"building {name} blocks writes to {on} until the end of the transaction",
                f"CREATE INDEX CONCURRENTLY {_ALONE}: "
                f"op.create_index(..., postgresql_concurrently=True)",
            )
        elif constraint.kind == "x":
            yield UnsafePattern(
                "exclusion-constraint",
                on,
                f"building the index of {name} blocks reads of and writes to {on}",
                "there is no concurrent form: do it while nobody uses the table",
            )
        else:
            kind = "PRIMARY KEY" if constraint.kind == "p" else "UNIQUE"
            yield UnsafePattern(
                "unique-constraint",
                on,
                f"building the index of {name} blocks reads of and writes to {on}",
                f"CREATE UNIQUE INDEX CONCURRENTLY {_ALONE}, then "
                f"ALTER TABLE {on} ADD CONSTRAINT {name} {kind} USING INDEX",
            )


def _scans(seen: Observation) -> Iterator[UnsafePattern]:
    explained = seen.rewritten | set(seen.built.values())
    explained |= {table for table, _ in seen.demanded_without_value()}
    for rule in (_new_constraints, _not_null, _partitions):
        for table, pattern in rule(seen):
            explained |= {table}
            yield pattern
    for table in sorted(seen.scanned - explained):
        on, lock = seen.name(table), seen.lock_on(table)
        if lock in BLOCKS_WRITES and table in seen.before.relations:
            yield UnsafePattern(
                "scan-under-lock",
                on,
                f"every row of {on} is read under {lock}, which blocks writes",
                "take the lock for a moment only, and read the rows in a statement of its own",
            )
        elif lock == "ROW EXCLUSIVE" and may_change_rows(seen.text):
            yield UnsafePattern(
                "unbatched-change",
                on,
                f"one statement goes through every row of {on}; the rows it changes stay locked "
                "until the end of the transaction",
                f"change the rows in batches, each committed, {_ALONE}",
            )


def _new_constraints(seen: Observation) -> Iterator[tuple[int, UnsafePattern]]:
    for one in seen.newly_valid():
        if not seen.is_new(one) or one.table not in seen.scanned:
            continue
        on, later = seen.name(one.table), _VALIDATE_LATER.format(name=one.name)
        if one.kind == "c":
            yield (
                one.table,
                UnsafePattern(
                    "check-constraint",
                    on,
                    f"every row of {on} is checked against {one.name} while reads and writes wait",
                    f"ADD CONSTRAINT {one.name} CHECK (...) NOT VALID; {later}",
                ),
            )
        elif one.kind == "f":
            yield (
                one.table,
                UnsafePattern(
                    "foreign-key",
                    on,
                    f"every row of {on} is checked against {one.name} while writes to it and to "
                    "the table that it refers to wait",
                    f"ADD CONSTRAINT {one.name} FOREIGN KEY ... NOT VALID: "
                    f"op.create_foreign_key(..., postgresql_not_valid=True); {later}",
                ),
            )


def _not_null(seen: Observation) -> Iterator[tuple[int, UnsafePattern]]:
    for (table, number), was, now in seen.changed_columns():
        newly = now.not_null and not was.not_null
        if not newly or table not in seen.scanned or (table, number) in seen.unfilled:
            continue
        on = seen.name(table)
        yield (
            table,
            UnsafePattern(
                "set-not-null",
                f"{on}.{now.name}",
                f"every row of {on} is checked for NULL while reads and writes wait",
                f"ADD CONSTRAINT ... CHECK ({now.name} IS NOT NULL) NOT VALID; in a later revision "
                f"VALIDATE it, then SET NOT NULL, which then reads no row, then drop the CHECK",
            ),
        )


def _partitions(seen: Observation) -> Iterator[tuple[int, UnsafePattern]]:
    for table, now in seen.after.relations.items():
        was = seen.before.relations.get(table)
        if was and now.is_partition and not was.is_partition and table in seen.scanned:
            yield (
                table,
                UnsafePattern(
                    "attach-partition",
                    was.name,
                    f"every row of {was.name} is checked against the partition's bounds while "
                    "reads and writes wait",
                    f"before: ADD CONSTRAINT ... CHECK (bounds) NOT VALID on {was.name}, then "
                    "VALIDATE it",
                ),
            )


def _held(seen: Observation) -> Iterator[UnsafePattern]:
    """Name the locks of earlier statements that others wait for while this one reads a table."""
    scanned = sorted(seen.name(table) for table in seen.scanned & seen.before.relations.keys())
    blocked = sorted(
        seen.name(table)
        for table, mode in seen.held.items()
        if mode in BLOCKS_WRITES and table in seen.before.relations
    )
    if scanned and blocked:
        yield UnsafePattern(
            "long-transaction",
            ", ".join(blocked),
            f"an earlier statement of the transaction locks {enumerate_names(tuple(blocked))}"
            f" while every row of {enumerate_names(tuple(scanned))} is read",
            f"commit in between: put the statement into a revision of its own, or {_ALONE}",
        )
