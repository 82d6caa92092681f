"""Write a migration: planned on a scratch database, written, then proven on another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from db_ops.errors import (
    DbOpsError,
    EmptyMetadata,
    GeneratedFileBroken,
    RevisionFileBroken,
    StatementFailed,
    UnfinishedMigration,
    UsageError,
)
from db_ops.generation import (
    TODO,
    Piece,
    Plan,
    Planner,
    Rename,
    answered,
    describe,
    is_kept,
    refuse_undecided,
    relevant_changes,
)
from db_ops.migrations.draft import Draft, draft_revision
from db_ops.migrations.models import has_tables
from db_ops.migrations.revision_files import read_graph
from db_ops.migrations.revision_text import Contents, fill, line_length
from db_ops.migrations.runner import rehearse, run_downgrade
from db_ops.migrations.scripts import describe_failure
from db_ops.operations.migrating import apply_pending
from db_ops.operations.scratch import Scratch
from db_ops.operations.sides import Side, models_side, read_side
from db_ops.operations.target import Target, open_target
from db_ops.postgres.schema import Change, Schema, compare_schemas
from db_ops.results import (
    Event,
    MigrationCreated,
    OnEvent,
    Revision,
    RevisionFinished,
    RevisionStarted,
    ignore,
)
from db_ops.settings import Settings
from db_ops.verification import judge, read_rules
from db_ops.verification.expressible import expressible

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


def create_migration(
    settings: Settings,
    message: str,
    *,
    rename: Sequence[str] = (),
    no_rename: bool = False,
    irreversible: bool = False,
    on_event: OnEvent = ignore,
) -> MigrationCreated:
    """Write one revision file from what the models have and the migrations have not.

    Both are built in scratch databases; the target is neither needed nor touched. Each of *rename*
    is `table.old:new` or `old_table:new_table`; *no_rename* says that nothing else was renamed. The
    file is run before this returns: forth, back, and forth again; an *irreversible* one only forth.
    Without a change, no file is written; one that does not import is removed again; one that does
    not keep what it promises stays, and the result's exit code is 3.

    Raises `UsageError` for an empty message, `RenameUndecided`, `UnfinishedMigration`,
    `MultipleHeads`, `NoScratchDatabase`, `EmptyMetadata`, `EnvironmentBroken`,
    `GeneratedFileBroken`.
    """
    text = _checked(message)
    target = open_target(settings, "create-migration", _without_revisions(on_event))
    target.graph.head()
    _refuse_unfinished(target)
    metadata = rehearse(target.project, target.scripts)
    if not has_tables(metadata):
        raise EmptyMetadata(target.project.display(target.project.env_py))
    with Scratch(target) as scratch:
        with scratch.migrated() as (work, _):
            start = read_side(work)
            models = models_side(scratch, metadata, start)
            author = _Author(target, text, start, models.schema, _counting(target, models, start))
            renames = answered(models.schema, start, rename)
            plan = author.plan(work, renames, decided=no_rename)
        created = MigrationCreated(target.location, None, (), unchecked=models.unchecked)
        if not plan.changes:
            return created
        with scratch.migrated() as (trial, _):
            revision = author.write(plan, irreversible=irreversible)
            unproven = author.prove(trial, revision, irreversible=irreversible)
    return replace(
        created,
        revision=revision,
        operations=plan.changes,
        losses=plan.losses,
        todos=plan.todos,
        unproven=unproven,
        kept=() if irreversible else plan.kept,
    )


@dataclass
class _Author:
    """Plans, writes and proves one revision; `start` is what the migrations make, and `models`."""

    target: Target
    message: str
    start: Schema
    models: Schema
    counts: Callable[[Change], bool]
    draft: Draft | None = field(default=None, init=False)

    def plan(self, work: Target, renames: Sequence[Rename], *, decided: bool) -> Plan:
        """Plan on the scratch database *work*, which is at head. Raises `RenameUndecided`."""

        def draft() -> Draft:
            self.draft = draft_revision(self.target.project, work)
            return self.draft

        def decide(renamed: Schema) -> None:
            if not decided:
                refuse_undecided(self.models, renamed, self.message)

        with _bench(work, self) as bench:
            return Planner(self.models, bench, draft, self.counts).plan(renames, decide)

    def write(self, plan: Plan, *, irreversible: bool) -> Revision:
        """Write the file of *plan*. Raises `GeneratedFileBroken`, and then there is none."""
        project, draft = self.target.project, self.draft
        assert draft is not None
        before, imports = _files(self.target), draft.imports
        try:
            path = draft.write(self.message)
            contents = Contents(
                tuple(piece.code for piece in plan.upgrade),
                (_refusal(plan),)
                if irreversible
                else tuple(piece.code for piece in plan.downgrade),
                imports,
                plan.changes,
            )
            source = path.read_text(encoding="utf-8")
            width = line_length(project.alembic_ini.parent)
            path.write_text(fill(source, contents, width=width), encoding="utf-8")
            draft.finish(path)
        except Exception as error:
            # Alembic imports what it wrote, but leaves it there when that fails.
            raise self._removed(before, error) from error
        return Revision(str(draft.script.rev_id), self.message, project.display(path))

    def prove(self, trial: Target, revision: Revision, *, irreversible: bool) -> tuple[str, ...]:
        """Run *revision* on the scratch database *trial*; return what is not as it has to be.

        Raises `GeneratedFileBroken` if it does not import, and then there is no file.
        """
        project = self.target.project
        try:
            graph = read_graph(project, self.target.settings.cache_folder)
            new = Target(project, graph, trial.server)
            _ = new.scripts
        except RevisionFileBroken as error:
            (self.target.settings.root / revision.path).unlink()
            raise GeneratedFileBroken(revision.path, error.reason) from error
        try:
            apply_pending(new, new.recorded())
            found = [
                f"models and migrations still differ: {describe(change)}"
                for change in relevant_changes(self.models, read_side(new), self.counts)
            ]
            if not irreversible:
                found += _roundtrip(new, self.start)
        except DbOpsError as error:
            return (error.message,)
        return tuple(found)

    def _removed(self, before: set[Path], error: Exception) -> GeneratedFileBroken:
        written = _files(self.target) - before
        for path in written:
            path.unlink()
        project = self.target.project
        newest = max(written, default=project.script_location / "script.py.mako")
        return GeneratedFileBroken(project.display(newest), describe_failure(error, newest))


@dataclass
class _Bench:
    connection: Connection
    work: Target
    author: _Author

    def read(self) -> Schema:
        return read_side(self.work)

    def run(self, piece: Piece) -> str | None:
        if piece.sql is None:
            assert self.author.draft is not None
            return self.author.draft.run(self.connection, piece.code)
        try:
            with self.work.server.translating("a trial"), self.connection.cursor() as cursor:
                cursor.execute(piece.sql)
        except StatementFailed as failed:
            return failed.reason
        return None


@contextmanager
def _bench(work: Target, author: _Author) -> Iterator[_Bench]:
    with work.server.target() as connection:
        yield _Bench(connection, work, author)


def _counting(target: Target, models: Side, start: Schema) -> Callable[[Change], bool]:
    """Return what tells whether a difference is to be settled: as `verify` would, by its rules."""
    rules = read_rules(target.settings.root, target.project.script_location)
    verdict = judge(models.schema, start, start, ignore=rules.ignore)
    accepted = [
        one for one in verdict.disagreements if any(known.covers(one) for known in rules.accepted)
    ]
    skipped = {
        (one.kind, one.name, one.attribute)
        for one in (*accepted, *(silenced for silenced, _ in verdict.silenced))
    }

    def counts(change: Change) -> bool:
        return expressible(change) and (change.kind, change.name, change.attribute) not in skipped

    return counts


def _roundtrip(new: Target, start: Schema) -> Iterator[str]:
    """Go back to *start* and forth again; yield what is not as it was."""
    (head,) = new.graph.heads
    below = new.graph.nodes[head].down
    run = new.run("downgrade", below[0] if below else "base", 1, before_attempt=lambda: None)
    run_downgrade(run, lock_retries=0)
    left = compare_schemas(start, read_side(new))
    for change in (one for one in left if not is_kept(one)):
        yield f"downgrade does not lead back: {describe(change)}"
    apply_pending(new, new.recorded())


def _checked(message: str) -> str:
    text = " ".join(message.split())
    if not text or not text.isprintable():
        raise UsageError(
            "create-migration: the message is empty" if not text else "message: not printable",
            "say what changes: inv db.create-migration -m 'add agents'",
        )
    return text


def _refuse_unfinished(target: Target) -> None:
    for head in target.graph.heads:
        path = target.graph.nodes[head].revision.path
        source = (target.settings.root / path).read_text(encoding="utf-8", errors="replace")
        left = [line.partition(TODO)[2].strip() for line in source.splitlines() if TODO in line]
        if left:
            raise UnfinishedMigration(path, len(left), left[0])


def _refusal(plan: Plan) -> str:
    why = "; ".join(plan.losses) or "marked so when it was written"
    return f"raise NotImplementedError({f'irreversible: {why}'!r})"


def _files(target: Target) -> set[Path]:
    return {path for folder in target.project.version_locations for path in folder.rglob("*.py")}


def _without_revisions(on_event: OnEvent) -> OnEvent:
    """Keep quiet about the revisions that run in scratch databases: nobody's database changes."""

    def quiet(event: Event) -> None:
        if not isinstance(event, RevisionStarted | RevisionFinished):
            on_event(event)

    return quiet
