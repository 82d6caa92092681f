"""Write a migration: planned on a scratch database, written, then proven on another one."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from db_ops.builds.built_schema import RefusedModel, build_models_schema, read_schema_on
from db_ops.builds.phases import MIGRATIONS, revisions_as_phase
from db_ops.builds.schema_file import write_schema_file
from db_ops.builds.scratch import ScratchDatabases
from db_ops.errors import DbOpsError, EmptyMetadata, ModelsRefused, UsageError
from db_ops.frozen_data import replace
from db_ops.generation import requested_renames
from db_ops.generation.proof import RevisionGenerator, change_filter
from db_ops.generation.running_release import check_release
from db_ops.generation.schema_copy import RevisionBase
from db_ops.migrations.autogenerate.incomplete_models import missing_table
from db_ops.migrations.autogenerate.model_source import table_declared_at
from db_ops.migrations.autogenerate.models import has_tables
from db_ops.migrations.autogenerate.run import run_autogenerate
from db_ops.migrations.autogenerate.scope import AutogenerateScope
from db_ops.migrations.autogenerate.write_errors import check_template
from db_ops.migrations.autogenerate.write_hooks import missing_hooks
from db_ops.migrations.env.run_env import load_models
from db_ops.migrations.release_checkout import find_commit
from db_ops.migrations.revisions.names import branch_head
from db_ops.migrations.revisions.unfinished import refuse_unfinished
from db_ops.postgres.failure_tolerant_cursor import TABLE, FailedStatement
from db_ops.postgres.impact.squawk import require_squawk
from db_ops.postgres.schema.dependencies import create_extension, unbuilt_alone
from db_ops.postgres.schema.objects import Schema
from db_ops.postgres.schema.ownership import without_rights
from db_ops.results import (
    HookMissing,
    MigrationCreated,
    OnEvent,
    PhaseStarted,
    SchemaFile,
    ignore,
)
from db_ops.settings import Settings
from db_ops.target.target import Target, open_target
from db_ops.verification.convention_names import ConventionNames


def create_migration(
    settings: Settings,
    message: str,
    *,
    rename: Sequence[str] = (),
    no_rename: bool = False,
    irreversible: bool = False,
    extension: Sequence[str] = (),
    branch: str | None = None,
    against: str | None = None,
    on_event: OnEvent = ignore,
) -> MigrationCreated:
    """Write one revision file from what the models have and the migrations have not.

    Both are built in scratch databases; the target is neither needed nor touched. Each of *rename*
    is `table.old:new` or `old_table:new_table`; *no_rename* says that nothing else was renamed. The
    file is run before this returns, on tables that were given rows: up, down, and up again;
    an *irreversible* one only up.
    Each *extension* that models need and the migrations lack is created first.
    Where the project has several branches, *branch* says which one goes on (`BranchNotNamed`).
    Without a change, no file is written; one that does not import is removed again; one that does
    not keep what it promises stays, and the result's exit code is 3. So it is where the server
    refuses an index or a constraint of the models: that is left out, and `left_out` names it. In
    development, the project's schema file is written, if it names one. *against* names a release,
    a tag or commit of git: `release` tells whether its models survive the revisions after it.

    Raises `UsageError` for an empty message, `RenameUndecided`, `ModelsRefused`,
    `UnfinishedMigration`, `MultipleHeads`, `NoScratchDatabase`, `EmptyMetadata`,
    `ModelTableMissing`, `EnvironmentBroken`, `RevisionNotWritten`, `GeneratedFileBroken`.
    """
    text = _checked(message)
    target = open_target(settings, "create-migration", revisions_as_phase(on_event))
    if against is not None:
        find_commit(target.settings.root, against, "run the same command again")
    if settings.squawk:
        require_squawk()
    command = f"db-ops create-migration -m {shlex.quote(text)} --branch"
    head = branch_head(target.graph, branch, command)
    if target.project.tables:
        raise UsageError(
            "create-migration: env.py puts its models into several schemas, one version table each",
            f"write it by: alembic revision --autogenerate -m '{text}'",
        )
    refuse_unfinished(target.settings.root, target.graph.pending(()))
    check_template(target.project)
    for hook in missing_hooks(target.project):
        on_event(HookMissing(target.project.display(target.project.alembic_ini), hook))
    with ScratchDatabases(target, needs_empty=True) as scratch, ExitStack() as stack:
        base = RevisionBase(scratch)
        on_event(PhaseStarted(MIGRATIONS))
        work = stack.enter_context(base.database())
        session = stack.enter_context(work.server.target())
        on_event(PhaseStarted("importing the models"))
        # Not before: until now a fork builds what a new interpreter would.
        metadata, narrowed = _load_models(target, text)
        found = read_schema_on(work, session, grants=True)
        start = without_rights(found)
        new = [name for name in dict.fromkeys(extension) if not _has_extension(start, name)]
        on_event(PhaseStarted("building the models"))
        models = build_models_schema(scratch, metadata, start, new)
        left_out = [one for one in models.refused if _can_be_left_out(one, start)]
        blocking = [one for one in models.refused if one not in left_out]
        if blocking:
            raise _models_refused(target, [*blocking, *left_out], text, new)
        if narrowed.is_narrowed:
            narrowed = run_autogenerate(target.project, work, head).session.scope
        is_relevant = change_filter(target, models, start, narrowed)
        generator = RevisionGenerator(
            target, text, found, models.schema, is_relevant, head, narrowed.unknown
        )
        on_event(PhaseStarted("planning the revision"))
        renames = requested_renames(models.schema, start, rename)
        names = ConventionNames.of(target, metadata)
        older = base.older_names(start, is_relevant) if names.given(start) else ()
        plan = generator.plan(
            work, session, renames, decided=no_rename, extensions=new, older_names=older
        )
        created = MigrationCreated(
            target.location,
            None,
            (),
            unproven=base.unchecked if base.is_unproven else (),
            unchecked=() if base.is_unproven else base.unchecked,
            left_out=tuple(_refusal(target, one.failure) for one in left_out),
        )
        if not plan.changes:
            return _with_release(created, target, against)
        revision = generator.write(plan, irreversible=irreversible)
        trial_run = generator.prove(
            base, work, session, stack.close, revision, plan, irreversible=irreversible
        )
        schema_file = _schema_file(target, base, trial_run.schema)
    created = replace(
        created,
        revision=revision,
        operations=plan.changes,
        losses=plan.losses,
        refusals=(*plan.refusals, *trial_run.refusals),
        todos=plan.todos,
        unproven=(*created.unproven, *trial_run.unproven),
        unsafe=trial_run.unsafe,
        unchecked=(*created.unchecked, *trial_run.unchecked),
        kept=() if irreversible or not generator.has_downgrade else plan.kept,
        schema_file=schema_file,
    )
    return _with_release(created, replace(target, graph=base.scratch.host.graph), against)


def _with_release(
    created: MigrationCreated, target: Target, against: str | None
) -> MigrationCreated:
    """Return what was *created*, with what the release *against* meets after it.

    The file is written by now: what keeps that from being found out is told, and no failure.
    """
    if against is None:
        return created
    command = f"db-ops check-models --against {shlex.quote(against)}"
    try:
        return replace(created, release=check_release(target, against, command))
    except DbOpsError as error:
        told = f"--against {against} was not looked at: {error.message}; {error.hint}"
        return replace(created, unchecked=(*created.unchecked, told))


def _load_models(target: Target, message: str) -> tuple[Any, AutogenerateScope]:
    """Import the models; refuse those that are none, or not all."""
    metadata, narrowed = load_models(target.project, target.scripts)
    if narrowed.translated_models:
        raise UsageError(
            "create-migration: env.py sets schema_translate_map, so that a revision would hold the"
            f" schema of one tenant: {', '.join(narrowed.translated_models)}",
            f"write it by: alembic revision --autogenerate -m {shlex.quote(message)}",
        )
    if not has_tables(metadata):
        raise EmptyMetadata(target.project.display(target.project.env_py))
    missing = missing_table(target.project, metadata)
    if missing is not None:
        raise missing
    return metadata, narrowed


def _schema_file(target: Target, base: RevisionBase, made: Schema | None) -> SchemaFile | None:
    """Write the schema file, if there is one to write; *made* is what the new head makes."""
    settings = target.settings
    if made is None or not settings.writes_schema_file:
        return None
    if base.is_copied:
        return SchemaFile(settings.schema_file or "", problem="the migrations alone do not make it")
    return write_schema_file(settings, base.scratch.host.graph.heads, made)


def _checked(message: str) -> str:
    text = " ".join(message.split())
    if not text or not text.isprintable():
        raise UsageError(
            "create-migration: the message is empty" if not text else "message: not printable",
            "say what changes: db-ops create-migration -m 'add agents'",
        )
    return text


def _has_extension(schema: Schema, name: str) -> bool:
    return any(kind == "extension" and one.strip('"') == name for kind, one in schema.objects)


def _can_be_left_out(refused: RefusedModel, start: Schema) -> bool:
    """Tell whether the rest of the models can be compared without what was *refused*.

    A new one that an extension would make possible belongs into the same revision. One that the
    migrations have, whatever the models say of it, needs none.
    """
    if refused.failure.alone is None:
        return False
    return refused.extension is None or bool(unbuilt_alone(start, refused.failure))


def _refusal(target: Target, failure: FailedStatement) -> str:
    kind, name = failure.alone or ("", "")
    place = table_declared_at(failure.table)
    at = f" ({target.project.display(place.path)}:{place.line})" if place else ""
    return f"{kind} {name} on {failure.table}{at}: the server refused it: {failure.reason}"


def _models_refused(
    target: Target, refused: Sequence[RefusedModel], message: str, extensions: Sequence[str]
) -> ModelsRefused:
    """Return the error for models that cannot be compared, with what has to come first."""
    # What refers to a table that was refused fails because of that one.
    roots = [one for one in refused if one.failure.missing != TABLE] or list(refused)
    first, failure = roots[0], roots[0].failure
    table = failure.table
    place = table_declared_at(table)
    extension = first.extension
    if extension is not None:
        lacks = f"it needs extension {extension.name} ({create_extension(extension.name)})"
        flags = " ".join(f"--extension {name}" for name in (*extensions, extension.name))
        remedy = (
            f"{lacks}; to create it in the same revision:"
            f" db-ops create-migration -m {shlex.quote(message)} {flags}"
        )
        if not extension.tried:
            remedy = (
                f"{lacks}, and this server does not have it: name one that has in"
                " DB_OPS_SCRATCH_URL, then run the same command again"
            )
    elif failure.missing:
        what = failure.missing
        remedy = (
            f"write a revision first that creates the {what}, then run the same command again:"
            f" alembic revision -m 'create the {what} of {table}'"
        )
    else:
        remedy = "correct the model, then run the same command again"
    env_py = target.project.display(target.project.env_py)
    return ModelsRefused(
        target.project.display(place.path) if place else env_py,
        failure.reason,
        place.line if place else None,
        place.code if place else "",
        table=f"table {table}" if table else repr(failure.summary),
        remedy=remedy,
        extension=extension.name if extension else None,
        others=tuple(
            f"also refused: {one.failure.summary}: {one.failure.reason}" for one in roots[1:]
        ),
    )
