"""See that env.py, run for one schema of a fleet, keeps its version table there and nowhere else.

What env.py configures is known before anything runs. Where it leaves the place of the version table
to the search path, the server tells.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from db_ops.errors import OtherSchema
from db_ops.migrations.env.tenant_names import how_to_tell
from db_ops.postgres.version_table import seen_in
from db_ops.settings import Settings

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from db_ops.migrations.foreign_env.inspection import EnvInspection
    from db_ops.migrations.project import Project
    from db_ops.target.target import Target

_ASKED = re.compile(r"^\S+ (?:x = \[\"|environment = \{)(\w+)")
_TAKE = "as search_path of its session, and as version_table_schema of context.configure"


def check_meant(settings: Settings, project: Project, inspection: EnvInspection) -> None:
    """Refuse an env.py that would migrate other schemas than that of *settings*.

    Raises `OtherSchema`.
    """
    schema = settings.schema
    if schema is None:
        return
    every = dict.fromkeys(one.where for one in inspection.configured)
    for one in inspection.configured:
        if len(every) > 1:
            found = ", ".join(str(name or "the default") for name in every)
            raise OtherSchema(one.place, schema, f"{found} in one run", _all_of_them(inspection))
        # Without a choice of its own it gets ours.
        if one.where not in (schema, None) or (one.where is None and _is_told(settings)):
            where = "the schema of the connection" if one.where is None else f"schema {one.where}"
            raise OtherSchema(one.place, schema, where, _remedy(settings, project))


def check_version_table(target: Target, connection: Connection) -> None:
    """Refuse to read a version table of another schema than the one that is meant.

    Raises `OtherSchema`.
    """
    settings, project = target.settings, target.project
    if settings.schema is None or project.version_table_schema is not None:
        return
    found = seen_in(connection, project.version_table)
    # One that is not there yet may be made by env.py.
    if found not in (settings.schema, None):
        place = project.display(project.env_py)
        raise OtherSchema(place, settings.schema, f"schema {found}", _remedy(settings, project))


def _is_told(settings: Settings) -> bool:
    return settings.version_table_schema is None


def _remedy(settings: Settings, project: Project) -> str:
    wanted = how_to_tell(project.env_py.read_text(errors="replace"))
    told = {*settings.x, *(f"{name}={value}" for name, value in settings.variables)}
    if not told:
        return f"tell env.py which one it is run for: {wanted}"
    what = ", ".join(sorted(told))
    asked = _ASKED.search(wanted)
    if asked and asked[1] not in {one.partition("=")[0] for one in told}:
        return f"[tool.db_ops.fleet] has told it {what}, and it asks for {asked[1]}: {wanted}"
    return f"[tool.db_ops.fleet] has told it {what}; let env.py take that {_TAKE}"


def _all_of_them(inspection: EnvInspection) -> str:
    """Say what migrates all of them, as env.py means it, or what it needs for one of them."""
    if all(one.where for one in inspection.configured):
        return "env.py migrates all of them itself: db-ops upgrade"
    return f"let env.py take one schema, {_TAKE}; or, for all of them: alembic upgrade head"
