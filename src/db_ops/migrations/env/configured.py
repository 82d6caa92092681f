"""Which schema env.py has chosen where it calls `context.configure`, and a check that it is the
one that is meant.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from db_ops.errors import OtherSchema
from db_ops.errors.quote_ident import quote_ident

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

SEARCH_PATH = re.compile(r"\s*SET\s+(?:SESSION\s+)?search_path\s*(?:TO|=)\s*(.+?)\s*;?\s*\Z", re.I)
_FIRST = re.compile(r"""\s*(?:"((?:[^"]|"")*)"|'((?:[^']|'')*)'|([^\s,"']+))""")
_LIBRARY = f"{os.sep}alembic{os.sep}"
_OURS = str(Path(__file__).parents[2]) + os.sep


class Configured(NamedTuple):
    """A call of `context.configure`: the schema of the version table, if it is named, the
    search path that was set before, the table, and the file and line.
    """

    schema: str | None
    path: str | None
    table: str
    place: str

    @property
    def where(self) -> str | None:
        """The schema that the version table is in; None if env.py does not choose one."""
        return self.schema or (first_schema(self.path) if self.path else None)


def tables_of(configured: Sequence[Configured]) -> tuple[tuple[str | None, str], ...]:
    """Return the schema and name of each version table, None for the schema of the session."""
    several = len({one.where for one in configured}) > 1
    tables = ((one.where if several else one.schema, one.table) for one in configured)
    return tuple(dict.fromkeys(tables))


def first_schema(path: str) -> str | None:
    """Return the first schema of a search path, as it was written."""
    found = _FIRST.match(path)
    if found is None:
        return None
    quoted, text, plain = found.groups()
    if quoted is not None:
        return quoted.replace('""', '"')
    # A text is a name as it stands, and a name without quotes is in lower case.
    return text.replace("''", "'") if text is not None else plain.lower()


def configured_now(
    scripts: ScriptDirectory, options: dict[str, Any], statements: Sequence[str]
) -> Configured:
    """Return what the call of `configure` with *options*, that is on the stack, has chosen.

    *statements* are what env.py has run before.
    """
    paths = (match[1] for match in map(SEARCH_PATH.match, reversed(statements)) if match)
    env_py = str(Path(scripts.dir, "env.py"))
    return Configured(
        options.get("version_table_schema"),
        next(paths, None),
        options.get("version_table") or "alembic_version",
        _place(env_py),
    )


def _place(env_py: str) -> str:
    """Return the line of env.py that is being run, or of the project's module that it has called.

    The innermost of those that are neither ours nor Alembic's.
    """
    frame = sys._getframe()
    while frame is not None and _is_library(frame.f_code.co_filename):
        frame = frame.f_back  # type: ignore[assignment]  # None ends it
    if frame is None:
        return os.path.relpath(env_py)
    return f"{os.path.relpath(frame.f_code.co_filename)}:{frame.f_lineno}"


def _is_library(file: str) -> bool:
    packages = "site-packages" in file or "dist-packages" in file
    return file.startswith((_OURS, "<")) or (packages and _LIBRARY in file)


def check_configured(called: Configured, schema: str, connection: Connection) -> None:
    """Check on *connection*, before anything runs, that the version table is in *schema*.

    Raises `OtherSchema`.
    """
    found = called.schema
    if found is None:
        name = quote_ident(called.table).replace("'", "''")
        row = connection.exec_driver_sql(
            "SELECT coalesce((SELECT nspname FROM pg_class c JOIN pg_namespace n"
            f" ON n.oid = c.relnamespace WHERE c.oid = to_regclass('{name}')), current_schema())",
            execution_options={"no_parameters": True},
        ).fetchone()
        connection.rollback()
        found = row[0] if row else None
    if found != schema:
        raise OtherSchema(called.place, schema, f"schema {found}" if found else "no schema")
