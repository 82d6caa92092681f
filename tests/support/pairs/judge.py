"""Run `create-migration` on a pair and look at what it wrote, without believing what it says.

What is written is run on a database that the first models made, with rows in it. It is right if the
schema is then what the second models make, every value is still there, a row can be added to each
table, and the way back leads to the first schema with the same values. Plain Alembic's own file is
judged likewise.
"""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
import sqlalchemy as sa
from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from alembic.operations import Operations
from psycopg2.extensions import connection as Connection

import db_ops
from db_ops.builds.scratch import ScratchDatabases
from db_ops.errors import DbOpsError
from db_ops.generation import is_left_by_downgrade
from db_ops.migrations.env.engine import connection_over
from db_ops.postgres.schema.compare import compare_schemas
from db_ops.postgres.schema.objects import Change, Schema
from db_ops.postgres.schema.reading import read_schema
from db_ops.results import MigrationCreated
from db_ops.settings import DatabaseUrl, Settings
from tests.conftest import with_database
from tests.support.pairs.draw import Pair
from tests.support.pairs.model import Models, Name, Table, qualified, quoted
from tests.support.project import make_project

RIGHT, SAID, WRONG, REFUSED, CRASH, INVALID, WORSE = (
    "right", "said", "silently wrong", "refused", "crash", "not a model", "needlessly refused",
)  # fmt: skip
INITIAL = """
import importlib.util
from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    spec = importlib.util.spec_from_file_location("before", Path(__file__).parents[2] / "before.py")
    before = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(before)
    for schema in {table.schema for table in before.metadata.tables.values()} - {None}:
        op.execute(f'CREATE SCHEMA "{schema}"')
    before.metadata.create_all(op.get_bind())


def downgrade():
    raise NotImplementedError
"""
ENV = """
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.modules.pop("models", None)
sys.dont_write_bytecode = True

from models import metadata
from db_ops import run_migrations

run_migrations(metadata)
"""
# What the rows themselves can forbid: a value too long, NULL, twice the same.
_OF_ROWS = ("22", "23")


@dataclass
class Answer:
    """What came of a pair: `outcome`, what was `said`, and what `wrong` things were found."""

    pair: Pair
    outcome: str
    said: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    seconds: float = 0.0
    source: str = ""
    alembic: str = ""
    alembic_wrong: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """A short text that failures of one kind share."""
        text = (self.wrong or self.said or ("",))[0]
        return text.partition(" | ")[0]


