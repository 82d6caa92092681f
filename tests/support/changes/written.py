"""Feed each change of the corpus that models can say to `create-migration`: what comes out?

Run as `python -m tests.support.changes.written [CHANGE ...]` with DB_OPS_TEST_BINARIES for another
PostgreSQL.
The models are as good as models can be: their schema is that of the changed database, and Alembic
gets what it reflects from there. A change is complete if what was written leads from the unchanged
database to the changed one and back; a TODO if all that is left over is named; else missed.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass

import psycopg2
import sqlalchemy as sa
from alembic.autogenerate import produce_migrations
from alembic.autogenerate.api import AutogenContext
from alembic.runtime.migration import MigrationContext
from psycopg2.extensions import connection as Connection

from db_ops.errors import RenameUndecided
from db_ops.generation import (
    RevisionPlan,
    RevisionPlanner,
    RevisionStatement,
    describe_change,
    is_left_by_downgrade,
    refuse_undecided,
    relevant_changes,
    requested_renames,
)
from db_ops.migrations.autogenerate.comparison import (
    comparison_options,
    make_default_comparison_safe,
)
from db_ops.migrations.autogenerate.draft import Draft
from db_ops.migrations.autogenerate.rendering import Renderer
from db_ops.migrations.env.diagnostics import reason_of
from db_ops.migrations.env.engine import connection_over
from db_ops.postgres.schema.compare import compare_schemas
from db_ops.postgres.schema.dependents import Dependents, read_dependents, read_sequences
from db_ops.postgres.schema.objects import Change, Schema
from db_ops.postgres.schema.reading import read_schema
from db_ops.settings import DatabaseUrl
from db_ops.verification.model_scope import is_expressible_in_models
from tests.conftest import with_database
from tests.support.changes import BASE, CASES, Case
from tests.support.cluster import Cluster
from tests.support.project import query

COMPLETE, TODO, MISSED = "complete", "TODO", "missed"
# What the environment of every project is configured with.
_PREFIXES = {
    "alembic_module_prefix": "op.",
    "sqlalchemy_module_prefix": "sa.",
    "user_module_prefix": None,
}


@dataclass(frozen=True)
class Answer:
    """What came of one change; `asked` if it looked like a rename, `said` is what was left."""

    case: Case
    outcome: str
    asked: bool = False
    said: tuple[str, ...] = ()


class Written:
    """Judges changes on the server at *url*; a context manager that leaves no database there."""

    def __init__(self, url: str, prefix: str = "corpus") -> None:
        self.url, self.prefix = url, prefix

    def __enter__(self) -> Written:
        query(self.url, f"DROP DATABASE IF EXISTS {self.prefix}_base")
        query(self.url, f"CREATE DATABASE {self.prefix}_base")
        query(with_database(self.url, f"{self.prefix}_base"), BASE)
        with closing(psycopg2.connect(**self._parameters(f"{self.prefix}_base"))) as connection:
            self.base = read_schema(connection)
        return self

    def __exit__(self, *error: object) -> None:
        query(self.url, f"DROP DATABASE {self.prefix}_base")

    def judge(self, case: Case) -> Answer:
        """Write *case* and try it."""
        with self._copy("changed") as changed, self._copy("work") as work:
            with changed.cursor() as cursor:
                cursor.execute(case.sql)
            models, metadata = read_schema(changed), _reflected(changed)
            session = _Bench(work, metadata)
            renames: tuple[str, ...] = ()
            try:
                refuse_undecided(models, self.base, "x", counts)
            except RenameUndecided as undecided:
                renames = undecided.flags[:1]
            planner = RevisionPlanner(models, session, session.make_draft, counts)
            plan = planner.plan(requested_renames(models, self.base, renames), lambda renamed: None)
        outcome, said = self._tried(plan, session, models)
        return Answer(case, outcome, bool(renames), said)

    def _tried(
        self, plan: RevisionPlan, drafted: _Bench, models: Schema
    ) -> tuple[str, tuple[str, ...]]:
        with self._copy("trial") as trial:
            session = _Bench(trial, drafted.metadata, drafted.draft)
            said = [reason for statement in plan.upgrade if (reason := session.run_text(statement))]
            left = {
                describe_change(change)
                for change in relevant_changes(models, session.read(), counts)
            }
            said += [text for text in left if not any(todo.startswith(text) for todo in plan.todos)]
            said += [
                reason for statement in plan.downgrade if (reason := session.run_text(statement))
            ]
            back = [
                describe_change(change)
                for change in compare_schemas(self.base, session.read())
                if not is_left_by_downgrade(change)
            ]
            said += [text for text in back if f"not reverted: {text}" not in plan.todos]
        named = plan.todos
        if said:
            return MISSED, tuple(said)
        return (TODO, named) if named else (COMPLETE, ())

    @contextmanager
    def _copy(self, name: str) -> Iterator[Connection]:
        name = f"{self.prefix}_{name}"
        query(self.url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        query(self.url, f"CREATE DATABASE {name} TEMPLATE {self.prefix}_base")
        try:
            with closing(psycopg2.connect(**self._parameters(name))) as connection:
                connection.autocommit = True
                yield connection
        finally:
            query(self.url, f"DROP DATABASE {name} WITH (FORCE)")

    def _parameters(self, database: str) -> dict[str, str]:
        return dict(DatabaseUrl.parse(with_database(self.url, database)).parameters)


class _Bench:
    def __init__(
        self, connection: Connection, metadata: sa.MetaData, draft: Draft | None = None
    ) -> None:
        self.connection, self.metadata, self.draft = connection, metadata, draft

    def read(self, *, grants: bool = False) -> Schema:
        return read_schema(self.connection, grants=grants)

    def dependents(self, columns: Collection[str]) -> Dependents:
        return read_dependents(self.connection, columns)

    def sequences(self) -> Mapping[str, str]:
        return read_sequences(self.connection)

    def run(
        self, statement: RevisionStatement, settles: Callable[[Schema], bool] | None = None
    ) -> str | None:
        def is_kept() -> bool:
            return settles is None or settles(self.read())

        if statement.sql is None:
            assert self.draft is not None
            return self._execute(self.draft, statement.code, is_kept)
        self.connection.autocommit = settles is None
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(statement.sql or "SELECT 1")
            if not is_kept():
                return "it settles nothing"
            self.connection.commit()
        except psycopg2.Error as error:
            return str(error.diag.message_primary)
        finally:
            self.connection.rollback()
            self.connection.autocommit = True
        return None

    def run_text(self, statement: RevisionStatement) -> str | None:
        """Run *statement* as it stands in the file, where it needs no transaction of its own."""
        if statement.code.startswith(("#", "with ")):
            return self.run(statement)
        assert self.draft is not None
        return self._execute(self.draft, statement.code, lambda: True)

    def _execute(self, draft: Draft, code: str, is_kept: Callable[[], bool]) -> str | None:
        try:
            with connection_over(self.connection) as connection:
                draft.execute(connection, code)
                if not is_kept():
                    return "it settles nothing"
                connection.commit()
        except Exception as error:
            return reason_of(error)
        finally:
            self.connection.rollback()
            self.connection.autocommit = True
        return None

    def make_draft(self) -> Draft:
        with connection_over(self.connection) as connection:
            options = comparison_options(self.metadata)
            context = MigrationContext.configure(
                connection, opts={**_PREFIXES, **options, "target_metadata": self.metadata}
            )
            make_default_comparison_safe(context)
            script = produce_migrations(context, self.metadata)
            renderer = Renderer(
                AutogenContext(context, self.metadata, autogenerate=False), "public"
            )
        self.connection.rollback()
        self.connection.autocommit = True
        self.draft = Draft(None, script, renderer)  # type: ignore[arg-type]  # it writes no file
        return self.draft


def counts(change: Change) -> bool:
    """Tell whether models can say *change*."""
    return is_expressible_in_models(change)


def cases(major: int) -> list[Case]:
    """Return the changes that models can say, and this version of the server knows."""
    return [
        case
        for case in CASES
        if case.in_models and not (case.silenced or case.alone or case.since > major)
    ]


def _reflected(connection: Connection) -> sa.MetaData:
    metadata = sa.MetaData()
    with connection_over(connection) as opened:
        for schema in sa.inspect(opened).get_schema_names():
            if schema not in ("public", "information_schema"):
                metadata.reflect(opened, schema=schema)
        metadata.reflect(opened)
    connection.rollback()
    connection.autocommit = True
    return metadata


def main() -> None:
    """Start a server, judge every change on it, print a table and the sums."""
    warnings.simplefilter("ignore")
    cluster = Cluster()
    sums: Counter[str] = Counter()
    try:
        with Written(cluster.url) as written:
            print("| change | what comes out | |")
            print("|--|--|--|")
            for case in cases(written.base.major):
                if sys.argv[1:] and case.name not in sys.argv[1:]:
                    continue
                answer = written.judge(case)
                sums[answer.outcome] += 1
                sums["asked about a rename"] += answer.asked
                asked = ("asked whether it is a rename",) if answer.asked else ()
                print(f"| {case.name} | {answer.outcome} | {'; '.join((*asked, *answer.said))} |")
    finally:
        cluster.remove()
    print("\n".join(f"{name}: {number}" for name, number in sorted(sums.items())))


if __name__ == "__main__":
    main()
