"""Plan, write and prove a revision in scratch databases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from db_ops.builds.built_schema import BuiltSchema
from db_ops.errors import (
    DbOpsError,
    GeneratedFileBroken,
    RevisionFileBroken,
)
from db_ops.generation import (
    Rename,
    RevisionPlan,
    RevisionPlanner,
    refuse_undecided,
)
from db_ops.generation.planning_session import PlanningSession
from db_ops.generation.proof_run import ProofResult, ProofRun
from db_ops.generation.row_proof import RowProof
from db_ops.generation.schema_copy import RevisionBase
from db_ops.migrations.autogenerate.draft import Draft, draft_revision
from db_ops.migrations.autogenerate.revision_text import has_downgrade, list_in_docstring
from db_ops.migrations.autogenerate.scope import AutogenerateScope
from db_ops.migrations.autogenerate.write_errors import (
    PlaceholderMissing,
    folder_not_read,
    revision_not_written,
)
from db_ops.migrations.env.error_location import SourceLocation, source_locations
from db_ops.migrations.revisions.reader import read_graph
from db_ops.migrations.scripts import source_error_fields
from db_ops.postgres.schema.identifiers import unquoted_parts
from db_ops.postgres.schema.objects import Change, Schema
from db_ops.postgres.schema.ownership import without_rights
from db_ops.results import (
    Revision,
)
from db_ops.target.target import Target
from db_ops.verification.baseline import read_rules
from db_ops.verification.model_scope import ModelScope, is_of_models
from db_ops.verification.verdict import judge

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

# No database has a say in what is written.
_NOT_THE_DATABASE = ("models", "migrations")


@dataclass
class RevisionGenerator:
    """Plans, writes and proves one revision to the schema of the `models`.

    `found` is what the migrations make, with owners and rights, `start` the same without.
    """

    target: Target
    message: str
    found: Schema
    models: Schema
    is_relevant: Callable[[Change], bool]
    head: str = "head"
    unknown: Sequence[str] = ()
    draft: Draft | None = field(default=None, init=False)
    unfinished: str | None = field(default=None, init=False)
    has_downgrade: bool = field(default=True, init=False)
    is_base_unchanged: bool = field(default=False, init=False)

    @cached_property
    def start(self) -> Schema:
        return without_rights(self.found)

    def plan(
        self,
        work: Target,
        connection: Connection,
        renames: Sequence[Rename],
        *,
        decided: bool,
        extensions: Sequence[str] = (),
        older_names: Sequence[Rename] = (),
    ) -> RevisionPlan:
        """Plan on the scratch database *work*, which is at head and *connection* is to.

        Raises `RenameUndecided`.
        """

        def draft() -> Draft:
            lived_in = {
                unquoted_parts(name)[0] for kind, name in self.start.objects if kind == "table"
            }
            schemas = tuple(lived_in - {"public"})
            self.draft = draft_revision(self.target.project, work, self.head, schemas)
            session.draft = self.draft
            # Not before: Alembic looks on from a session of its own.
            session.begin()
            return self.draft

        def decide(renamed: Schema) -> None:
            if not decided:
                refuse_undecided(self.models, renamed, self.message, self.is_relevant)

        with closing(PlanningSession(connection, work, self.found)) as session:
            planner = RevisionPlanner(self.models, session, draft, self.is_relevant, self.unknown)
            plan = planner.plan(renames, decide, extensions, older_names)
        self.is_base_unchanged = session.is_unchanged
        return plan

    def write(self, plan: RevisionPlan, *, irreversible: bool) -> Revision:
        """Write the file of *plan*; what its hooks do wrong is in `unfinished`.

        Raises `RevisionNotWritten`, `GeneratedFileBroken`, and then there is none.
        """
        project, draft = self.target.project, self.draft
        assert draft is not None
        before = _files(self.target)
        downgrade = [plan.refusal] if irreversible else [one.code for one in plan.downgrade]
        try:
            path = draft.write(self.message, [one.code for one in plan.upgrade], downgrade)
            list_in_docstring(path, plan.changes)
            self.has_downgrade = has_downgrade(path.read_text(encoding="utf-8"))
            self.unfinished = draft.finish(path)
        except Exception as error:
            # Alembic imports what it wrote, but leaves it there when that fails.
            raise self._removed(before, error) from error
        if path.parent not in project.revision_folders:
            path.unlink()
            raise folder_not_read(project, path)
        return Revision(str(draft.script.rev_id), self.message, project.display(path))

    def prove(
        self,
        base: RevisionBase,
        work: Target,
        session: Connection,
        drop: Callable[[], None],
        revision: Revision,
        plan: RevisionPlan,
        *,
        irreversible: bool,
    ) -> ProofResult:
        """Run *revision* in a scratch database of *base*, with rows, and measure what it does.

        That is *work*, which *session* is to, if planning has left it unchanged; *drop* drops it.
        Where the rows forbid it, again in another one with other rows, or with none. Raises
        `GeneratedFileBroken` if it does not import, and then there is no file.
        """
        project = self.target.project
        try:
            graph = read_graph(project, self.target.settings.cache_folder)
            written = Target(project, graph, self.target.server)
            _ = written.scripts
        except RevisionFileBroken as error:
            (self.target.settings.root / revision.path).unlink()
            raise GeneratedFileBroken(**vars(error)) from error
        base.scratch.keep_heads(graph)
        rows = RowProof((*plan.losses, *plan.todos), plan.removed_values)
        one_way = irreversible or not self.has_downgrade
        run = ProofRun(self.start, self.models, self.is_relevant, revision, one_way)

        def tried(
            run: ProofRun, database: Callable[[], AbstractContextManager[Target]]
        ) -> ProofResult:
            # One after the other: what a revision makes outside of a database goes with it.
            while True:
                with database() as scratch, scratch.server.target() as looking_on:
                    seen = run.on(written.at(scratch.server), rows, looking_on)
                if seen is not None:
                    return seen

        seen = None
        if self.is_base_unchanged:
            seen = run.on(written.at(work.server), rows, session)
        drop()
        seen = seen or tried(run, base.database)
        if plan.replaces_older_names:
            older = replace(run, irreversible=True)
            again = tried(older, base.scratch.database_without_convention)
            seen.unproven += tuple(f"before the naming convention: {one}" for one in again.unproven)
        if self.unfinished:
            seen.unproven = (self.unfinished, *seen.unproven)
        if not self.has_downgrade:
            seen.unchecked += ("script.py.mako has no downgrade(), so there is no way back",)
        seen.unproven += tuple(rows.wrong)
        seen.refusals = tuple(rows.refusals)
        seen.unchecked += tuple(rows.unfilled)
        return seen

    def _removed(self, before: set[Path], error: Exception) -> DbOpsError:
        project, written = self.target.project, _files(self.target) - before
        # A full disk fails while the file is written, which nobody has imported then.
        full = isinstance(error, OSError) and not source_locations(error)
        if not written or full or isinstance(error, PlaceholderMissing):
            broken: DbOpsError = revision_not_written(project, error)
        else:
            broken = GeneratedFileBroken(
                **source_error_fields(project, error, SourceLocation(max(written)))
            )
        for path in written:
            path.unlink()
        return broken


def change_filter(
    target: Target, models: BuiltSchema, start: Schema, scope: AutogenerateScope
) -> Callable[[Change], bool]:
    """Return a predicate: is a difference to be settled?

    As `verify` decides, by its rules and by what the *scope* of autogenerate leaves out.
    """
    rules = read_rules(target.settings.root, target.project.script_location)
    verdict = judge(models.schema, start, start, ignore=rules.ignore)
    accepted = [
        one
        for one in verdict.disagreements
        if any(known.covers(one, *_NOT_THE_DATABASE) for known in rules.accepted)
    ]
    skipped = {
        (one.kind, one.name, one.attribute)
        for one in (*accepted, *(silenced for silenced, _ in verdict.silenced))
    }

    sides = ModelScope(scope, (models.schema, start))

    def is_relevant(change: Change) -> bool:
        return (
            is_of_models(change)
            and (change.kind, change.name, change.attribute) not in skipped
            and sides.left_out(change) is None
        )

    return is_relevant


def _files(target: Target) -> set[Path]:
    return {path for folder in target.project.version_locations for path in folder.rglob("*.py")}