@dataclass
class Bench:
    """Judges pairs on the server at *url*, in a project at *root*."""

    url: str
    root: Path
    prefix: str = "pairs"
    compare_with_alembic: bool = False
    verify: bool = False
    is_template_used: bool = True
    major: int = field(init=False)
    template: Any = field(init=False)

    def __post_init__(self) -> None:
        self.project = make_project(self.root, with_database(self.url, f"{self.prefix}_d"))
        (self.root / "alembic" / "env.py").write_text(ENV)
        (self.root / "alembic" / "versions" / "0001.py").write_text(INITIAL)
        self.control = self.connect("postgres")
        self.control.autocommit = True
        self.major = self.control.info.server_version // 10000
        self.settings = Settings(
            self.root / "alembic.ini",
            DatabaseUrl.parse(with_database(self.url, f"{self.prefix}_d")),
            records=False,
        )
        # It would be made by another interpreter, which takes longer than all the rest.
        self.template = vars(ScratchDatabases)["_template"]
        ScratchDatabases._template = property(  # type: ignore[assignment]
            lambda _: (
                (f"{self.prefix}_t", {}, False) if self.is_template_used else (None, None, False)
            )
        )

    def close(self) -> None:
        ScratchDatabases._template = self.template  # type: ignore[method-assign]
        for name in ("a", "b", "d", "e", "t"):
            self.drop(name)
        self.control.close()

    def connect(self, database: str) -> Connection:
        url = with_database(self.url, database)
        connection = psycopg2.connect(**DatabaseUrl.parse(url).parameters)
        connection.autocommit = True
        return connection

    def execute(self, statement: str) -> None:
        with self.control.cursor() as cursor:
            cursor.execute(statement)

    def drop(self, name: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {self.prefix}_{name} WITH (FORCE)")

    @contextmanager
    def database(self, name: str, template: str | None = None) -> Iterator[Connection]:
        self.drop(name)
        copy = f" TEMPLATE {self.prefix}_{template}" if template else ""
        quick = " STRATEGY FILE_COPY" if self.major >= 15 else ""
        self.execute(f"CREATE DATABASE {self.prefix}_{name}{copy}{quick}")
        with closing(self.connect(f"{self.prefix}_{name}")) as connection:
            yield connection

    def judge(self, pair: Pair) -> Answer:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._judge(pair)

    def _judge(self, pair: Pair) -> Answer:
        try:
            with self.database("b") as connection:
                build(connection, pair.after)
                wanted = read_schema(connection)
            with self.database("t") as connection:
                build(connection, pair.before)
                base = read_schema(connection)
                with connection.cursor() as cursor:
                    cursor.execute(
                        "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);"
                        "INSERT INTO alembic_version VALUES ('0001')"
                    )
            with self.database("a", "t") as connection:
                problems = fill(connection, pair.before)
        except (psycopg2.Error, sa.exc.SQLAlchemyError) as error:
            return Answer(pair, INVALID, said=(str(error).splitlines()[0],))
        answer = self._written(pair, base, wanted)
        answer.notes += tuple(problems)
        if self.compare_with_alembic:
            answer.alembic, answer.alembic_wrong = self._alembic(pair, base, wanted)
        return answer

    def _written(self, pair: Pair, base: Schema, wanted: Schema) -> Answer:
        for path in (self.root / "alembic" / "versions").glob("*.py"):
            if path.name != "0001.py":
                path.unlink()
        (self.root / "before.py").write_text(pair.before.source())
        (self.root / "models.py").write_text(pair.after.source())
        started = time.perf_counter()
        path = list(sys.path)
        try:
            created = db_ops.create_migration(
                self.settings, "change", rename=tuple(pair.renames), no_rename=True
            )
        except DbOpsError as error:
            return Answer(pair, REFUSED, said=(f"{type(error).__name__}: {error.message}",))
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            place = next((f for f in reversed(frames) if "db_ops" in f.filename), frames[-1])
            told = f"{type(error).__name__} in {Path(place.filename).name} | {error}"
            return Answer(pair, CRASH, said=(told,))
        finally:
            sys.path[:] = path
        seconds = time.perf_counter() - started
        said = (
            *(f"TODO {one}" for one in created.todos),
            *(f"not proven {one}" for one in created.unproven),
            *(f"unchecked {one}" for one in created.unchecked if created.partial),
        )
        if created.revision is None:
            left = differences(wanted, base)
            wrong = tuple(f"no file, and differs | {one}" for one in left)
            outcome = WRONG if wrong else SAID if said else RIGHT
            return Answer(pair, outcome, said, wrong, seconds)
        source = (self.root / created.revision.path).read_text()
        module: dict[str, Any] = {}
        exec(compile(source, "revision", "exec"), module)
        wrong = self._tried(pair, base, wanted, module, created)
        said += tuple(
            f"refuses rows needlessly {one}"
            for one in created.refusals
            if not (pair.failing or one.startswith("downgrade")) and " rows: " in one
        )
        outcome = SAID if said else WRONG if wrong else RIGHT
        return Answer(pair, outcome, said, tuple(wrong), seconds, source, notes=created.unchecked)

    def _tried(
        self,
        pair: Pair,
        base: Schema,
        wanted: Schema,
        module: dict[str, Any],
        created: MigrationCreated | None,
    ) -> list[str]:
        """Run the file on a copy with rows, or without where they forbid it; return what is wrong.

        Of plain Alembic, which announces nothing, no announcement is expected.
        """
        for empty in (False, True):
            with self.database("d", "a") as connection:
                if empty:
                    truncate(connection, pair.before)
                before = rows(connection, pair.before)
                reason = run(connection, module["upgrade"])
                if reason is None:
                    wrong = [
                        f"after upgrade: {one}"
                        for one in differences(wanted, read_schema(connection))
                    ]
                    wrong += compare_rows(connection, pair, before, forth=True)
                    if not empty and not wrong:
                        wrong += insert(connection, pair.after)
                    if self.verify and created is not None and not wrong:
                        wrong += [f"verify: {one}" for one in self._verify()]
                    back = self._back(connection, pair, base, module, created, before)
                    return [*wrong, *back]
                # What the rows forbid is refused; without them it has to work.
                if not (pair.failing and _is_announced(reason[0], "upgrade", created)):
                    break
        return [f"upgrade fails: {reason[0]} {reason[1].splitlines()[0]} | {reason[1]}"]

    def _back(
        self,
        connection: Connection,
        pair: Pair,
        base: Schema,
        module: dict[str, Any],
        created: MigrationCreated | None,
        before: Rows,
    ) -> list[str]:
        reason = run(connection, module["downgrade"])
        if reason and _is_announced(reason[0], "downgrade", created):
            return []
        if reason:
            return [f"downgrade fails: {reason[0]} {reason[1].splitlines()[0]} | {reason[1]}"]
        left = [
            f"after downgrade: {described(one)}"
            for one in compare_schemas(base, read_schema(connection))
            if not is_left_by_downgrade(one)
        ]
        return left or (
            compare_rows(connection, pair, before, forth=False) + insert(connection, pair.before)
        )

    def _verify(self) -> list[str]:
        path = list(sys.path)
        with closing(self.connect(f"{self.prefix}_d")) as connection, connection.cursor() as cursor:
            new = next(
                one
                for one in (self.root / "alembic" / "versions").glob("*.py")
                if one.name != "0001.py"
            )
            revision = next(
                line.split('"')[1]
                for line in new.read_text().splitlines()
                if line.startswith("revision")
            )
            cursor.execute("UPDATE alembic_version SET version_num = %s", (revision,))
        try:
            self.is_template_used = False
            verified = db_ops.verify(self.settings)
        except DbOpsError as error:
            return [f"{type(error).__name__} | {error.message}"]
        finally:
            self.is_template_used = True
            sys.path[:] = path
        return [*map(str, verified.differences), *verified.unchecked]

    def _alembic(self, pair: Pair, base: Schema, wanted: Schema) -> tuple[str, tuple[str, ...]]:
        """Judge what the plain command writes, with its options to compare types and defaults."""
        metadata = metadata_of(pair.after)
        try:
            with self.database("e", "a") as connection, connection_over(connection) as opened:
                context = MigrationContext.configure(
                    opened,
                    opts={
                        "target_metadata": metadata, "compare_type": True,
                        "compare_server_default": True, "include_schemas": True,
                        "alembic_module_prefix": "op.", "sqlalchemy_module_prefix": "sa.",
                        "user_module_prefix": None,
                    },
                )  # fmt: skip
                script = produce_migrations(context, metadata)
                imports: set[str] = set()
                up = _rendered(script.upgrade_ops, context, metadata, imports)
                down = _rendered(script.downgrade_ops, context, metadata, imports)
            source = (
                "import sqlalchemy as sa\nfrom alembic import op\nfrom sqlalchemy.dialects import postgresql\n"
                + "\n".join(imports)
            )
            module: dict[str, Any] = {}
            exec(f"{source}\n\ndef upgrade():\n    {up}\n\ndef downgrade():\n    {down}\n", module)
        except Exception as error:
            return CRASH, (f"{type(error).__name__} | {str(error)[:200]}",)
        wrong = self._tried(pair, base, wanted, module, None)
        return (WRONG, tuple(wrong)) if wrong else (RIGHT, ())


def _is_announced(state: str, direction: str, created: MigrationCreated | None) -> bool:
    """Tell whether it was said that the server would refuse the rows."""
    if state[:2] not in _OF_ROWS:
        return False
    return created is None or any(one.startswith(direction) for one in created.refusals)


def _rendered(ops: Any, context: MigrationContext, metadata: sa.MetaData, imports: set[str]) -> str:
    from alembic.autogenerate import render
    from alembic.autogenerate.api import AutogenContext

    opened = AutogenContext(context, metadata, opts={**context.opts}, autogenerate=False)
    opened.imports.update(imports)
    text = "\n    ".join(render._render_cmd_body(ops, opened).splitlines())
    imports.update(opened.imports)
    return text or "pass"


def metadata_of(models: Models) -> sa.MetaData:
    module: dict[str, Any] = {}
    exec(models.source(), module)
    found = module["metadata"]
    assert isinstance(found, sa.MetaData)
    return found


def build(connection: Connection, models: Models) -> None:
    """Do what `create_all` does."""
    metadata = metadata_of(models)
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        for schema in sorted({one.schema for one in models.tables if one.schema}):
            cursor.execute(f"CREATE SCHEMA {quoted(schema)}")
    with connection_over(connection) as opened:
        metadata.create_all(opened)
        opened.commit()
    connection.autocommit = True


def run(connection: Connection, function: Any) -> tuple[str, str] | None:
    """Run a revision's function in one transaction; return the SQLSTATE and the reason if it fails."""
    try:
        with connection_over(connection) as opened:
            context = MigrationContext.configure(opened)
            with Operations.context(context), context.begin_transaction(_per_migration=False):
                function()
            opened.commit()
    except (sa.exc.DBAPIError, psycopg2.Error) as error:
        original = getattr(error, "orig", error)
        return getattr(original, "pgcode", "") or "", str(original).strip()
    except Exception as error:
        return "python", f"{type(error).__name__}: {error}"
    finally:
        with contextlib.suppress(psycopg2.Error):
            connection.rollback()
        connection.autocommit = True
    return None


def expressible(change: Change) -> bool:
    from db_ops.verification.model_scope import is_expressible_in_models

    if change.kind == "schema":
        # Nobody says that one is to go with its last table.
        return change.actual is None
    if change.kind == "view":
        # One that no event of the models makes may be a revision's own, and stays.
        return change.expected is not None
    return is_expressible_in_models(change)


def differences(wanted: Schema, found: Schema) -> list[str]:
    return [described(one) for one in compare_schemas(wanted, found) if expressible(one)]


def described(change: Change) -> str:
    what = change.attribute or ("missing" if change.actual is None else "extra")
    return f"{change.kind} {what} | {change.name}: {change.actual!r} instead of {change.expected!r}"


def ordered(models: Models) -> list[Table]:
    """Return the tables so that one comes after those that it needs."""
    found: list[Table] = []
    left = list(models.tables)
    while left:
        free = [
            table
            for table in left
            if not any(
                part.target
                and part.target != table.id
                and any(one.id == part.target for one in left)
                for part in table.constraints
            )
        ]
        for table in free or left[:1]:
            found.append(table)
            left.remove(table)
    return found


def fill(connection: Connection, models: Models) -> list[str]:
    """Insert the values at the edges, three rows a table; return what the server refused."""
    problems = []
    for table in ordered(models):
        columns = [one for one in table.columns if not one.is_filled]
        for row in range(3):
            values = [
                "NULL" if one.nullable and row == 2 else one.values[row % len(one.values)]
                for one in columns
            ]
            for part in table.constraints:
                if part.target and row < 2:
                    names = [one.name for one in columns]
                    where = names.index(part.columns[0])
                    values[where] = (
                        f"(SELECT {quoted(part.target_columns[0])} FROM {qualified(part.target)}"
                        f" ORDER BY 1 LIMIT 1)"
                    )
            reason = _insert(connection, table, [one.name for one in columns], values)
            if reason:
                problems.append(f"{table.name}: {reason}")
    return problems


def _insert(
    connection: Connection, table: Table, names: list[str], values: list[str]
) -> str | None:
    spelled = ", ".join(map(quoted, names))
    what = f"({spelled}) VALUES ({', '.join(values)})" if names else "DEFAULT VALUES"
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {qualified(table.id)} {what}")
    except psycopg2.Error as error:
        return f"{error.pgcode} {str(error).splitlines()[0]}"
    return None


def insert(connection: Connection, models: Models) -> list[str]:
    """Add a row to each table that numbers its rows, three times: no number may come twice."""
    wrong = []
    for table in models.tables:
        keys = [one for one in table.columns if one.primary_key and one.is_filled]
        if not keys:
            continue
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_get_serial_sequence(%s, %s)", (qualified(table.id), keys[0].name)
            )
            (sequence,) = cursor.fetchone()
            if sequence is None:
                wrong.append(f"no sequence | of {table.name}.{keys[0].name}")
                continue
            cursor.execute(
                f"SELECT coalesce(max({quoted(keys[0].name)}), 0), nextval(%s) FROM {qualified(table.id)}",
                (sequence,),
            )
            highest, drawn = cursor.fetchone()
            if drawn <= highest:
                wrong.append(f"sequence behind its column | {table.name}: {drawn} of {highest}")
    return wrong


