"""What `doctor` reports of an env.py that does not call `db_ops.run_migrations`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from db_ops.migrations.foreign_env.inspection import EnvInspection, needs_own_connection
from db_ops.migrations.project import Project

EnvPyFinding = tuple[str, str | None]

_OWN_LOCK = re.compile(r"\bpg_(?:try_)?advisory_(?:xact_)?lock\b")
_WRITTEN = (
    (r"\bfileConfig\(", "sets up logging from the ini: not done under db_ops", None),
    (
        r"\bcontext\.is_offline_mode\(\)",
        "has an offline mode, for `alembic upgrade --sql`",
        None,
    ),
    (r"\bcurrent_app\b", "needs Flask's application: entered as the `flask` command does", None),
    (
        r"directives\[:\]\s*=\s*\[\]|directives\.clear\(\)",
        "empties its directives where nothing changed: `alembic check` fails, `verify` does not",
        None,
    ),
    (
        r"\basyncio\.run\(|\.run_until_complete\(",
        "starts an event loop: run in a thread where one runs already",
        None,
    ),
)


def env_py_findings(project: Project, inspection: EnvInspection) -> Iterator[EnvPyFinding]:
    """Yield what env.py does, each with a recommendation or None."""
    text = project.env_py.read_text(errors="replace")
    for pattern, note, advice in _WRITTEN:
        if re.search(pattern, text):
            yield note, advice
    yield from _of_statements(inspection)
    if needs_own_connection(project):
        yield "revisions run coroutines: they keep env.py's own connection, to our database", None
    if inspection.version_locations:
        folders = ", ".join(map(project.display, inspection.version_locations))
        yield f"sets its version locations itself: {folders}", None
    if len(inspection.tables) > 1:
        names = ", ".join(".".join(filter(None, table)) for table in inspection.tables)
        yield f"keeps several version tables: {names}", None
    if "transaction_per_migration" not in inspection.options:
        yield "runs all revisions in one transaction: under db_ops, each has its own", None
    if "compare_type" not in inspection.options:
        yield (
            "does not set what autogenerate compares: db_ops compares everything in the catalogs",
            None,
        )
    yield from _of_metadata(inspection.metadata)


def _of_statements(inspection: EnvInspection) -> Iterator[EnvPyFinding]:
    if any(map(_OWN_LOCK.search, inspection.statements)):
        yield (
            "takes an advisory lock before context.configure(); under the plain command that begins"
            " a transaction, and nothing is committed unless env.py does it",
            "leave the lock to db_ops, or commit after it: connection.commit()",
        )
    if inspection.search_path is not None:
        yield f"sets search_path to {inspection.search_path}: set for our sessions too", None
    others = [one for one in inspection.statements if not _OWN_LOCK.search(one)]
    if others:
        by = inspection.answered_by
        seen = f", answered by {by}; asked again by each command" if by else ""
        if inspection.not_answered:
            seen = f"; nobody could answer ({inspection.not_answered}): what follows is not known"
        yield f"runs {len(others)} statements before context.configure(){seen}", None


def _of_metadata(metadata: Any) -> Iterator[EnvPyFinding]:
    several = metadata if isinstance(metadata, list | tuple) else [metadata]
    if metadata is None:
        yield (
            "has no target_metadata: models cannot be compared",
            "name their modules in pyproject.toml: [tool.db_ops] models = "
            '["package.module"], or give context.configure their metadata, as target_metadata',
        )
    elif not any(one.tables for one in several):
        yield (
            "the metadata of the models is empty",
            "import the modules of the models in env.py before their metadata is used",
        )
    else:
        tables = sum(len(one.tables) for one in several)
        yield f"gives Alembic the metadata of {tables} tables", None
