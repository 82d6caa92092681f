"""What Alembic's own comparison says, and what the options of env.py leave out of any other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from db_ops.builds.scratch import ScratchDatabases
from db_ops.errors import ModelTableMissing, NoScratchDatabase
from db_ops.migrations.autogenerate.models import has_tables
from db_ops.migrations.autogenerate.run import run_autogenerate, run_where_it_can
from db_ops.migrations.autogenerate.scope import AutogenerateScope
from db_ops.migrations.env.run_env import load_models
from db_ops.target.target import Target

NOT_AT_HEAD = "alembic check did not run: the database is not known to be at the head"


@dataclass
class AutogenerateCheck:
    """The models' `metadata`, and the `operations` that Alembic would write, if it was asked.

    `blind` says what it cannot compare, `unchecked` why it was not asked as it should be.
    """

    metadata: Any
    scope: AutogenerateScope
    operations: tuple[str, ...] | None = None
    blind: tuple[str, ...] = ()
    unchecked: list[str] = field(default_factory=list)


def check_by_alembic(
    target: Target, scratch: ScratchDatabases, *, clean: bool, built: bool
) -> AutogenerateCheck:
    """Run `alembic check`, if the database is *clean*, at head; elsewhere env.py without one.

    Its filters are then asked about what the migrations build, if that can be *built*.
    """
    if not clean:
        return _without_database(target, scratch, built=built)
    try:
        session, why = run_where_it_can(target.project, target, scratch.migrated_database)
    except ModelTableMissing:
        # Told with what is compared of the models.
        return AutogenerateCheck(*load_models(target.project, target.scripts))
    if not has_tables(session.metadata):
        # Without a model, every table would be one to remove.
        return AutogenerateCheck(session.metadata, session.scope)
    said = [f"alembic check ran on what the migrations make: {why}"] if why else []
    operations = tuple(session.scope.diffs)
    return AutogenerateCheck(session.metadata, session.scope, operations, session.unchecked, said)


def _without_database(
    target: Target, scratch: ScratchDatabases, *, built: bool
) -> AutogenerateCheck:
    found = AutogenerateCheck(*load_models(target.project, target.scripts), unchecked=[NOT_AT_HEAD])
    if built and has_tables(found.metadata) and found.scope.is_narrowed:
        try:
            with scratch.migrated_database() as (work, _):
                found.scope = run_autogenerate(target.project, work).session.scope
        except NoScratchDatabase as error:
            found.unchecked.append(f"the filters of env.py were not asked: {error.message}")
    return found
