"""Read models, migrations and database one after the other, and compare them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from db_ops.builds.built_schema import BuiltSchema, build_migrations_schema, build_models_schema
from db_ops.builds.phases import MIGRATIONS
from db_ops.builds.schema_cache import SchemaCache, content_key
from db_ops.builds.scratch import ScratchDatabases
from db_ops.errors import (
    EmptyMetadata,
    HistoryNotFromEmpty,
    MigrationFailed,
    ModelsBroken,
    NoScratchDatabase,
)
from db_ops.frozen_data import replace as replace_fields
from db_ops.migrations.autogenerate.models import has_tables
from db_ops.migrations.autogenerate.scope import AutogenerateScope
from db_ops.migrations.build_inputs import BuildInputs, Files
from db_ops.migrations.scripts import import_alembic
from db_ops.postgres.schema.enum_values import without_values_to_come
from db_ops.results import Difference, PhaseStarted, Verified
from db_ops.target.ahead import checkout_of
from db_ops.target.target import Target
from db_ops.verification.agreement import Agreement
from db_ops.verification.autogenerate_check import NOT_AT_HEAD, check_by_alembic
from db_ops.verification.baseline import Rules, read_rules
from db_ops.verification.convention_names import ConventionNames
from db_ops.verification.file_checks import check_files
from db_ops.verification.report import (
    ComparedSchemas,
    Report,
    alembic_differences,
    build_report,
    settle,
)
from db_ops.verification.revision_checks import adoption_difference, compare_history
from db_ops.verification.schema_caches import migrations_key, side_cache
from db_ops.verification.target_state import (
    TargetState,
    drift_of,
    read_target_state,
    untracked_tables,
    with_owner,
)

_PHASES = {
    "database": "reading the database",
    "migrations": MIGRATIONS,
    "alembic check": "running alembic check",
    "models": "building the models",
    "migrations so far": "building the migrations up to where the database is",
}
_IN_SEVERAL_SCHEMAS = (
    "models were compared by alembic check alone: env.py puts them into several schemas"
)


def compare_all(target: Target, *, grants: bool, accept: bool) -> Verified:
    """Do what `verify` does, in full. Raises what it raises."""
    rules = read_rules(target.settings.root, target.project.script_location)
    with ScratchDatabases(target) as scratch:
        return Comparison(target, scratch, rules, grants).run(accept=accept)


@dataclass
class Comparison:
    """One run of `verify`, with its findings so far."""

    target: Target
    scratch: ScratchDatabases
    rules: Rules
    grants: bool
    unchecked: list[str] = field(default_factory=list)
    left_out: str | None = None
    sides: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    scope: AutogenerateScope = field(default_factory=AutogenerateScope)

    @cached_property
    def inputs(self) -> BuildInputs:
        return BuildInputs(self.target.project, self.target.settings.cache_folder)

    def run(self, *, accept: bool) -> Verified:
        target, graph = self.target, self.target.graph
        with self._timed("database"):
            state = read_target_state(target, grants=self.grants)
        if state.schema is not None:
            self.sides["database"] = "catalogs"
        if state.why_not:
            self.unchecked.append(state.why_not)
        history = self._history(state)
        agreement = Agreement.of(target, self.inputs, state, self.rules)
        files_differ = check_files(target, state.recorded or (), state.records)
        if not (history or accept) and (found := agreement.found(target, self.inputs, self.rules)):
            return replace_fields(found, differences=files_differ, seconds=self.seconds)
        import_alembic()
        caches = {
            side: side_cache(self.target, self.inputs, state, side, grants=self.grants)
            for side in ("migrations", "models")
        }
        with self.inputs.recording() as used:
            migrations = self._migrations(caches["migrations"], state)
            clean = not history and state.why_not is None and not state.ahead
            with self._timed("alembic check"):
                asked = check_by_alembic(target, self.scratch, clean=clean, built=bool(migrations))
        operations, self.scope = asked.operations, asked.scope
        self.unchecked += asked.unchecked
        # Models lean on what the migrations have made.
        files = used.files() if migrations and migrations.files is not None else None
        models = None
        base = migrations or self._in_place_of_migrations(state)
        if base:
            models = self._models(caches["models"], state, base, asked.metadata, files)
        report = self._judge(state, migrations, models)
        own = untracked_tables(state, migrations, models)
        if own:
            at_head = () if report.differences else graph.heads
            history = (adoption_difference(own, at_head, state.records.heads),)
        names = ConventionNames.of(target, asked.metadata)
        explained = names.explained(report.differences, state.pending)
        differences = (*history, *files_differ, *explained)
        if operations is not None and not (models and base and not models.unchecked):
            differences += alembic_differences(operations)
            self.unchecked += asked.blind
        elif operations is not None:
            # What a plugin compares is in no catalog that the models build.
            differences += alembic_differences(self.scope.unknown)
        partial = any(one is not NOT_AT_HEAD for one in self.unchecked)
        verified = Verified(
            location=target.location,
            heads=graph.heads,
            current=state.recorded or (),
            differences=differences,
            unchecked=tuple(sorted(self.unchecked, key=lambda one: one is NOT_AT_HEAD)),
            partial=partial,
            drift=drift_of(self.target, state) if partial else None,
            pending=tuple(one.id for one in state.pending),
            unknown=graph.unknown(state.recorded or ()),
            ahead=state.ahead,
            ahead_is_different=target.settings.ahead_is_different,
            sides=self.sides,
            alembic=operations,
            silenced=report.silenced,
            baseline=target.project.display(self.rules.path),
            seconds=self.seconds,
        )
        whole = models is not None and not history and not models.unchecked
        done = settle(verified, report, self.rules, whole=whole, accept=accept)
        if whole and migrations and not (self.unchecked or self.scope.is_narrowed):
            agreement.keep(done, migrations.files, files)
        return done

    def _history(self, state: TargetState) -> tuple[Difference, ...]:
        if state.why_not:
            return ()
        position, checkout = state.position, ""
        if position is not None and position.unknown and not position.ahead:
            checkout = checkout_of(self.target, position.unknown).hint
        found = compare_history(self.target.graph, position, checkout)
        drift = state.drift
        if drift is None or drift.state == "equal":
            return found
        said = drift.reason or f"the catalogs changed since they were recorded on {drift.since}"
        checkout = checkout_of(self.target, state.ahead).hint
        return (*found, Difference("drift", f"ahead of this checkout: {said}", checkout))

    def _migrations(self, cache: SchemaCache, state: TargetState) -> BuiltSchema | None:
        key = migrations_key(self.target, self.inputs, state)
        with self._timed("migrations"):
            files = cache.files(key)
            side = cache.load() if files is not None and self.inputs.are_unchanged(files) else None
            if side is None:
                side = self._built(self.target.graph.heads)
                if side is not None:
                    cache.write(key, side)
        if side is not None and side.source == "bootstrap":
            self.left_out = (
                f"{self.target.project.bootstrap} makes the schema of the head, without a revision"
            )
            side = None
        if side is None:
            return None
        self.sides["migrations"] = side.source
        return with_owner(side, state)

    def _built(self, revisions: tuple[str, ...]) -> BuiltSchema | None:
        """Build the schema of the migrations; None if that cannot be done, which is reported."""
        heads = revisions == self.target.graph.heads
        try:
            return build_migrations_schema(
                self.scratch, grants=self.grants, revisions=None if heads else revisions
            )
        except HistoryNotFromEmpty as error:
            self.left_out = error.brief
        except (NoScratchDatabase, MigrationFailed) as error:
            self.unchecked.append(
                f"ONLY ALEMBIC'S REFLECTION WAS COMPARED ({error.message}; {error.hint}): views,"
                " functions, triggers, policies and most of what makes a constraint or an index"
                " were not looked at",
            )
        return None

    def _in_place_of_migrations(self, state: TargetState) -> BuiltSchema | None:
        """Return the database's own schema, to compare models with, if it is at head."""
        if self.left_out is None:
            return None
        self.unchecked.append(
            f"the migrations were left out, models were compared with the database: {self.left_out}"
        )
        if state.schema is None or set(state.recorded or ()) != set(self.target.graph.heads):
            self.unchecked.append("models were not compared: the database is not at the head")
            return None
        return BuiltSchema(state.schema, "database")

    def _models(
        self,
        cache: SchemaCache,
        state: TargetState,
        migrations: BuiltSchema,
        metadata: Any,
        files: Files | None,
    ) -> BuiltSchema | None:
        if not has_tables(metadata):
            path = self.target.project.display(self.target.project.env_py)
            empty = EmptyMetadata(path)
            self.unchecked.append(f"models were not compared: {empty.message}; {empty.hint}")
            return None
        if self.target.project.tables:
            self.unchecked.append(_IN_SEVERAL_SCHEMAS)
            return None
        translated = self.scope.translated
        with self._timed("models"):
            key = content_key(
                migrations_key(self.target, self.inputs, state),
                repr(migrations.files),
                repr(files),
                *self.scope.translated_models,
            )
            side = cache.load() if files is not None and cache.files(key) is not None else None
            if side is None:
                try:
                    side = build_models_schema(
                        self.scratch, metadata, migrations.schema, translated=translated
                    )
                except (NoScratchDatabase, ModelsBroken) as error:
                    self.unchecked.append(f"models were not compared: {error.message}")
                    return None
                cache.write(key, replace(side, files=files))
        self.sides["models"] = side.source
        self.unchecked += side.unchecked
        return side

    def _judge(
        self, state: TargetState, migrations: BuiltSchema | None, models: BuiltSchema | None
    ) -> Report:
        graph, recorded = self.target.graph, state.recorded or ()
        known = replace(models.schema, grants=self.grants) if models else None
        unknown = graph.unknown(recorded)
        behind = state.schema is not None and bool(state.pending)
        made = migrations.schema if migrations else None
        schemas = ComparedSchemas(known, made, state.schema)
        report = partial(build_report, rules=self.rules, scope=self.scope)
        if state.drift is not None and state.drift.state == "equal":
            # What the newer release has made of the database is as it left it.
            return report(ComparedSchemas(known, made, None), behind=False, ahead=True)
        if made is not None and untracked_tables(state, migrations, models):
            return report(schemas, behind=False, ahead=False, untracked=True)
        if migrations is None or not behind or unknown:
            return report(schemas, behind=behind, ahead=bool(unknown))
        # What the pending revisions will change is theirs; what differs from here is by hand.
        with self._timed("migrations so far"):
            so_far = self._built(recorded)
            so_far = with_owner(so_far, state) if so_far else None
        ahead = ComparedSchemas(known, migrations.schema, None)
        if so_far is None:
            return report(schemas, behind=True, ahead=False)
        assert state.schema is not None
        # PostgreSQL cannot remove a value from a type, and so a downgrade may leave it.
        database = without_values_to_come(state.schema, so_far.schema, migrations.schema)
        here = ComparedSchemas(None, so_far.schema, database)
        return report(ahead, behind=False, ahead=False) + report(
            here, behind=False, ahead=False, untracked=not recorded
        )

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        self.target.server.on_event(PhaseStarted(_PHASES[part]))
        started = time.monotonic()
        yield
        self.seconds[part] = round(time.monotonic() - started, 3)
