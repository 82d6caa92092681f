"""A scratch database with the schema of the target, without its rows.

Where the migrations alone do not make that schema, nothing else has what the next one is to follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from db_ops.builds.built_schema import read_built_schema
from db_ops.builds.scratch import ScratchDatabases
from db_ops.errors import HistoryNotFromEmpty, MigrationFailed, NoScratchDatabase, StatementFailed
from db_ops.generation.change_text import describe_change
from db_ops.generation.ddl_candidates import ddl_candidates
from db_ops.generation.rename_steps import Rename
from db_ops.generation.renames import renamed_parts
from db_ops.migrations.env.stamp import stamp
from db_ops.postgres.catalog import major_version
from db_ops.postgres.schema.compare import compare_schemas
from db_ops.postgres.schema.dependencies import schema_and_extension_statements
from db_ops.postgres.schema.objects import Change, Schema
from db_ops.postgres.schema.sequence_options import OWN_SEQUENCE, SERIAL
from db_ops.target.migrating_session import set_read_only
from db_ops.target.target import Target
from db_ops.verification.drift import judge_drift
from db_ops.verification.model_scope import is_expressible_in_models

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_ROUNDS = 12


@dataclass
class RevisionBase:
    """The schema that a new revision is to follow: what the migrations make.

    Where they do not make it, it is that of the target, which has to be at head: `unchecked` says
    so, and it `is_unproven` unless the records tell that the target is as its head has left it.
    """

    scratch: ScratchDatabases
    unchecked: tuple[str, ...] = ()
    is_unproven: bool = False
    _wanted: Schema | None = None

    @property
    def is_copied(self) -> bool:
        """Whether that is the schema of the target, which the migrations alone do not make."""
        return self._wanted is not None

    @contextmanager
    def database(self) -> Iterator[Target]:
        """Make a scratch database with that schema, for a `with` block.

        Raises `NoScratchDatabase`, `HistoryNotFromEmpty`, and what migrations raise.
        """
        with ExitStack() as stack:
            if self._wanted is None:
                try:
                    work, origin = stack.enter_context(self.scratch.migrated_database())
                except HistoryNotFromEmpty as error:
                    self._wanted = self._of_target(error)
                else:
                    if origin.source != "bootstrap":
                        yield work
                        return
                    self._wanted = self._of_target(None)
        heads = self.scratch.target.graph.heads
        with copied_database(self.scratch, self._wanted, heads) as work:
            yield work

    def older_names(
        self, start: Schema, is_relevant: Callable[[Change], bool]
    ) -> tuple[Rename, ...]:
        """Return what databases from before the naming convention call otherwise than *start*.

        Nothing where the migrations rely on its names: no database can be from before it.
        """
        if self.is_copied:
            return ()
        try:
            with self.scratch.database_without_convention() as work:
                return tuple(renamed_parts(start, read_built_schema(work), is_relevant))
        except MigrationFailed:
            return ()

    def _of_target(self, error: HistoryNotFromEmpty | None) -> Schema:
        target = self.scratch.target
        why = f"{target.project.bootstrap} makes the schema of the head, without a revision"
        refusal = error or NoScratchDatabase(
            target.location, f"{why}, and the database is not at the head", "db-ops init"
        )
        with target.server.target_if_exists() as connection:
            if connection is None:
                raise refusal
            set_read_only(target, connection)
            found = target.recorded_state(connection)
            if set(found.revisions) != set(target.graph.heads):
                raise refusal
            drift = judge_drift(found, major_version(connection))
        unlike = "" if drift.state == "equal" else f"; {drift.reason or 'it was changed by hand'}"
        self.unchecked = (
            f"the migrations were left out, models were compared with {target.location}{unlike}: "
            f"{error.brief if error else why}",
        )
        self.is_unproven = drift.state != "equal"
        return read_built_schema(target)


@contextmanager
def copied_database(
    scratch: ScratchDatabases, wanted: Schema, revisions: tuple[str, ...]
) -> Iterator[Target]:
    """Make a database with the schema *wanted*, stamped with *revisions*, for a `with` block.

    What cannot be made is left out if models have no part in it. Raises `NoScratchDatabase`.
    """
    target = scratch.target
    with scratch.empty_database() as work:
        with work.server.target() as connection:
            left = _copy(work, connection, wanted)
        missing = [change for change in left if is_expressible_in_models(change)]
        if missing:
            raise NoScratchDatabase(
                target.location,
                f"the schema of the database cannot be copied: {describe_change(missing[0])}",
                'name what makes it: [tool.db_ops] bootstrap = "package.module:function"',
            )
        stamp(work.project, work, revisions)
        yield work


def _copy(work: Target, connection: Connection, wanted: Schema) -> tuple[Change, ...]:
    """Create what is in *wanted*, in rounds: one thing may have to wait for another."""

    def run(*statements: str) -> bool:
        try:
            with work.server.translate_errors("copying a schema"), connection.cursor() as cursor:
                cursor.execute(";\n".join(statements))
        except StatementFailed:
            return False
        return True

    run("SET check_function_bodies = off; SET synchronous_commit = off")
    for statement in schema_and_extension_statements(wanted):
        run(statement)
    for _ in range(_ROUNDS):
        here = read_built_schema(work)
        left = compare_schemas(wanted, here)
        if not [run(*one) for change in left for one in _candidates(change, wanted, here)].count(
            True
        ):
            break
    return compare_schemas(wanted, read_built_schema(work))


def _candidates(change: Change, wanted: Schema, here: Schema) -> Iterator[tuple[str, ...]]:
    if change.kind == "table" and change.attribute is None and change.actual is None:
        yield (_table(wanted, change.name),)
    else:
        yield from ddl_candidates(change, wanted, here)


def _table(wanted: Schema, name: str) -> str:
    """Return CREATE TABLE with the columns that do not wait for anything else."""
    of = wanted.objects["table", name].attributes
    columns = []
    for (of_kind, _), one in wanted.objects.items():
        if of_kind != "column" or one.parent != name or "generated" in one.attributes:
            continue
        identity, collation = (one.attributes.get(key) for key in ("identity", "collation"))
        kind = one.attributes["type"]
        if one.attributes.get("default") == OWN_SEQUENCE:
            kind = SERIAL.get(kind, kind)
        columns.append(
            f"{one.label} {kind}"
            + (f" COLLATE {collation}" if collation else "")
            + (f" GENERATED {identity} AS IDENTITY" if identity else "")
            + (" NOT NULL" if one.attributes["nullability"] == "NOT NULL" else "")
        )
    key = of.get("partition key")
    partitioned = f" PARTITION BY {key}" if key else ""
    unlogged = "UNLOGGED " if of.get("persistence") == "unlogged" else ""
    return f"CREATE {unlogged}TABLE {name} ({', '.join(columns)}){partitioned}"
