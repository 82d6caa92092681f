"""Tell whether the models of a release survive the revisions that are pending after it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from db_ops.builds.release_process import release_process
from db_ops.errors import RebuildFailed, ReleaseAhead
from db_ops.frozen_data import replace
from db_ops.generation.rehearsal import scratch_database_at
from db_ops.generation.release_changes import ReleaseSchemas
from db_ops.generation.release_findings import ReleaseFindings
from db_ops.generation.row_proof import RowProof
from db_ops.migrations.project import Project
from db_ops.migrations.release_checkout import ReleaseCheckout, merge_base, release_checkout
from db_ops.migrations.revisions.graph import Goal
from db_ops.migrations.revisions.reader import read_graph
from db_ops.postgres.relation_facts import Relations, read_relations
from db_ops.postgres.rows import NONE, PLAIN, add_rows, fill_tables, read_tables
from db_ops.results import (
    Event,
    PhaseStarted,
    ReleaseCheck,
    ReleaseFinding,
    Revision,
    RevisionFinished,
)
from db_ops.target.apply import apply_pending
from db_ops.target.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


def check_release(
    target: Target,
    reference: str,
    command: str,
    goal: Goal = None,
    current: Collection[str] = (),
) -> ReleaseCheck:
    """Run what the models of *reference* say to a database after the revisions up to *goal*.

    In a scratch database that stands where that release's migrations end, whose tables are given
    rows; the target, which is at *current*, gives its schema where the migrations alone do not make
    it. Hints end in *command*. Raises `NoRepository`, `ReferenceUnknown`, `ReleaseAhead`,
    `ReleaseBroken`, `NoScratchDatabase`, `RebuildFailed`.
    """
    root = target.settings.root
    target.server.on_event(PhaseStarted(f"taking the models of {reference}"))
    with release_checkout(root, reference, command) as checkout:
        recorded = read_graph(_project_of(checkout, target.project)).heads
        unknown = target.graph.unknown(recorded)
        if unknown:
            raise ReleaseAhead(checkout.name, unknown, _remedy(target, checkout, command))
        pending = target.graph.pending(recorded, goal)
        check = ReleaseCheck(
            checkout.name, checkout.commit, recorded, tuple(one.id for one in pending)
        )
        if not pending:
            return check
        or_copy = set(current) == set(recorded)
        run = _Run(target, checkout, check, goal, or_copy=or_copy)
        try:
            return run.on_rows(PLAIN)
        except RebuildFailed as error:
            # Those that were made, perhaps, and nobody's own would.
            found = run.on_rows(NONE)
            said = f"tried on tables without rows: with rows, {error.message}"
            return replace(found, unchecked=(said, *found.unchecked))


class _Run:
    """One try, with rows of one kind."""

    def __init__(
        self,
        target: Target,
        checkout: ReleaseCheckout,
        check: ReleaseCheck,
        goal: Goal,
        *,
        or_copy: bool,
    ) -> None:
        self.target, self.checkout, self.check = target, checkout, check
        self.goal, self.or_copy = goal, or_copy

    def on_rows(self, mode: str) -> ReleaseCheck:
        target, check = self.target, self.check
        tell = target.server.on_event
        with (
            release_process(self.checkout, target.settings.root) as process,
            scratch_database_at(target, check.recorded, or_copy=self.or_copy) as (scratch, said),
            scratch.server.target() as session,
        ):
            rows = RowProof((), {})
            tables = read_tables(session, scratch.project.version_table)
            rows.modes = {table.name: mode for table in tables}
            rows.fill(scratch, session)
            if mode != NONE:
                add_rows(session, tables)
            old = read_relations(session)
            tell(PhaseStarted(f"importing the models of {check.reference}"))
            process.load(scratch)
            before = process.before(old)
            schemas = ReleaseSchemas(
                old,
                self._apply(scratch, rows, lambda: read_relations(session)),
                {(schema, name): frozenset(columns) for schema, name, columns in before["known"]},
                {((schema, name), one): tuple(of) for schema, name, one, of in before["enums"]},
            )
            tell(PhaseStarted(f"running the statements of {check.reference}"))
            if mode != NONE:
                self._fill_again(scratch, session)
            after = process.after(
                schemas.new,
                schemas.required(),
                schemas.lost_labels(),
                schemas.added(),
                schemas.touched(),
            )
        findings = ReleaseFindings(schemas)
        findings.places = {(schema, name): of for schema, name, of in after["places"]}
        found = [one for table in after["after"] for one in findings.of(table)]
        unchecked = [f"not in the schema of {check.reference}: {one}" for one in before["unknown"]]
        return replace(
            check,
            tables=before["tables"],
            statements=after["statements"],
            findings=tuple(sorted(found, key=_rank)),
            warnings=tuple(findings.added_labels()),
            unchecked=(*said, *unchecked),
        )

    def _fill_again(self, scratch: Target, session: Connection) -> None:
        """Give rows to the tables that a revision does not take with those that were made."""
        with session.cursor() as cursor, scratch.server.translate_errors("filling tables"):
            empty = []
            tables = read_tables(session, scratch.project.version_table)
            for table in tables:
                cursor.execute(f"SELECT EXISTS (SELECT FROM {table.name})")
                if cursor.fetchone() == (False,):
                    empty.append(table.name)
            if empty:
                modes = {one.name: PLAIN if one.name in empty else NONE for one in tables}
                fill_tables(session, tables, modes)

    def _apply(
        self, scratch: Target, rows: RowProof, read: Callable[[], Relations]
    ) -> list[tuple[Revision, Relations]]:
        """Apply the pending revisions; return each with the schema after it."""
        seen: list[tuple[Revision, Relations]] = []

        def on_event(event: Event) -> None:
            if isinstance(event, RevisionFinished):
                seen.append((event.step.revision, read()))
            scratch.server.on_event(event)

        watched = scratch.at(replace(scratch.server, on_event=on_event))
        watch = watched.server.watch
        assert watch is not None
        watch.on_refusal = rows.refused
        try:
            apply_pending(watched, self.check.recorded, self.goal)
        finally:
            watch.on_refusal = None
        return seen


def _rank(finding: ReleaseFinding) -> tuple[bool, str]:
    return not finding.certain, finding.subject


def _project_of(checkout: ReleaseCheckout, project: Project) -> Project:
    """Return where the revisions of the release are, at the places that this project has them."""
    return replace(
        project,
        alembic_ini=checkout.path_of(project.alembic_ini),
        script_location=checkout.path_of(project.script_location),
        version_locations=tuple(map(checkout.path_of, project.version_locations)),
        folder=checkout.path_of(project.root),
    )


def _remedy(target: Target, checkout: ReleaseCheckout, command: str) -> str:
    base = merge_base(target.settings.root, checkout.commit)
    merge = f"git merge {checkout.reference}; then: {command}"
    if base is None or checkout.commit.startswith(base):
        return f"bring its revisions into this checkout: {merge}"
    other = command.replace(checkout.reference, base)
    return f"compare with what both have in common: {other}; or bring its revisions in: {merge}"
