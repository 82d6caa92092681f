"""Run a revision up, down and up again in a scratch database whose tables have rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from db_ops.builds.built_schema import read_schema_on
from db_ops.builds.measured_run import measure_upgrade
from db_ops.errors import DbOpsError, NotMeasurable
from db_ops.generation import describe_change, is_left_by_downgrade, relevant_changes
from db_ops.generation.row_proof import RowProof
from db_ops.migrations.env.runner import run_steps
from db_ops.postgres.schema.compare import compare_schemas
from db_ops.postgres.schema.objects import Change, Schema
from db_ops.results import PhaseStarted, Revision, UnsafePattern
from db_ops.target.apply import apply_pending
from db_ops.target.step_plans import revert_plan
from db_ops.target.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


@dataclass
class ProofResult:
    """What running a revision in a scratch database has shown, and the `schema` that it makes."""

    schema: Schema | None = None
    unproven: tuple[str, ...] = ()
    unsafe: tuple[UnsafePattern, ...] = ()
    unchecked: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()

    def measure(self, new: Target, recorded: tuple[str, ...]) -> None:
        """Apply what is pending after *recorded*, and keep what is unsafe about it."""
        try:
            measurement = measure_upgrade(new, recorded)
        except NotMeasurable as error:
            # It ran, all the same.
            self.unchecked += (error.message,)
        else:
            self.unsafe += tuple(one for part in measurement.revisions for one in part.unsafe)


@dataclass(frozen=True)
class ProofRun:
    """A *revision* that is to lead from the schema *start* to that of the *models*."""

    start: Schema
    models: Schema
    is_relevant: Callable[[Change], bool]
    revision: Revision
    irreversible: bool

    def on(self, new: Target, rows: RowProof, session: Connection) -> ProofResult | None:
        """Run it up, down and up again in the scratch database of *new*, which gets *rows*.

        *session* looks on all the while: a new one would have to get to know the catalogs first.
        None if that has to be tried with other rows.
        """
        watch = new.server.watch
        assert watch is not None
        watch.on_refusal = rows.refused
        seen = ProofResult()
        try:
            self._run(new, rows, session, seen)
        except DbOpsError as error:
            if not rows.take(error):
                seen.unproven += (error.message,)
        finally:
            watch.on_refusal = None
        return None if rows.is_noted else seen

    def _run(self, new: Target, rows: RowProof, session: Connection, seen: ProofResult) -> None:
        tell, steps = new.server.on_event, 1 if self.irreversible else 3
        tell(PhaseStarted("filling the tables to try the revision on"))
        rows.fill(new, session)
        tell(PhaseStarted("trying the revision: upgrade", 1, steps))
        seen.measure(new, new.recorded_on(session))
        seen.schema = read_schema_on(new, session)
        seen.unproven += tuple(
            f"models and migrations still differ: {describe_change(change)}"
            for change in relevant_changes(self.models, seen.schema, self.is_relevant)
        )
        rows.look(new, session)
        if self.irreversible:
            return
        rows.direction = "downgrade"
        tell(PhaseStarted("trying the revision: downgrade", 2, steps))
        plan = revert_plan(new, new.recorded_on(session), (self.revision.id,))
        run_steps(new.run(plan), lock_retries=0)
        left = compare_schemas(self.start, read_schema_on(new, session))
        seen.unproven += tuple(
            f"downgrade does not lead back: {describe_change(change)}"
            for change in left
            if not is_left_by_downgrade(change)
        )
        rows.look(new, session)
        rows.direction = "second upgrade"
        tell(PhaseStarted("trying the revision: second upgrade", 3, steps))
        apply_pending(new, new.recorded_on(session))
