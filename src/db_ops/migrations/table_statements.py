"""Run what models say to one table, each statement in a savepoint that is rolled back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from db_ops.migrations.env.error_location import describe_failure

if TYPE_CHECKING:
    from sqlalchemy import Column, Connection, Table

OPERATIONS = ("SELECT", "INSERT", "UPDATE", "DELETE")


@dataclass
class TableRun:
    """Runs the statements of one table; `types` are those of the values that it has read."""

    connection: Connection
    table: Table
    count: int = 0
    types: dict[str, set[str]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    _rows: list[Mapping[str, Any]] = field(default_factory=list)

    def choose_sample(self) -> dict[str, Any]:
        """Return a row that can be deleted and inserted again, if there is one."""
        from sqlalchemy import select

        self._try("SELECT", "read", lambda: self._read(select(self.table)))
        for row in reversed(self._rows):
            if self._try("DELETE", "choose", lambda row=row: self._delete(row)) is None:  # type: ignore[misc]  # bound at once
                return dict(row)
        return dict(self._rows[-1]) if self._rows else {}

    def all(self, sample: Mapping[str, Any]) -> Iterator[dict[str, str]]:
        """Yield what fails of the SELECT, the two INSERTs, the UPDATE and the DELETE."""
        if not self.table.columns:
            return
        for failure in (
            self._select(),
            self._insert("INSERT", self._full(sample), sample),
            self._insert("least INSERT", self._least(sample), sample),
            self._try("UPDATE", "UPDATE", lambda: self._update(sample)),
            self._try("DELETE", "DELETE", lambda: self._delete(sample, needs_row=False)),
        ):
            if failure is not None:
                yield failure

    def renewed(
        self, sample: dict[str, Any], keys: Iterable[str], lost: Mapping[str, list[str]]
    ) -> dict[str, Any]:
        """Return *sample* with the *keys* of a row that is there, and without labels *lost*."""
        from sqlalchemy import select

        sample = dict(sample)
        for column in self.table.columns:
            labels = labels_of(column.type)
            if lost.get(column.name) and sample:
                left = [one for one in labels if one not in lost[column.name]]
                sample[column.name] = _of_label(column.type, left[0]) if left else None
        columns = [self.table.c[name] for name in keys if name in self.table.c]
        rows: list[Any] = []
        if columns:
            statement = select(*columns).limit(100)
            self._try("SELECT", "keys", lambda: rows.extend(self._execute(statement).all()))
        own = tuple(sample.get(c.name) for c in columns)
        if rows and sample and own not in [tuple(row) for row in rows]:
            sample |= zip((c.name for c in columns), rows[-1], strict=True)
        return sample

    @contextmanager
    def without_not_null(self, names: Iterable[str]) -> Iterator[None]:
        """Let the columns be empty, for a `with` block."""
        from sqlalchemy import text

        quote = self.connection.dialect.identifier_preparer
        table = quote.format_table(self.table)
        savepoint = self.connection.begin_nested()
        for name in names:
            alter = text(f"ALTER TABLE {table} ALTER {quote.quote(name)} DROP NOT NULL")
            self._try("ALTER", "ALTER", lambda one=alter: self._execute(one), keep=True)  # type: ignore[misc]  # bound at once
        yield
        savepoint.rollback()

    def nulls(self, sample: Mapping[str, Any], names: Iterable[str]) -> Iterator[dict[str, str]]:
        """Yield what fails of INSERTs that leave one of the columns empty, as the models may."""
        for column in self.table.columns:
            if column.name in names and column.nullable and not _is_given(column):
                values = {**self._full(sample), column.name: None}
                failure = self._insert(f"INSERT without {column.name}", values, sample)
                if failure is not None:
                    yield failure

    def labels(
        self, sample: Mapping[str, Any], lost: Mapping[str, list[str]]
    ) -> Iterator[dict[str, str]]:
        """Yield what fails of UPDATEs to labels that the models know and the type has no longer."""
        from sqlalchemy import false, update

        for column in self.table.columns:
            for label in lost.get(column.name, ()):
                if label not in labels_of(column.type):
                    continue
                value = _of_label(column.type, label)
                statement = update(self.table).where(false()).values({column: value})
                failure = self._try(
                    "UPDATE",
                    f"label {column.name}",
                    lambda one=statement: self._execute(one),  # type: ignore[misc]  # bound at once
                )
                if failure is not None:
                    yield {**failure, "column": column.name, "label": label}

    def _select(self) -> dict[str, str] | None:
        from sqlalchemy import select

        self._rows.clear()
        failure = self._try("SELECT", "SELECT", lambda: self._read(select(self.table)))
        if failure is None or failure["sqlstate"]:
            return failure
        # A value of some column, and no statement.
        for column in self.table.columns:
            one = self._try("SELECT", "SELECT", lambda c=column: self._read(select(c)))  # type: ignore[misc]  # bound at once
            if one is not None:
                self.unreadable[column.name] = one["message"]
        return failure

    def _insert(
        self, variant: str, values: Mapping[str, Any], sample: Mapping[str, Any]
    ) -> dict[str, str] | None:
        from sqlalchemy import insert, select

        def work() -> None:
            if sample:
                self._try("DELETE", "DELETE", lambda: self._delete(sample), keep=True)
            by_column = {self.table.c[key]: value for key, value in values.items()}
            self._execute(insert(self.table).values(by_column).return_defaults())
            if not self._rows and not self.unreadable:
                # What is written can be read again.
                self._read(select(self.table))

        return self._try("INSERT", variant, work)

    def _full(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        return {c.name: sample.get(c.name) for c in self.table.columns if not _is_computed(c)}

    def _least(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that the unit of work sends if only what has to be is set."""
        numbered = self.table.autoincrement_column
        return {
            c.name: None if c.nullable else sample.get(c.name)
            for c in self.table.columns
            if not _is_given(c) and c is not numbered
        }

    def _update(self, sample: Mapping[str, Any]) -> None:
        from sqlalchemy import update

        columns = [c for c in self.table.columns if not _is_computed(c)]
        values = {
            c: sample.get(c.name)
            for c in columns
            if not c.primary_key and c.onupdate is None and c.server_onupdate is None
        }
        values = values or {c: sample.get(c.name) for c in columns}
        if values:
            self._execute(update(self.table).where(self._is(sample)).values(values))

    def _delete(self, sample: Mapping[str, Any], *, needs_row: bool = True) -> None:
        from sqlalchemy import delete

        done = self._execute(delete(self.table).where(self._is(sample)))
        if needs_row and done.rowcount != 1:
            raise LookupError("no such row")

    def _is(self, sample: Mapping[str, Any]) -> Any:
        from sqlalchemy import and_, false

        key = list(self.table.primary_key.columns)
        if not key or any(sample.get(c.name) is None for c in key):
            return false()
        return and_(*(c == sample[c.name] for c in key))

    def _read(self, statement: Any) -> None:
        rows = self._execute(statement).all()
        for row in rows:
            values = dict(zip((c.name for c in statement.selected_columns), row, strict=True))
            for name, value in values.items():
                if value is not None:
                    self.types.setdefault(name, set()).add(_type_name(value))
            if len(values) == len(self.table.columns):
                self._rows.append(values)

    def _execute(self, statement: Any) -> Any:
        self.count += 1
        return self.connection.execute(statement)

    def _try(
        self, operation: str, variant: str, work: Callable[[], object], *, keep: bool = False
    ) -> dict[str, str] | None:
        """Return why *work* failed, if it did; what it wrote goes again unless it may *keep* it."""
        from sqlalchemy import text
        from sqlalchemy.exc import DBAPIError

        savepoint = self.connection.begin_nested()
        try:
            work()
            if operation != "SELECT":
                # What is deferred is refused here.
                self.connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        except Exception as error:
            savepoint.rollback()
            original = error.orig if isinstance(error, DBAPIError) else None
            diag = getattr(original, "diag", None)
            return {
                "operation": operation,
                "variant": variant,
                "sqlstate": getattr(original, "pgcode", None) or "",
                "message": getattr(diag, "message_primary", None) or describe_failure(error),
                "column": getattr(diag, "column_name", None) or "",
                "constraint": getattr(diag, "constraint_name", None) or "",
            }
        if keep:
            savepoint.commit()
        else:
            savepoint.rollback()
        return None