def truncate(connection: Connection, models: Models) -> None:
    with connection.cursor() as cursor:
        for table in models.tables:
            cursor.execute(f"TRUNCATE {qualified(table.id)} CASCADE")


Rows = dict[Name, list[dict[str, str | None]]]


def rows(connection: Connection, models: Models) -> Rows:
    """Return the rows of each table as text."""
    found: Rows = {}
    with connection.cursor() as cursor:
        cursor.execute("SET timezone = 'UTC'; SET extra_float_digits = 1; SET bytea_output = 'hex'")
        for table in models.tables:
            columns = [
                one.name for one in table.columns if not (one.extra or "").startswith("sa.Computed")
            ]
            texts = ", ".join(f"{quoted(one)}::text" for one in columns) or "NULL"
            cursor.execute(f"SELECT {texts} FROM {qualified(table.id)} ORDER BY ctid")
            found[table.id] = [dict(zip(columns, row, strict=False)) for row in cursor.fetchall()]
    return found


def compare_rows(connection: Connection, pair: Pair, before: Rows, *, forth: bool) -> list[str]:
    """Name the columns whose values are others than before."""
    wrong = []
    with connection.cursor() as cursor:
        cursor.execute("SET timezone = 'UTC'")
        for old, kept in before.items():
            if old not in pair.tables:
                continue
            table = pair.tables[old] if forth else old
            try:
                cursor.execute(f"SELECT count(*) FROM {qualified(table)}")
            except psycopg2.Error as error:
                wrong.append(f"table gone | {table}: {error}")
                continue
            (count,) = cursor.fetchone()
            if count != len(kept):
                wrong.append(
                    f"rows gone {'forth' if forth else 'back'} | {table}: {count} of {len(kept)}"
                )
                continue
            for column in kept[0] if kept else ():
                if (old, column) not in pair.columns or (old, column) in pair.lossy:
                    continue
                now = pair.columns[old, column] if forth else column
                if forth:
                    after_table = next(one for one in pair.after.tables if one.id == table)
                    if (after_table.column(now).extra or "").startswith("sa.Computed"):
                        continue
                kind = pair.before.table(old).column(column)
                with connection.cursor() as typed:
                    typed.execute(
                        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s",
                        (qualified(table), now),
                    )
                    found = typed.fetchone()
                if found is None:
                    wrong.append(f"column gone {'forth' if forth else 'back'} | {table}.{now}")
                    continue
                cursor.execute(f"SELECT {quoted(now)}::text FROM {qualified(table)} ORDER BY ctid")
                values = [one for (one,) in cursor.fetchall()]
                expected = [row[column] for row in kept]
                if not _same(cursor, kind.kind, expected, values):
                    wrong.append(
                        f"values changed {'forth' if forth else 'back'} ({kind.kind}) | {table}.{now}:"
                        f" {values} instead of {expected}"[:400]
                    )
    return wrong


_CAST = {
    "int": "bigint", "smallint": "bigint", "bigint": "numeric", "numeric": "numeric",
    "numeric(10,2)": "numeric", "numeric(12,4)": "numeric", "float": "float8", "real": "float8",
    "bool": "bool", "date": "timestamptz", "timestamp": "timestamptz", "timestamptz": "timestamptz",
    "timestamp3": "timestamptz", "json": "jsonb", "jsonb": "jsonb", "time": "interval",
    "uuid": "uuid", "inet": "inet",
}  # fmt: skip


def _same(cursor: Any, kind: str, expected: list[str | None], values: list[str | None]) -> bool:
    if Counter(expected) == Counter(values):
        return True
    cast = _CAST.get(kind)
    if cast is None:
        return False
    back = {"bool": {"1": "t", "0": "f"}}.get(kind, {})
    values = [back.get(one, one) if one is not None else None for one in values]
    try:
        cursor.execute(
            f"SELECT array_agg(a::{cast} ORDER BY n) IS NOT DISTINCT FROM array_agg(b::{cast} ORDER BY n)"
            " FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS r(a, b, n)",
            (expected, values),
        )
    except psycopg2.Error:
        return False
    return bool(cursor.fetchone()[0])
