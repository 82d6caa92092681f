"""Many revisions as one: built from the catalogs of what they make, and proven to make the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from db_ops.builds.built_schema import read_built_schema
from db_ops.builds.scratch import ScratchDatabases
from db_ops.errors import DbOpsError, MigrationFailed
from db_ops.errors.quote_ident import quote_ident
from db_ops.frozen_data import replace
from db_ops.generation.change_text import describe_change
from db_ops.migrations.env.runner import run_steps
from db_ops.postgres.catalog import default_schema
from db_ops.postgres.rows.remains import Remains, read_remains
from db_ops.postgres.schema.compare import compare_schemas
from db_ops.postgres.schema.objects import Change, Schema
from db_ops.postgres.schema.ownership import without_rights
from db_ops.postgres.schema_script import SchemaScript
from db_ops.postgres.version_table import version_tables
from db_ops.results import Difference, RevisionFinished, RevisionStarted
from db_ops.target.apply import apply_pending
from db_ops.target.step_plans import revert_plan
from db_ops.target.target import Target

if TYPE_CHECKING:
    from db_ops.results import Event

# Of the database itself, which no statement about what is in it brings along.
_OF_DATABASE = """
    SELECT format('setting %s of the database', split_part(one, '=', 1))
    FROM pg_db_role_setting, unnest(setconfig) AS one
    WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT 'privileges on the database'
    FROM pg_database WHERE datname = current_database() AND datacl IS NOT NULL
