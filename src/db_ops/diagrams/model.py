"""What is drawn."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A column as a row of its table; `unique` is by itself."""

    name: str
    type: str
    required: bool
    primary: bool = False
    unique: bool = False


@dataclass(frozen=True)
class Reference:
    """A foreign key: of `columns`, to the table `target`.

    `required` says that each row has one, `unique` that no two rows have the same.
    """

    columns: tuple[str, ...]
    target: str
    required: bool
    unique: bool


@dataclass(frozen=True)
class Table:
    """A table; its name is qualified where it is not in `public`."""

    name: str
    columns: tuple[Column, ...]
    references: tuple[Reference, ...]

    def keys(self, column: Column) -> str:
        """Return the marks of *column*: PK, FK, UK, as ER diagrams have them."""
        foreign = any(column.name in reference.columns for reference in self.references)
        marks = {"PK": column.primary, "FK": foreign, "UK": column.unique and not column.primary}
        return ", ".join(mark for mark, given in marks.items() if given)


@dataclass(frozen=True)
class RevisionBox:
    """A revision; `down` are those that it follows, `depends` those that it only needs."""

    id: str
    summary: str
    down: tuple[str, ...]
    depends: tuple[str, ...]