def _is_computed(column: Column[Any]) -> bool:
    identity = getattr(column, "identity", None)
    return column.computed is not None or (identity is not None and bool(identity.always))


def _is_given(column: Column[Any]) -> bool:
    """Tell whether somebody else than the application fills *column*."""
    return (
        _is_computed(column)
        or getattr(column, "identity", None) is not None
        or column.default is not None
        or column.server_default is not None
    )


def _enum_of(kind: Any) -> Any:
    from sqlalchemy.types import ARRAY, Enum, TypeDecorator

    while isinstance(kind, ARRAY | TypeDecorator):
        kind = kind.item_type if isinstance(kind, ARRAY) else kind.impl_instance
    return kind if isinstance(kind, Enum) else None


def labels_of(kind: Any) -> tuple[str, ...]:
    """Return the labels that models know of an enum; nothing for another type."""
    enum = _enum_of(kind)
    return () if enum is None else tuple(enum.enums)


def _of_label(kind: Any, label: str) -> Any:
    from sqlalchemy.types import ARRAY

    value = getattr(_enum_of(kind), "_object_lookup", {}).get(label, label)
    return [value] if isinstance(kind, ARRAY) else value


def _type_name(value: Any) -> str:
    """Return the name of a value's type, as far as code that reads it would see a difference."""
    name = type(value).__name__
    if name in ("datetime", "time") and value.tzinfo is not None:
        return f"{name} with time zone"
    if isinstance(value, list) and value:
        return f"list of {_type_name(value[0])}"
    return name