"""
# Others may use them by now.
_STAY = ("extension", "schema")


@dataclass(frozen=True)
class OldRevisions:
    """What the revisions up to *revision* make, by building it, and what those behind it make then.

    `upgrade` and `downgrade` are statements that make and remove it; `outside` names what was
    changed outside of the database. `base` is what others, of other branches, had made before.
    """

    revision: str
    schema: Schema
    remains: Remains
    outside: tuple[str, ...]
    upgrade: Sequence[str]
    downgrade: Sequence[str]
    base: Schema
    at_heads: Schema
    major: int
    seconds: float


def build_old_revisions(
    target: Target, revision: str, depends: tuple[str, ...], *, rows: bool
) -> OldRevisions:
    """Build all of it in scratch databases; `upgrade` writes the *rows* that are left as well.

    What the revisions make that it *depends* on, of other branches, is no part of it. Raises
    `NoScratchDatabase`, `RebuildFailed`, `DumpFailed`, `ClientMissing`.
    """
    quiet, took = _quiet(target)
    try:
        with ScratchDatabases(quiet) as scratch:
            base, known = None, frozenset[str]()
            if depends:
                with scratch.migrated_database(depends) as (work, _):
                    built = _Built.of(work)
                    base, known = (
                        without_rights(built.schema),
                        frozenset(chain(*built.script(rows))),
                    )
            took.clear()
            with scratch.migrated_database((revision,)) as (work, _):
                seconds = sum(took)
                built = _Built.of(work)
                upgrade, downgrade = (
                    [one for one in statements if one not in known or one.startswith("SET ")]
                    for statements in built.script(rows)
                )
                at_heads = built.schema
                if apply_pending(work, work.recorded()):
                    at_heads = read_built_schema(work, grants=True)
    except MigrationFailed as error:
        raise replace(error.of_rebuild(), location=target.location) from error
    return OldRevisions(
        revision=revision,
        schema=built.schema,
        remains=built.remains,
        outside=built.outside,
        upgrade=upgrade,
        downgrade=downgrade,
        base=base or Schema(built.schema.major, grants=False, objects={}),
        at_heads=at_heads,
        major=built.schema.major,
        seconds=seconds,
    )


@dataclass(frozen=True)
class SquashProof:
    """In what the new revision differs from the old ones, and how long it took.

    `irreversible` says why its downgrade is none, if it does not lead back.
    """

    differences: tuple[Difference, ...]
    seconds: float
    irreversible: str | None


def prove_squash(new: Target, old: OldRevisions, *, rows: bool) -> SquashProof:
    """Run the new revision, and those behind it, in scratch databases, and compare.

    *new* has the one in the place of the others. *rows* tells whether it writes their rows.
    """
    seconds, irreversible = 0.0, None
    quiet, took = _quiet(new)
    with ScratchDatabases(quiet) as scratch:
        try:
            with scratch.migrated_database((old.revision,)) as (work, _):
                seconds = took[-1]
                differences = tuple(_differences(old, _Built.of(work), rows=rows))
                if apply_pending(work, work.recorded()) and not differences:
                    behind = compare_schemas(old.at_heads, read_built_schema(work, grants=True))
                    differences = tuple(map(_told, behind))
        except DbOpsError as error:
            failed = Difference("squash", f"the new revision does not do: {error.message}", "")
            return SquashProof((failed,), seconds, None)
        if not differences:
            irreversible = _no_way_back(scratch, old)
    return SquashProof(differences, seconds, irreversible)


def _no_way_back(scratch: ScratchDatabases, old: OldRevisions) -> str | None:
    """Return why the downgrade does not lead back and up again, None if it does."""
    try:
        with scratch.migrated_database((old.revision,)) as (work, _):
            run_steps(work.run(revert_plan(work, work.recorded(), (old.revision,))), lock_retries=0)
            left = compare_schemas(old.base, read_built_schema(work))
            for change in left:
                if change.kind not in _STAY:
                    return f"would be left: {describe_change(change)}"
            apply_pending(work, work.recorded(), (old.revision,))
            # Rights that are for what is yet to come, the downgrade leaves.
            for change in compare_schemas(without_rights(old.schema), read_built_schema(work)):
                return f"would be wrong after it: {describe_change(change)}"
    except DbOpsError as error:
        return error.message
    return None


def _differences(old: OldRevisions, new: _Built, *, rows: bool) -> Iterator[Difference]:
    yield from map(_told, compare_schemas(old.schema, new.schema))
    theirs, ours = old.remains, new.remains
    for name, order in theirs.columns.items():
        if ours.columns.get(name, order) != order:
            what = f"table {name}: the order of its columns is {ours.columns[name]}, was {order}"
            yield Difference("squash", what, "", f"table {name}")
    if rows:
        for name in {**theirs.rows, **ours.rows}:
            if theirs.rows.get(name) != ours.rows.get(name):
                yield Difference("squash", f"table {name}: its rows differ", "", f"table {name}")
        for name in {**theirs.sequences, **ours.sequences}:
            was, now = theirs.sequences.get(name), ours.sequences.get(name)
            if was != now:
                what = f"sequence {name}: is at {now or 'its start'}, was at {was or 'its start'}"
                yield Difference("squash", what, "", f"sequence {name}")


def _told(change: Change) -> Difference:
    subject = f"{change.kind} {change.name}"
    if change.attribute is not None:
        said = f"{change.attribute} is {change.actual}, was {change.expected}"
    elif change.actual is None:
        said = "the new revision does not make it"
    else:
        said = "only the new revision makes it"
    return Difference("squash", f"{subject}: {said}", "", subject)


@dataclass(frozen=True)
class _Built:
    """What is in the scratch database *work*, which revisions have built."""

    work: Target
    schema: Schema
    remains: Remains
    outside: tuple[str, ...]

    @classmethod
    def of(cls, work: Target) -> _Built:
        with work.server.target() as connection, connection.cursor() as cursor:
            remains = read_remains(connection, work.project.version_table)
            cursor.execute(_OF_DATABASE)
            outside = [said for (said,) in cursor.fetchall()]
        watch = work.server.watch
        if watch is not None:
            outside += [one.what for one in watch.changes]
        return cls(work, read_built_schema(work, grants=True), remains, tuple(outside))

    def script(self, rows: bool) -> tuple[list[str], list[str]]:
        """Return the statements that make it, and that remove it; see `SchemaScript.read`."""
        project = self.work.project
        with self.work.server.target() as connection:
            tables = version_tables(connection, project.version_table)
            schema = project.version_table_schema
            here = next((one for one in tables if schema in (None, one.schema)), None)
            role = here.owner if here else quote_ident(connection.info.user)
            unnamed = here.schema if here and schema is None else default_schema(connection)
        script = SchemaScript(
            self.work.server, self.schema.major, unnamed, project.version_table, role
        )
        if rows:
            return script.read(without_rows_of=(), sequences=self.remains.sequences)
        return script.read(without_rows_of=self.remains.rows, sequences=())


def _quiet(target: Target) -> tuple[Target, list[float]]:
    """Return *target* without the events of revisions, since nobody's database changes.

    And how many seconds each of them takes, in a list that grows.
    """
    took: list[float] = []

    def on_event(event: Event) -> None:
        if isinstance(event, RevisionFinished):
            took.append(event.step.seconds)
        elif not isinstance(event, RevisionStarted):
            target.server.on_event(event)

    return target.at(replace(target.server, on_event=on_event)), took
