"""A drawn set of models: plain data, and the Python source that declares it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

HEAD = """import sqlalchemy as sa
from sqlalchemy import text
from sqlalchemy.dialects import postgresql as pg

metadata = sa.MetaData({convention})
"""
CONVENTION = """naming_convention={
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}"""
_BARE = re.compile(r"[a-z_][a-z0-9_]*\Z")
_RESERVED = {"user", "order", "group", "select", "table"}
Name = tuple[str | None, str]


def quoted(name: str) -> str:
    """Return *name* as SQL spells it."""
    if _BARE.match(name) and name not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def qualified(name: Name) -> str:
    """Return schema and name as SQL spells them."""
    return ".".join(quoted(part) for part in name if part)


@dataclass
class Column:
    """A column; `kind` is a key of the vocabulary of types or `enum:NAME`, `of` its type in Python.

    `values` are SQL literals, one for each row. `extra` are further arguments of `sa.Column`, as
    an identity or a computed expression.
    """

    name: str
    kind: str
    of: str
    values: tuple[str, ...]
    nullable: bool = True
    default: str | None = None
    comment: str | None = None
    extra: str | None = None
    primary_key: bool = False

    @property
    def is_filled(self) -> bool:
        """Whether the server gives the values itself."""
        return self.extra is not None or (
            self.primary_key and self.kind in ("int", "bigint", "smallint")
        )

    def source(self) -> str:
        parts = [repr(self.name), self.of]
        if self.extra:
            parts.append(self.extra)
        if self.primary_key:
            parts.append("primary_key=True")
        elif not self.nullable:
            parts.append("nullable=False")
        if self.default:
            parts.append(f"server_default={self.default}")
        if self.comment:
            parts.append(f"comment={self.comment!r}")
        return f"sa.Column({', '.join(parts)})"


@dataclass
class Part:
    """A constraint or an index: `source` declares it, and it speaks of `columns`.

    `target` and `target_columns` are what a foreign key refers to.
    """

    key: str
    source: str
    columns: tuple[str, ...]
    target: Name | None = None
    target_columns: tuple[str, ...] = ()
    options: str = ""
    name: str | None = None


@dataclass
class Table:
    """A table with its columns, constraints and indexes."""

    name: str
    schema: str | None = None
    columns: list[Column] = field(default_factory=list)
    constraints: list[Part] = field(default_factory=list)
    indexes: list[Part] = field(default_factory=list)
    comment: str | None = None

    @property
    def id(self) -> Name:
        return self.schema, self.name

    def column(self, name: str) -> Column:
        return next(one for one in self.columns if one.name == name)

    def source(self, number: int) -> str:
        lines = [repr(self.name), "metadata", *(one.source() for one in self.columns)]
        for one in self.constraints:
            lines.append(_foreign_key(one) if one.target else one.source)
        if self.schema:
            lines.append(f"schema={self.schema!r}")
        if self.comment:
            lines.append(f"comment={self.comment!r}")
        text = f"t{number} = sa.Table(\n    " + ",\n    ".join(lines) + ",\n)\n"
        return text + "".join(
            one.source.replace("TABLE", f"t{number}") + "\n" for one in self.indexes
        )


def _foreign_key(one: Part) -> str:
    assert one.target is not None
    schema, table = one.target
    path = f"{schema}.{table}" if schema else table
    remote = [f"{path}.{column}" for column in one.target_columns]
    name = f", name={one.name!r}" if one.name else ""
    return f"sa.ForeignKeyConstraint({list(one.columns)!r}, {remote!r}{name}{one.options})"


@dataclass
class Models:
    """All of it; `views` are names with their queries, made by an event of the metadata."""

    tables: list[Table] = field(default_factory=list)
    enums: dict[str, tuple[str, ...]] = field(default_factory=dict)
    views: dict[str, tuple[Name, str]] = field(default_factory=dict)
    sequences: dict[str, str] = field(default_factory=dict)
    convention: bool = False

    def table(self, name: Name) -> Table:
        return next(one for one in self.tables if one.id == name)

    def has(self, name: Name) -> bool:
        return any(one.id == name for one in self.tables)

    def source(self) -> str:
        text = HEAD.replace("{convention}", CONVENTION if self.convention else "")
        for name, values in self.enums.items():
            # Types that only the metadata knows are made too.
            text += (
                f"{enum_variable(name)} = pg.ENUM(*{values!r}, name={name!r}, metadata=metadata)\n"
            )
        for name, options in self.sequences.items():
            text += f"sa.Sequence({name!r}, metadata=metadata{options})\n"
        for number, table in enumerate(self.tables):
            text += table.source(number)
        for name, (table, query) in self.views.items():
            sql = f"CREATE VIEW {quoted(name)} AS {query.format(table=qualified(table))}"
            text += f"sa.event.listen(metadata, 'after_create', sa.DDL({sql!r}))\n"
        return text

    def tidy(self) -> None:
        """Remove what speaks of a table or a column that is not there."""
        for table in self.tables:
            names = {one.name for one in table.columns}
            table.indexes = [one for one in table.indexes if set(one.columns) <= names]
            table.constraints = [
                one
                for one in table.constraints
                if set(one.columns) <= names and (one.target is None or self._refers(one))
            ]
        self.views = {
            name: (table, query) for name, (table, query) in self.views.items() if self.has(table)
        }

    def _refers(self, one: Part) -> bool:
        assert one.target is not None
        if not self.has(one.target):
            return False
        names = {column.name for column in self.table(one.target).columns}
        return set(one.target_columns) <= names


def enum_variable(name: str) -> str:
    return "e_" + re.sub(r"\W", "_", name)
