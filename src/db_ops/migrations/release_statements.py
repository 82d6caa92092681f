"""Run what models of a release say to a database: SELECT, INSERT, UPDATE and DELETE of each table.

Each statement is compiled by SQLAlchemy with the types and defaults of the models, and runs in a
savepoint that is rolled back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from db_ops.migrations.autogenerate.models import metadatas
from db_ops.migrations.env.run_env import load_models
from db_ops.migrations.table_statements import OPERATIONS, TableRun, labels_of

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

    from db_ops.migrations.project import Project

# Schema, None for the default one, and name.
Name = tuple[str | None, str]
# In this order a statement is judged, and then its rows.
_STAGES = ("42", "22", "23502", "23514", "23505", "23503")


@dataclass(frozen=True)
class Columns:
    """The names of the columns of every table and view of a database."""

    of: Mapping[Name, frozenset[str]]

    @classmethod
    def decode(cls, plain: Iterable[tuple[str | None, str, list[str]]]) -> Columns:
        return cls({(schema, name): frozenset(columns) for schema, name, columns in plain})

    def __call__(self, table: Table) -> frozenset[str] | None:
        return self.of.get((table.schema, table.name))


def import_release_models(project: Project) -> Any:
    """Return what env.py of *project* gives as metadata; no revision is run, or imported."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(project.alembic_config())
    return load_models(project, scripts)[0]


@dataclass
class ReleaseStatements:
    """The tables of models, what they said to their own database, and a row of each to write."""

    metadata: Any
    samples: dict[Name, dict[str, Any]] = field(default_factory=dict)
    known: dict[Name, frozenset[str]] = field(default_factory=dict)
    count: int = 0
    _failed: dict[tuple[Name, str], dict[str, str]] = field(default_factory=dict)
    _types: dict[Name, dict[str, set[str]]] = field(default_factory=dict)

    @property
    def tables(self) -> list[Table]:
        found = {
            (table.schema, table.name): table
            for metadata in metadatas(self.metadata)
            for table in metadata.tables.values()
        }
        return list(found.values())

    def before(self, connection: Connection, columns: Columns) -> dict[str, Any]:
        """Run them on the schema of the release; return what is not there, and enums' labels."""
        unknown, enums = [], []
        for table in self.tables:
            name, there = _name(table), columns(table)
            if there is None:
                unknown.append(table.fullname)
                continue
            self.known[name] = frozenset(c.name for c in table.columns) & there
            unknown += [f"{table.fullname}.{c.name}" for c in table.columns if c.name not in there]
            run = TableRun(connection, _only(table, self.known[name]))
            self.samples[name] = run.choose_sample()
            self._types[name] = run.types
            for failure in run.all(self.samples[name]):
                self._failed[name, failure["variant"]] = failure
            self.count += run.count
            for column in table.columns:
                if labels := labels_of(column.type):
                    enums.append([*name, column.name, list(labels)])
        return {
            "tables": len(self.known),
            "known": [[*name, sorted(names)] for name, names in self.known.items()],
            "unknown": unknown,
            "enums": enums,
            "without_rows": [list(name) for name, row in self.samples.items() if not row],
        }

    def after(
        self,
        connection: Connection,
        columns: Columns,
        required: Mapping[Name, list[str]],
        lost: Mapping[Name, Mapping[str, list[str]]],
        added: Mapping[Name, list[str]],
    ) -> list[dict[str, Any]]:
        """Run them on another schema; return for each table what fails there alone.

        *required* are columns that were nullable, *lost* labels of enums that are gone, *added*
        new columns that have to be filled.
        """
        found = []
        for table in self.tables:
            name = _name(table)
            if name not in self.known:
                continue
            there = columns(table)
            gone = self.known[name] - (there or frozenset())
            said: dict[str, Any] = {
                "name": list(name),
                "gone": sorted(gone),
                "is_gone": there is None,
            }
            sample = self.samples[name]
            if gone:
                run = TableRun(connection, _only(table, self.known[name]))
                failed = {one["operation"] for one in run.all(sample)}
                said["operations"] = [one for one in OPERATIONS if one in failed]
                self.count += run.count
            if there is not None:
                run = TableRun(connection, _only(table, self.known[name] - gone))
                keys = [c.name for c in table.columns if c.primary_key or c.foreign_keys]
                sample = run.renewed(sample, keys, lost.get(name, {}))
                failures = list(run.all(sample))
                if any(one["column"] in added.get(name, ()) for one in failures):
                    # What else is wrong shows without that.
                    with run.without_not_null(added[name]):
                        failures += run.all(sample)
                        failures += run.nulls(sample, required.get(name, []))
                else:
                    failures += run.nulls(sample, required.get(name, []))
                failures += run.labels(sample, lost.get(name, {}))
                said["failures"] = [one for one in failures if self._is_new(name, one)]
                said["unreadable"] = run.unreadable
                said["types"] = {
                    column: [sorted(old), sorted(kinds)]
                    for column, kinds in run.types.items()
                    if (old := self._types[name].get(column)) and kinds - old
                }
                self.count += run.count
            found.append(said)
        return found

    def _is_new(self, name: Name, failure: Mapping[str, str]) -> bool:
        before = self._failed.get((name, failure["variant"]))
        if before is None:
            return True
        # What the server judges first was in order then.
        return _stage(failure["sqlstate"]) < _stage(before["sqlstate"])


def _name(table: Table) -> Name:
    return table.schema, table.name


def _only(table: Table, names: frozenset[str]) -> Table:
    """Return *table* with these columns alone: a default of another one would be sent as well."""
    if names >= {column.name for column in table.columns}:
        return table
    from sqlalchemy import MetaData, Table

    columns = [column._copy() for column in table.columns if column.name in names]
    return Table(table.name, MetaData(), *columns, schema=table.schema)


def _stage(sqlstate: str) -> int:
    found = (number for number, one in enumerate(_STAGES) if sqlstate.startswith(one))
    return next(found, len(_STAGES))
