"""Draw a pair of models: the first from the vocabulary, the second by one to four changes of it."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from tests.support.pairs.model import (
    Column,
    Models,
    Name,
    Part,
    Table,
    enum_variable,
    qualified,
    quoted,
)
from tests.support.pairs.vocabulary import (
    CHANGES,
    COLUMNS,
    COMMENTS,
    KEEPS,
    KINDS,
    LABELS,
    SCHEMAS,
    TABLES,
)

_KEYED = ("int", "bigint", "uuid", "string20")
_INDEXED = {
    "json": (), "jsonb": ("gin",), "int[]": ("gin", "btree"), "text[]": ("gin",),
    "tsvector": ("gin", "gist"), "int4range": ("gist",), "tstzrange": ("gist", "spgist"),
    "money": ("btree",), "bit4": ("btree",),
}  # fmt: skip
_NOT_UNIQUE = ("json", "bool", "tsvector", "money")


@dataclass
class Pair:
    """Models `before` and `after`, and what is known of the way between.

    `renames` are for `--rename`. `columns` and `tables` lead from old names to new ones; what is
    not there was dropped. `lossy` columns may come out with other values, `failing` ones may make
    the server refuse rows, by their names before.
    """

    number: int
    before: Models
    after: Models
    told: list[str] = field(default_factory=list)
    renames: list[str] = field(default_factory=list)
    tables: dict[Name, Name] = field(default_factory=dict)
    columns: dict[tuple[Name, str], str] = field(default_factory=dict)
    lossy: set[tuple[Name, str]] = field(default_factory=set)
    failing: bool = False


def draw_pair(seed: int, number: int, major: int = 18) -> Pair:
    """Return the pair of that *number*; the same for the same *seed*, on any machine."""
    return _Drawing(Random(f"{seed}:{number}"), number, major).pair()


class _Drawing:
    def __init__(self, random: Random, number: int, major: int) -> None:
        self.random, self.number, self.major = random, number, major
        self.counter = itertools.count(1)

    def pair(self) -> Pair:
        before = self.models()
        after = copy.deepcopy(before)
        self.drawn = Pair(self.number, before, after)
        self.drawn.tables = {table.id: table.id for table in before.tables}
        self.drawn.columns = {
            (table.id, one.name): one.name for table in before.tables for one in table.columns
        }
        self.touched: set[object] = set()
        wanted = self.random.choice((1, 1, 2, 2, 3, 4))
        for _ in range(40):
            if len(self.drawn.told) == wanted:
                break
            change = self.random.choice(self.changes)
            told = change(after)
            if told:
                self.drawn.told.append(told)
        after.tidy()
        return self.drawn

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    # The first models.

    def models(self) -> Models:
        models = Models(convention=self.chance(0.4))
        for name in self.random.sample(
            ("status", "Mood", "level"), self.random.choice((0, 1, 1, 2))
        ):
            models.enums[name] = tuple(self.random.sample(LABELS, self.random.choice((1, 2, 3, 4))))
        if self.chance(0.15):
            models.sequences["ticket"] = self.random.choice(("", ", start=10", ", increment=5"))
        for name in self.random.sample(TABLES, self.random.choice((1, 2, 2, 3))):
            schema = self.random.choice(SCHEMAS) if self.chance(0.15) else None
            models.tables.append(self.table(models, name, schema))
        for table in models.tables:
            for _ in range(self.random.choice((0, 0, 1, 2))):
                self.add_part(models, table)
        if self.chance(0.2):
            self.add_view(models)
        return models

    def table(self, models: Models, name: str, schema: str | None) -> Table:
        table = Table(name, schema)
        kind = self.random.choice(("int", "int", "bigint", "identity", "always", "uuid", "none"))
        if kind in ("identity", "always"):
            always = "always=True" if kind == "always" else ""
            options = self.random.choice(("", ", start=10", ", increment=2", ", cache=5"))
            extra = f"sa.Identity({(always + options).strip(', ')})"
            table.columns.append(
                Column("id", "bigint", "sa.BigInteger", KINDS["bigint"].values, False, extra=extra, primary_key=True)
            )  # fmt: skip
        elif kind != "none":
            found = KINDS[kind]
            table.columns.append(
                Column("id", kind, found.of, found.values, False, primary_key=True)
            )
        for column in self.random.sample(COLUMNS, self.random.choice((1, 2, 3, 4, 5))):
            table.columns.append(self.column(models, column))
        if self.chance(0.15):
            self.add_computed(table)
        if self.chance(0.2):
            table.comment = self.random.choice(COMMENTS)
        return table

    def column(self, models: Models, name: str) -> Column:
        if models.enums and self.chance(0.2):
            enum = self.random.choice(list(models.enums))
            column = self.enum_column(models, name, enum)
        else:
            kind = self.random.choice(list(KINDS))
            found = KINDS[kind]
            column = Column(name, kind, found.of, found.values)
            if found.defaults and self.chance(0.3):
                column.default = self.random.choice(found.defaults)
        column.nullable = self.chance(0.6)
        if self.chance(0.12):
            column.comment = self.random.choice(COMMENTS)
        return column

    def enum_column(self, models: Models, name: str, enum: str) -> Column:
        labels = models.enums[enum]
        literals = ["'" + label.replace("'", "''") + "'" for label in labels]
        values = (literals[0], literals[-1], literals[len(literals) // 2])
        variable = enum_variable(enum)
        if self.chance(0.15):
            return Column(
                name,
                f"enum:{enum}",
                f"pg.ARRAY({variable})",
                tuple(f"ARRAY[{one}]::{quoted(enum)}[]" for one in values),
            )
        column = Column(name, f"enum:{enum}", variable, values)
        if self.chance(0.4):
            column.default = repr(self.random.choice(labels))
        return column

    def add_computed(self, table: Table) -> str | None:
        texts = [
            one
            for one in table.columns
            if KINDS.get(one.kind, KINDS["json"]).family == "text" and not one.extra
        ]
        ints = [one for one in table.columns if one.kind in ("int", "bigint") and not one.extra]
        name = f"computed{next(self.counter)}"
        persisted = self.major < 18 or self.chance(0.7)
        if texts and self.chance(0.5):
            source = self.random.choice(texts)
            expression, kind = f"lower({quoted(source.name)}) || ' %'", "text"
        elif ints:
            source = self.random.choice(ints)
            kind = self.random.choice(("bigint", "numeric"))
            expression = f"{quoted(source.name)} % 10"
        else:
            return None
        extra = f"sa.Computed({expression!r}, persisted={persisted})"
        table.columns.append(Column(name, kind, KINDS[kind].of, (), True, extra=extra))
        return name

    # Constraints and indexes.

    def add_part(self, models: Models, table: Table) -> str | None:
        maker = self.random.choice(
            (
                self.check,
                self.check,
                self.unique,
                self.foreign_key,
                self.foreign_key,
                self.index,
                self.index,
                self.index,
                self.exclude,
            )
        )
        return maker(models, table)

    def label(self, prefix: str) -> str:
        return f"{prefix}{next(self.counter)}"

    def usable(self, table: Table) -> list[Column]:
        return [one for one in table.columns if not (one.extra or "").startswith("sa.Computed")]

    def check(self, models: Models, table: Table) -> str | None:
        found = [one for one in self.usable(table) if one.kind in KINDS and KINDS[one.kind].checks]
        if not found:
            return None
        column = self.random.choice(found)
        text = self.random.choice(KINDS[column.kind].checks).format(c=quoted(column.name))
        if column.kind == "numeric" and "-1000000" in text:
            text = text.replace("-1000000", "-10000000000000000000000")
        name = self.label("rule")
        # Without a name the server would choose one; under a convention that is an error.
        named = f", name={name!r}" if models.convention or self.chance(0.7) else ""
        table.constraints.append(
            Part(
                f"check {name}",
                f"sa.CheckConstraint({text.replace(':', chr(92) + ':')!r}{named})",
                (column.name,),
            )
        )
        return f"check {text}"

    def unique(self, models: Models, table: Table) -> str | None:
        found = [
            one
            for one in self.usable(table)
            if one.kind not in _NOT_UNIQUE
            and not one.kind.startswith("enum:")
            and not one.primary_key
        ]
        if not found:
            return None
        columns = tuple(
            one.name
            for one in self.random.sample(found, min(len(found), self.random.choice((1, 1, 2))))
        )
        name = self.label("uq_") if self.chance(0.6) else None
        options = self.random.choice(
            ("", "", ", deferrable=True", ", postgresql_nulls_not_distinct=True")
        )
        named = f", name={name!r}" if name else ""
        key = f"unique {','.join(columns)}"
        if any(one.key == key for one in table.constraints):
            return None
        table.constraints.append(
            Part(
                key,
                f"sa.UniqueConstraint({', '.join(map(repr, columns))}{named}{options})",
                columns,
            )
        )
        return key

    def foreign_key(self, models: Models, table: Table) -> str | None:
        targets = [
            one
            for one in models.tables
            if one.columns
            and one.columns[0].primary_key
            and one.columns[0].kind in ("int", "bigint", "uuid")
        ]
        if not targets:
            return None
        target = self.random.choice(targets)
        kind = target.columns[0].kind
        name = f"{self.label('ref')}_id"
        column = Column(name, kind, KINDS[kind].of, ("NULL",) * 3)
        table.columns.append(column)
        options = self.random.choice(
            (
                "",
                "",
                ", ondelete='CASCADE'",
                ", ondelete='SET NULL'",
                ", deferrable=True, initially='DEFERRED'",
                ", onupdate='CASCADE'",
            )
        )
        named = self.label("fk_") if self.chance(0.5) else None
        table.constraints.append(
            Part(f"fk {name}", "", (name,), target.id, (target.columns[0].name,), options, named)
        )
        if self.chance(0.4):
            table.indexes.append(
                Part(f"ix_{name}", f"sa.Index('ix_{name}', TABLE.c[{name!r}])", (name,))
            )
        return f"foreign key {name} to {target.name}"

    def index(self, models: Models, table: Table) -> str | None:
        column = self.random.choice(self.usable(table))
        name = self.label("ix_") if self.chance(0.85) else self.label("Odd ix")
        c = f"TABLE.c[{column.name!r}]"
        of = KINDS.get(column.kind)
        family = of.family if of else "enum"
        shape = self.random.choice(
            (
                "plain",
                "plain",
                "unique",
                "two",
                "expression",
                "where",
                "desc",
                "include",
                "method",
                "ops",
            )
        )
        methods = _INDEXED.get(
            column.kind,
            ("btree", "hash", "brin")
            if family in ("int", "number", "text", "time", "uuid")
            else ("btree",),
        )
        if column.of.startswith("pg.ARRAY(e_"):
            methods = ("btree",)
        if not methods or column.kind == "json":
            return None
        columns = (column.name,)
        if "btree" not in methods or shape == "method":
            method = self.random.choice(methods)
            source = f"sa.Index({name!r}, {c}, postgresql_using={method!r})"
        elif shape == "unique" and column.kind not in _NOT_UNIQUE and family != "enum":
            source = f"sa.Index({name!r}, {c}, unique=True)"
        elif shape == "two" and len(table.columns) > 1 and self.other(table, column):
            other = self.other(table, column)
            assert other is not None
            columns = (column.name, other.name)
            source = f"sa.Index({name!r}, {c}, TABLE.c[{other.name!r}])"
        elif shape == "expression" and family == "text":
            source = f"sa.Index({name!r}, sa.func.lower({c}))"
        elif shape == "expression" and family == "int":
            source = f"sa.Index({name!r}, text({quoted(column.name) + ' % 10'!r}), _table=TABLE)"
            source = f"sa.Index({name!r}, ({c} % 10))"
        elif shape == "where" and family == "text":
            predicate = f"{quoted(column.name)} LIKE 'a%'"
            source = f"sa.Index({name!r}, {c}, postgresql_where=text({predicate!r}))"
        elif shape == "where":
            source = f"sa.Index({name!r}, {c}, postgresql_where={c}.is_not(None))"
        elif shape == "desc":
            source = f"sa.Index({name!r}, {c}.desc().nulls_last())"
        elif shape == "include" and self.other(table, column, any_type=True):
            other = self.other(table, column, any_type=True)
            assert other is not None
            columns = (column.name, other.name)
            source = f"sa.Index({name!r}, {c}, postgresql_include=[{other.name!r}])"
        elif shape == "ops" and column.kind in ("text", "string", "string20", "string40"):
            ops = "text_pattern_ops" if column.kind == "text" else "varchar_pattern_ops"
            source = f"sa.Index({name!r}, {c}, postgresql_ops={{{column.name!r}: {ops!r}}})"
        else:
            source = f"sa.Index({name!r}, {c})"
        if (
            column.kind in ("string", "text", "textC", "jsonb")
            and "unique" in source
            and self.chance(0)
        ):
            return None
        table.indexes.append(Part(name, source, columns))
        return f"index {source}"

    def other(self, table: Table, column: Column, *, any_type: bool = False) -> Column | None:
        found = [
            one
            for one in self.usable(table)
            if one is not column and (any_type or (one.kind in KINDS and one.kind not in _INDEXED))
        ]
        return self.random.choice(found) if found else None

    def exclude(self, models: Models, table: Table) -> str | None:
        found = [one for one in table.columns if one.kind in ("int4range", "tstzrange")]
        if not found:
            return None
        column, name = self.random.choice(found), self.label("no_overlap")
        table.constraints.append(
            Part(
                name,
                f"pg.ExcludeConstraint(({column.name!r}, '&&'), name={name!r})",
                (column.name,),
            )
        )
        return f"exclude {column.name}"

    def add_view(self, models: Models) -> str | None:
        table = self.random.choice(models.tables)
        column = self.random.choice(table.columns)
        name = self.label("view_")
        models.views[name] = (table.id, f"SELECT {quoted(column.name)} AS it FROM {{table}}")
        return f"view {name}"

    # The changes.

    @property
    def changes(self) -> tuple[Callable[[Models], str | None], ...]:
        return (
            self.c_add_table, self.c_drop_table, self.c_rename_table,
            self.c_add_column, self.c_add_column, self.c_drop_column, self.c_rename_column,
            self.c_type, self.c_type, self.c_type, self.c_nullable, self.c_default, self.c_default,
            self.c_comment, self.c_add_part, self.c_add_part, self.c_drop_part, self.c_change_part,
            self.c_enum, self.c_enum, self.c_identity, self.c_computed, self.c_sequence, self.c_view,
            self.c_schema, self.c_convention, self.c_serial_type,
        )  # fmt: skip

    def pick(self, models: Models) -> tuple[Table, Column] | None:
        found = [
            (table, one)
            for table in models.tables
            for one in table.columns
            if (table.id, one.name) in self.old and not one.is_filled
            and id(one) not in self.touched
        ]  # fmt: skip
        if not found:
            return None
        table, column = self.random.choice(found)
        self.touched.add(id(column))
        return table, column

    @property
    def old(self) -> dict[tuple[Name, str], tuple[Name, str]]:
        """What a name of now was called before."""
        back: dict[tuple[Name, str], tuple[Name, str]] = {}
        for (table, column), new in self.drawn.columns.items():
            if table in self.drawn.tables:
                back[self.drawn.tables[table], new] = (table, column)
        return back

    def c_add_table(self, models: Models) -> str | None:
        names = [
            one
            for one in TABLES
            if not any(table.name == one for table in models.tables)
            and not any(name == one for _, name in self.drawn.tables)
        ]
        if not names:
            return None
        name = self.random.choice(names)
        table = self.table(models, name, self.random.choice(SCHEMAS) if self.chance(0.1) else None)
        models.tables.append(table)
        self.add_part(models, table)
        return f"add table {name}"

    def c_drop_table(self, models: Models) -> str | None:
        if len(models.tables) < 2:
            return None
        table = self.random.choice(models.tables)
        found = [old for old, new in self.drawn.tables.items() if new == table.id]
        if not found:
            return None
        models.tables.remove(table)
        del self.drawn.tables[found[0]]
        spelled = re.escape(qualified(found[0]))
        self.drawn.renames = [
            one for one in self.drawn.renames if not re.match(rf"{spelled}[.:]", one)
        ]
        models.tidy()
        return f"drop table {table.name}"

    def c_rename_table(self, models: Models) -> str | None:
        table = self.random.choice(models.tables)
        if self.drawn.tables.get(table.id) != table.id:
            return None
        names = [
            one
            for one in (*TABLES, "renamed")
            if not any(other.name == one for other in models.tables)
            and not any(name == one for _, name in self.drawn.tables)
        ]
        old, new = table.id, self.random.choice(names)
        table.name = new
        self.drawn.tables[old] = table.id
        for other in models.tables:
            for part in other.constraints:
                if part.target == old:
                    part.target = table.id
        models.views = {
            name: (table.id if of == old else of, query)
            for name, (of, query) in models.views.items()
        }
        spelled = f"{quoted(old[0])}.{quoted(old[1])}" if old[0] else quoted(old[1])
        self.drawn.renames.append(f"{spelled}:{quoted(new)}")
        return f"rename table {old} to {new}"

    def c_schema(self, models: Models) -> str | None:
        if self.chance(0.5):
            return None
        table = self.random.choice(models.tables)
        if self.drawn.tables.get(table.id) != table.id or table.schema:
            return None
        old, table.schema = table.id, "app"
        if any(other is not table and other.id == table.id for other in models.tables):
            table.schema = None
            return None
        self.drawn.tables[old] = table.id
        for other in models.tables:
            for part in other.constraints:
                if part.target == old:
                    part.target = table.id
        models.views = {
            name: (table.id if of == old else of, query)
            for name, (of, query) in models.views.items()
        }
        self.drawn.renames.append(f"{quoted(old[1])}:app.{quoted(old[1])}")
        return f"move table {old[1]} to app"

    def c_add_column(self, models: Models) -> str | None:
        table = self.random.choice(models.tables)
        names = [
            one
            for one in COLUMNS
            if all(one != other.name for other in table.columns)
            and not any(column == one for (_, column) in self.drawn.columns)
        ]
        if not names:
            return None
        column = self.column(models, self.random.choice(names))
        if not column.nullable and not column.default:
            if self.chance(0.7):
                column.nullable = True
            else:
                self.drawn.failing = True
        table.columns.append(column)
        return f"add column {table.name}.{column.name} {column.of}" + (
            "" if column.nullable else " NOT NULL"
        )

    def c_drop_column(self, models: Models) -> str | None:
        found = self.pick(models)
        if found is None or len(found[0].columns) < 2:
            return None
        table, column = found
        table.columns.remove(column)
        old = self.old[table.id, column.name]
        del self.drawn.columns[old]
        table.columns = [
            one
            for one in table.columns
            if not (one.extra and quoted(column.name) in one.extra.split("(", 1)[1])
        ]
        left = {one.name for one in table.columns}
        for (of, name), new in list(self.drawn.columns.items()):
            if of == old[0] and new not in left:
                del self.drawn.columns[of, name]
        models.views = {
            name: (of, query)
            for name, (of, query) in models.views.items()
            if not (of == table.id and f"SELECT {quoted(column.name)} " in query)
        }
        models.tidy()
        return f"drop column {table.name}.{column.name}"

    def c_rename_column(self, models: Models) -> str | None:
        found = self.pick(models)
        if found is None:
            return None
        table, column = found
        if self.uses(models, table, column):
            return None
        names = [
            one
            for one in (*COLUMNS, "renamed")
            if all(one != other.name for other in table.columns)
            and not any(name == one for (_, name) in self.drawn.columns)
        ]
        before = self.old[table.id, column.name]
        old, column.name = column.name, self.random.choice(names)
        self.drawn.columns[before] = column.name
        (schema, name), _ = before
        spelled = f"{quoted(schema)}.{quoted(name)}" if schema else quoted(name)
        self.drawn.renames.append(f"{spelled}.{quoted(old)}:{quoted(column.name)}")
        return f"rename column {table.name}.{old} to {column.name}"

    def uses(self, models: Models, table: Table, column: Column) -> bool:
        """Whether something else of the models speaks of the column."""
        return (
            any(column.name in one.columns for one in (*table.constraints, *table.indexes))
            or any(one.extra and quoted(column.name) in one.extra for one in table.columns)
            or any(of == table.id and f"SELECT {quoted(column.name)} " in query for of, query in models.views.values())
        )  # fmt: skip

    def c_type(self, models: Models) -> str | None:
        found = self.pick(models)
        if found is None or found[1].kind not in CHANGES:
            return None
        table, column = found
        if any(one.target for one in table.constraints if column.name in one.columns):
            return None
        if any(
            one.target == table.id and column.name in one.target_columns
            for other in models.tables
            for one in other.constraints
        ):
            return None
        new, effect = self.random.choice(CHANGES[column.kind])
        if KINDS[new].family != KINDS[column.kind].family and self.uses(models, table, column):
            return None
        if any(column.name in one.columns and ("ops" in one.source) for one in table.indexes):
            return None
        old = column.kind
        if effect != KEEPS:
            self.drawn.failing = True
            self.drawn.lossy.add(self.old[table.id, column.name])
        column.kind, column.of, column.values = new, KINDS[new].of, KINDS[new].values
        if column.default and KINDS[new].family != KINDS[old].family:
            column.default = None
        return f"type of {table.name}.{column.name}: {old} to {new}"

    def c_serial_type(self, models: Models) -> str | None:
        """Let a key grow, and what refers to it."""
        found = [
            one
            for one in models.tables
            if one.id in self.drawn.tables.values()
            and one.columns[0].primary_key
            and one.columns[0].kind == "int"
            and ("id", one.id) not in self.touched
        ]
        if not found:
            return None
        table = self.random.choice(found)
        key = table.columns[0]
        self.touched.add(("id", table.id))
        key.kind, key.of, key.values = "bigint", "sa.BigInteger", KINDS["bigint"].values
        if self.chance(0.6):
            for other in models.tables:
                for part in other.constraints:
                    if part.target == table.id:
                        column = other.column(part.columns[0])
                        column.kind, column.of = "bigint", "sa.BigInteger"
        return f"key of {table.name} becomes bigint"

    def c_nullable(self, models: Models) -> str | None:
        found = self.pick(models)
        if found is None:
            return None
        table, column = found
        column.nullable = not column.nullable
        if not column.nullable:
            self.drawn.failing = True
        return f"{table.name}.{column.name} {'NULL' if column.nullable else 'NOT NULL'}"

    def c_default(self, models: Models) -> str | None:
        found = self.pick(models)
        if found is None or found[1].kind not in KINDS or not KINDS[found[1].kind].defaults:
            return None
        table, column = found
        old = column.default
        choices = [one for one in (*KINDS[column.kind].defaults, None) if one != old]
        column.default = self.random.choice(choices)
        return f"default of {table.name}.{column.name}: {old} to {column.default}"

    def c_comment(self, models: Models) -> str | None:
        table = self.random.choice(models.tables)
        thing = self.random.choice((table, *self.usable(table)))
        choices = [one for one in (*COMMENTS, None) if one != thing.comment]
        thing.comment = self.random.choice(choices)
        return f"comment of {table.name}.{thing.name}"

    def c_add_part(self, models: Models) -> str | None:
        table = self.random.choice(models.tables)
        told = self.add_part(models, table)
        if told and ("unique" in told or "exclude" in told):
            self.drawn.failing = True
        return told and f"add {told} to {table.name}"

    def parts(self, models: Models) -> list[tuple[Table, list[Part], Part]]:
        return [
            (table, parts, part)
            for table in models.tables
            for parts in (table.constraints, table.indexes)
            for part in parts
            if table.id in self.drawn.tables.values()
        ]

    def c_drop_part(self, models: Models) -> str | None:
        found = self.parts(models)
        if not found:
            return None
        table, parts, part = self.random.choice(found)
        parts.remove(part)
        return f"drop {part.key} of {table.name}"

    def c_change_part(self, models: Models) -> str | None:
        found = self.parts(models)
        if not found:
            return None
        table, _, part = self.random.choice(found)
        if part.target:
            choices = [
                one
                for one in (
                    "",
                    ", ondelete='CASCADE'",
                    ", ondelete='RESTRICT'",
                    ", deferrable=True",
                )
                if one != part.options
            ]
            part.options = self.random.choice(choices)
            return f"foreign key {part.key} becomes {part.options}"
        if "sa.CheckConstraint" in part.source and ", name=" in part.source:
            column = table.column(part.columns[0])
            if column.kind not in KINDS or not KINDS[column.kind].checks:
                return None
            text = f"{quoted(column.name)} IS NULL OR {quoted(column.name)} IS NOT NULL"
            part.source = (
                f"sa.CheckConstraint({text!r}" + part.source[part.source.rindex(", name=") :]
            )
            return f"check {part.key} becomes {text}"
        if (
            part in table.indexes
            and "postgresql_where" not in part.source
            and "gin" not in part.source
        ):
            c = f"TABLE.c[{part.columns[0]!r}]"
            part.source = part.source[:-1] + f", postgresql_where={c}.is_not(None))"
            return f"index {part.key} becomes partial"
        return None

    def c_enum(self, models: Models) -> str | None:
        if not models.enums:
            if self.chance(0.5):
                return None
            models.enums["fresh"] = tuple(self.random.sample(LABELS, 2))
            table = self.random.choice(models.tables)
            if any(one.name == "mood" for one in table.columns):
                return None
            table.columns.append(self.enum_column(models, "mood", "fresh"))
            return f"add enum fresh, column {table.name}.mood"
        name = self.random.choice(list(models.enums))
        if ("enum", name) in self.touched:
            return None
        self.touched.add(("enum", name))
        labels = list(models.enums[name])
        what = self.random.choice(("end", "middle", "two", "remove"))
        free = [one for one in LABELS if one not in labels]
        if what == "remove":
            used = {
                one.default
                for table in models.tables
                for one in table.columns
                if one.kind == f"enum:{name}"
            }
            free = [one for one in labels if repr(one) not in used]
            if len(labels) < 2 or not free:
                return None
            labels.remove(self.random.choice(free))
            self.drawn.failing = True
        elif what == "end":
            labels.append(self.random.choice(free))
        elif what == "two":
            labels += self.random.sample(free, 2)
        else:
            labels.insert(self.random.randrange(len(labels)), self.random.choice(free))
        models.enums[name] = tuple(labels)
        for table in models.tables:
            for one in table.columns:
                if one.kind == f"enum:{name}":
                    kept = [
                        v
                        for v in one.values
                        if any("'" + label.replace("'", "''") + "'" in v for label in labels)
                    ]
                    if len(kept) < 3:
                        literal = "'" + labels[0].replace("'", "''") + "'"
                        one.values = (
                            (literal,) * 3
                            if "ARRAY" not in one.of
                            else (f"ARRAY[{literal}]::{quoted(name)}[]",) * 3
                        )
        return f"enum {name}: {what} -> {labels}"

    def c_identity(self, models: Models) -> str | None:
        """Change where the numbers of a key come from."""
        found = [
            one
            for one in models.tables
            if one.id in self.drawn.tables.values()
            and one.columns[0].primary_key
            and one.columns[0].kind in ("int", "bigint")
            and ("id", one.id) not in self.touched
        ]
        if not found:
            return None
        table = self.random.choice(found)
        self.touched.add(("id", table.id))
        key = table.columns[0]
        options = (
            "sa.Identity()",
            "sa.Identity(always=True)",
            "sa.Identity(start=100)",
            "sa.Identity(increment=3, cache=2)",
            None,
        )
        key.extra = self.random.choice([one for one in options if one != key.extra])
        return f"key of {table.name} from {key.extra or 'a serial'}"

    def c_computed(self, models: Models) -> str | None:
        table = self.random.choice(models.tables)
        found = [
            one
            for one in table.columns
            if (one.extra or "").startswith("sa.Computed")
            and id(one) not in self.touched
            and (table.id, one.name) in self.old
        ]
        if found and self.chance(0.7):
            column = found[0]
            self.touched.add(id(column))
            assert column.extra is not None
            self.drawn.lossy.add(self.old[table.id, column.name])
            if self.chance(0.5):
                column.extra = column.extra.replace("% 10", "% 5").replace("lower(", "upper(")
                return f"computed {table.name}.{column.name} becomes {column.extra}"
            column.extra = None
            column.values = KINDS[column.kind].values
            return f"computed {table.name}.{column.name} becomes plain"
        name = self.add_computed(table)
        return name and f"add computed {table.name}.{name}"

    def c_sequence(self, models: Models) -> str | None:
        if "ticket" not in models.sequences:
            models.sequences["ticket"] = self.random.choice((", start=10", ""))
            return "add sequence ticket"
        if self.chance(0.5):
            del models.sequences["ticket"]
            return "drop sequence ticket"
        options = [
            one
            for one in (", increment=5", ", maxvalue=1000", "")
            if one != models.sequences["ticket"]
        ]
        models.sequences["ticket"] = self.random.choice(options)
        return f"sequence ticket becomes {models.sequences['ticket']}"

    def c_view(self, models: Models) -> str | None:
        if models.views and self.chance(0.5):
            name = self.random.choice(list(models.views))
            del models.views[name]
            return f"drop view {name}"
        return self.add_view(models)

    def c_convention(self, models: Models) -> str | None:
        if models.convention or self.chance(0.7):
            return None
        if any(
            "CheckConstraint" in one.source and "name=" not in one.source
            for table in models.tables
            for one in table.constraints
        ):
            return None
        models.convention = True
        return "add a naming convention"


def draw_pairs(seed: int, count: int, start: int = 0, major: int = 18) -> Iterator[Pair]:
    """Yield pairs that SQLAlchemy and PostgreSQL are to judge."""
    for number in range(start, start + count):
        yield draw_pair(seed, number, major)
