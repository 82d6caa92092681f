"""Replace the target by a migrated database, in the quickest way that its environment allows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from db_ops.builds.builder import Builder
from db_ops.builds.template_builder import BuildResult
from db_ops.migrations.build_inputs import BuildInputs
from db_ops.postgres.own_databases import drop_unused_databases
from db_ops.postgres.undo import PresentTarget
from db_ops.results import Initialised
from db_ops.target.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


def build_target(
    target: Target,
    connection: Connection,
    from_migrations: bool,
    *,
    replaces: bool,
    present: PresentTarget | None = None,
    seeds: tuple[str, ...] = (),
) -> Initialised | None:
    """Replace the target by a copy of a template, or by what will be one, if that can be done.

    With *seeds*, it holds what they write. A target that is replaced is built beside it in any
    case, if that can be done.
    """
    if from_migrations and not replaces:
        return None
    builder = None
    if not from_migrations:
        builder = Builder.of(target, connection, replaces=replaces, present=present, seeds=seeds)
    if builder is not None:
        built = builder.build()
    else:
        built = _build_replacement(target, connection, present, seeds) if replaces else None
    if built and builder and target.settings.spare:
        from db_ops.builds.worker import prepare_in_background

        prepare_in_background(target, seeds)
    elif built and present:
        drop_unused_databases(connection)
    if built is None:
        return None
    return Initialised(
        location=target.location,
        heads=target.graph.heads,
        steps=built.steps,
        created=True,
        mark=target.settings.environment,
        origin=built.origin,
        seeded=built.seeded,
    )


def _build_replacement(
    target: Target, connection: Connection, present: PresentTarget | None, seeds: tuple[str, ...]
) -> BuildResult | None:
    """Run the migrations and the *seeds* in a scratch database and replace the target by it.

    In any environment. None, and nothing has changed, where the name of the database matters to a
    revision, or a pooler knows no other one.
    """
    inputs = BuildInputs(target.project, target.settings.cache_folder, seeds)
    builder = Builder(target, connection, inputs, "", replaces=True, present=present)
    return builder.migrate(time.monotonic(), keep=False)
