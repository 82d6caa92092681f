"""The effects of one statement: the difference between two catalog snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from db_ops.postgres.impact.observer import ObservedLocks
from db_ops.postgres.impact.snapshot import CatalogSnapshot, Column, Constraint
from db_ops.postgres.impact.statements import is_truncate, may_change_rows
from db_ops.results import Effect


@dataclass(frozen=True)
class Observation:
    """What is known of one statement; `alone` is set if it ran outside of any transaction.

    `unfilled` are the columns, by table and number, that earlier statements have added without a
    value for the rows that are there.
    """

    text: str
    before: CatalogSnapshot
    after: CatalogSnapshot
    alone: ObservedLocks | None = None
    unfilled: frozenset[tuple[int, int]] = frozenset()
    returned_rows: bool = False

    @cached_property
    def taken(self) -> dict[int, str]:
        """The strongest lock on each table that the transaction did not hold before."""
        now = self.alone.locks if self.alone else self.after.locks
        return {table: mode for table, mode in now.items() if self.before.locks.get(table) != mode}

    @property
    def held(self) -> dict[int, str]:
        return dict(self.before.locks)

    def lock_on(self, table: int) -> str | None:
        """Return the strongest lock that is held on *table* while the statement runs."""
        return self.taken.get(table) or self.held.get(table)

    @property
    def waits(self) -> bool:
        return self.alone is not None and self.alone.waits

    @cached_property
    def built(self) -> dict[int, int]:
        """The indexes whose file is new, with their tables."""
        files = {one.file for one in self.before.indexes.values()}
        return {
            oid: one.table
            for oid, one in self.after.indexes.items()
            if not one.is_partitioned and one.file not in files and not is_truncate(self.text)
        }

    @cached_property
    def rewritten(self) -> frozenset[int]:
        """The tables whose file is new."""
        if is_truncate(self.text):
            return frozenset()
        return self.with_new_file

    @cached_property
    def with_new_file(self) -> frozenset[int]:
        return frozenset(
            oid
            for oid, one in self.after.relations.items()
            if oid in self.before.relations and one.file != self.before.relations[oid].file
        )

    @cached_property
    def scanned(self) -> frozenset[int]:
        """The tables that were read from end to end."""
        if is_truncate(self.text):
            return frozenset()
        counted = {
            oid for oid, one in self.after.relations.items() if one.scans > self._scans_before(oid)
        }
        checked = {
            one.table for one in self.newly_valid() if one.kind == "f" and one.table in self.touched
        }
        return frozenset(counted | checked | set(self.built.values()))

    @cached_property
    def touched(self) -> frozenset[int]:
        """The tables of which anything was read, through an index too."""
        through = {
            one.table
            for oid, one in self.after.indexes.items()
            if one.scans > (self.before.indexes[oid].scans if oid in self.before.indexes else 0)
        }
        return frozenset(
            oid
            for oid, one in self.after.relations.items()
            if oid in through or one.scans > self._scans_before(oid)
        )

    @property
    def read(self) -> tuple[str, ...]:
        """The tables whose rows went to the caller."""
        if not self.returned_rows:
            return ()
        return tuple(sorted(self.name(table) for table in self.touched))

    @cached_property
    def new_columns(self) -> dict[tuple[int, int], Column]:
        return {
            key: column
            for key, column in self.after.columns.items()
            if key not in self.before.columns and key[0] in self.after.relations
        }

    @cached_property
    def without_value(self) -> frozenset[tuple[int, int]]:
        """The columns that rows which were there have no value for, once the statement has run."""
        added = {key for key, one in self.new_columns.items() if not one.has_default}
        changes = may_change_rows(self.text)
        filled = {key for key in self.unfilled if changes and key[0] in self.touched}
        return (self.unfilled | added) - filled

    def demanded_without_value(self) -> Iterator[tuple[int, Column]]:
        """Yield each column, with its table, that is NOT NULL now and has no value for old rows."""
        for key in sorted(self.without_value):
            now, was = self.after.columns.get(key), self.before.columns.get(key)
            demanded = now is not None and now.not_null and not now.dropped
            if now and demanded and not (was and was.not_null):
                yield key[0], now

    def changed_columns(self) -> Iterator[tuple[tuple[int, int], Column, Column]]:
        """Yield each column that was there and is otherwise now: its key, before, after."""
        for key, column in self.before.columns.items():
            now = self.after.columns.get(key)
            if now is not None and now != column:
                yield key, column, now

    def newly_valid(self) -> Iterator[Constraint]:
        """Yield each constraint that is new and valid, or was not valid before."""
        for oid, one in self.after.constraints.items():
            known = self.before.constraints.get(oid)
            if one.valid and (known is None or not known.valid):
                yield one

    def is_new(self, constraint: Constraint) -> bool:
        return constraint not in self.before.constraints.values() and not any(
            one.table == constraint.table and one.name == constraint.name
            for one in self.before.constraints.values()
        )

    def name(self, table: int) -> str:
        """Return the name of *table* as the statement knew it."""
        known = self.before.relations.get(table) or self.after.relations[table]
        return known.name

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What happened to each table that was there."""
        tables = {*self.taken, *self.scanned, *self.rewritten} & self.before.relations.keys()
        return tuple(
            Effect(
                self.name(table),
                self.taken.get(table),
                self.held.get(table),
                table in self.scanned,
                table in self.rewritten,
                self._built_on(table),
            )
            for table in sorted(tables, key=self.name)
        )

    def _built_on(self, table: int) -> tuple[str, ...]:
        names = (self.after.indexes[index].name for index, on in self.built.items() if on == table)
        return tuple(sorted(names))

    def _scans_before(self, table: int) -> int:
        known = self.before.relations.get(table)
        return known.scans if known else 0
