"""A made-up history of a database: the same on every machine, as mixed as real ones are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256

# The arguments of a column for SQLAlchemy, and the field for Django.
_KINDS = (
    ("sa.Integer()", "models.IntegerField(null=True)"),
    ("sa.Text()", "models.TextField(null=True)"),
    (
        "sa.Boolean(), server_default=sa.false(), nullable=False",
        "models.BooleanField(db_default=False)",
    ),
    ("sa.DateTime(timezone=True)", "models.DateTimeField(null=True)"),
    (
        "sa.Numeric(12, 2)",
        "models.DecimalField(max_digits=12, decimal_places=2, null=True)",
    ),
)


@dataclass
class Table:
    """A table as the revisions so far have left it: for SQLAlchemy and for Django."""

    name: str
    columns: dict[str, str] = field(default_factory=dict)
    constraints: list[str] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    meta_constraints: list[str] = field(default_factory=list)
    meta_indexes: list[str] = field(default_factory=list)

    @property
    def model(self) -> str:
        return self.name.title().replace("_", "")


@dataclass(frozen=True)
class Revision:
    """One revision: the bodies of Alembic's functions, and Django's operations."""

    id: str
    down: str | None
    summary: str
    upgrade: tuple[str, ...]
    downgrade: tuple[str, ...]
    django: tuple[str, ...]


Change = tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]


class History:
    """A line of *revisions* that creates *tables* tables, evenly spread, and changes them between.

    In turn a column, an index, a reference, a check, data and a wider type come to each of them.
    """

    def __init__(self, revisions: int, tables: int) -> None:
        self.tables: list[Table] = []
        self.revisions: list[Revision] = []
        down = None
        for number, change in enumerate(self._changes(revisions, tables)):
            name = sha256(f"{revisions} {tables} {number}".encode()).hexdigest()[:12]
            self.revisions.append(Revision(name, down, *change))
            down = name

    def _changes(self, revisions: int, tables: int) -> Iterator[Change]:
        births = {number * revisions // tables for number in range(tables)}
        kinds = (_add_column, _add_index, _add_reference, _add_check, _change_data, _widen)
        turn = 0
        for number in range(revisions):
            if number in births:
                parent = self.tables[-1] if self.tables else None
                table = Table(f"table_{len(self.tables):04}")
                self.tables.append(table)
                yield _create(table, parent)
            else:
                table = self.tables[turn // len(kinds) % len(self.tables)]
                yield kinds[turn % len(kinds)](table, number)
                turn += 1


def _create(table: Table, parent: Table | None) -> Change:
    name = table.name
    table.columns = {
        "id": "sa.BigInteger(), sa.Identity(), primary_key=True",
        "name": "sa.String(200), nullable=False",
        "status": 'sa.String(20), server_default="new", nullable=False',
        "amount": "sa.Numeric(12, 2)",
        "created_at": "sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False",
    }
    table.fields = {
        "id": "models.BigAutoField(primary_key=True)",
        "name": "models.CharField(max_length=200)",
        "status": 'models.CharField(max_length=20, db_default="new")',
        "amount": _KINDS[4][1],
        "created_at": "models.DateTimeField(db_default=Now())",
    }
    table.constraints = ["""sa.CheckConstraint("status IN ('new', 'done')", name="status")"""]
    table.meta_constraints = [
        'models.CheckConstraint(condition=models.Q(status__in=["new", "done"]), '
        f'name="ck_{name}_status")'
    ]
    after: tuple[str, ...] = ()
    if parent is not None:
        _refer(table, "parent", parent.name)
        after = (f'op.create_index("ix_{name}_parent_id", "{name}", ["parent_id"])',)
    parts = [_column(item) for item in table.columns.items()]
    parts += [_named_for_operations(table, text) for text in table.constraints]
    lines = ", ".join(f"\n    {part}" for part in parts)
    return (
        f"create {name}",
        (f'op.create_table(\n    "{name}",{lines},\n)', *after),
        (f'op.drop_table("{name}")',),
        (_create_model(table),),
    )


def _add_column(table: Table, number: int) -> Change:
    name = f"column_{number}"
    table.columns[name], table.fields[name] = _KINDS[number % len(_KINDS)]
    return (
        f"add {name} to {table.name}",
        (f'op.add_column("{table.name}", {_column((name, table.columns[name]))})',),
        (f'op.drop_column("{table.name}", "{name}")',),
        (_add_field(table, name),),
    )


def _add_index(table: Table, number: int) -> Change:
    name, column = f"ix_{table.name}_{number}", list(table.fields)[-1]
    if "ForeignKey" in table.fields[column]:
        column = "amount"
    table.indexes.append(f'sa.Index("{name}", "{column}")')
    table.meta_indexes.append(f'models.Index(fields=["{column}"], name="{name}")')
    return (
        f"index {table.name} by {column}",
        (f'op.create_index("{name}", "{table.name}", ["{column}"])',),
        (f'op.drop_index("{name}", table_name="{table.name}")',),
        (f"migrations.AddIndex({table.model!r}, {table.meta_indexes[-1]})",),
    )


def _add_reference(table: Table, number: int) -> Change:
    name = f"reference_{number}"
    _refer(table, name, table.name)
    column = f"{name}_id"
    key = f"fk_{table.name}_{column}"
    return (
        f"let {table.name} refer to itself",
        (
            f'op.add_column("{table.name}", {_column((column, table.columns[column]))})',
            f'op.create_foreign_key("{key}", "{table.name}", "{table.name}", ["{column}"], ["id"], '
            'ondelete="SET NULL")',
            f'op.create_index("ix_{table.name}_{column}", "{table.name}", ["{column}"])',
        ),
        (f'op.drop_column("{table.name}", "{column}")',),
        (_add_field(table, name),),
    )


def _add_check(table: Table, number: int) -> Change:
    name = f"amount_{number}"
    full_name = f"ck_{table.name}_{name}"
    table.constraints.append(f'sa.CheckConstraint("amount >= -{number}", name="{name}")')
    table.meta_constraints.append(
        f'models.CheckConstraint(condition=models.Q(amount__gte=-{number}), name="{full_name}")'
    )
    return (
        f"check the amount in {table.name}",
        (
            f'op.create_check_constraint(op.f("{full_name}"), "{table.name}", '
            f'"amount >= -{number}")',
        ),
        (f'op.drop_constraint(op.f("{full_name}"), "{table.name}")',),
        (f"migrations.AddConstraint({table.model!r}, {table.meta_constraints[-1]})",),
    )


def _change_data(table: Table, number: int) -> Change:
    statement = f"UPDATE {table.name} SET name = 'revision {number}' WHERE id < 10"
    if number % 2:
        statement = (
            f"INSERT INTO {table.name} (name, amount)"
            f" SELECT 'row ' || g, g FROM generate_series(1, 20) AS g"
        )
    return (
        f"change the data of {table.name}",
        (f'op.execute("{statement}")',),
        ("pass",),
        (f'migrations.RunSQL("{statement}")',),
    )


def _widen(table: Table, number: int) -> Change:
    before = table.columns["name"].partition(",")[0]
    table.columns["name"] = f"sa.String({200 + number}), nullable=False"
    table.fields["name"] = f"models.CharField(max_length={200 + number})"
    change = f'op.alter_column("{table.name}", "name", type_={{}}, existing_type={{}})'
    after = f"sa.String({200 + number})"
    return (
        f"widen the name in {table.name}",
        (change.format(after, before),),
        (change.format(before, after),),
        (f'migrations.AlterField({table.model!r}, "name", {table.fields["name"]})',),
    )


def _refer(table: Table, name: str, to: str) -> None:
    """Add a reference to the table *to*, with an index on it, as Django makes one by itself."""
    column = f"{name}_id"
    table.columns[column] = "sa.BigInteger()"
    table.constraints.append(
        f'sa.ForeignKeyConstraint(["{column}"], ["{to}.id"], '
        f'name="fk_{table.name}_{column}", ondelete="SET NULL")'
    )
    table.indexes.append(f'sa.Index("ix_{table.name}_{column}", "{column}")')
    table.fields[name] = (
        f'models.ForeignKey("app.{to.title().replace("_", "")}", null=True, '
        'on_delete=models.SET_NULL, related_name="+")'
    )


def _column(item: tuple[str, str]) -> str:
    return f'sa.Column("{item[0]}", {item[1]})'


def _named_for_operations(table: Table, constraint: str) -> str:
    """Spell out the name that the models' naming convention gives to a check."""
    return constraint.replace('name="status"', f'name=op.f("ck_{table.name}_status")')


def _add_field(table: Table, name: str) -> str:
    return f'migrations.AddField({table.model!r}, "{name}", {table.fields[name]})'


def _create_model(table: Table) -> str:
    fields = ", ".join(f'("{name}", {text})' for name, text in table.fields.items())
    options = f'{{"db_table": "{table.name}", "constraints": [{table.meta_constraints[0]}]}}'
    return f"migrations.CreateModel({table.model!r}, fields=[{fields}], options={options})"
