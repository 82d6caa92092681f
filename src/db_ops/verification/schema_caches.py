"""Which cached schema may stand in for one that would be built for a comparison."""

from __future__ import annotations

from db_ops.builds.schema_cache import SchemaCache, content_key
from db_ops.migrations.build_inputs import BuildInputs
from db_ops.target.target import Target
from db_ops.verification.target_state import TargetState


def side_cache(
    target: Target, inputs: BuildInputs, state: TargetState, side: str, *, grants: bool
) -> SchemaCache:
    """Return the cache of the migrations' or the models' schema, on a server as *state*'s."""
    major = state.schema.major if state.schema else 0
    settings = target.settings
    name = f"{side} {major} {grants and side == 'migrations'} {inputs.env_py_arguments}"
    return SchemaCache.read(settings.cache_folder, settings.alembic_ini, name)


def migrations_key(target: Target, inputs: BuildInputs, state: TargetState) -> str:
    """Return what the schema of the migrations depends on, beyond the files that they use."""
    scratch, project = target.settings.scratch_url, target.project
    return content_key(
        inputs.digest,
        state.server_defaults,
        scratch.location if scratch else "",
        project.version_table,
        project.version_table_schema or "",
    )
