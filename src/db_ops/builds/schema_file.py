"""The file in which a project keeps the schema that its migrations make, for people to review.

It is a function of the revision files: no database that is in use has a say in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path

from db_ops.builds.built_schema import build_migrations_schema
from db_ops.builds.phases import revisions_as_phase
from db_ops.builds.scratch import ScratchDatabases
from db_ops.errors import DbOpsError
from db_ops.frozen_data import replace
from db_ops.migrations.cache_files import write_atomically
from db_ops.postgres.schema.objects import Schema
from db_ops.postgres.schema.script import schema_script
from db_ops.results import Difference, SchemaFile
from db_ops.settings import Settings
from db_ops.target.target import Target

REWRITE = "db-ops check-models --write"
_FIRST_LINE = "-- The schema that the migrations make, written by db-ops; not to be edited."
_KIND = "schema-file"
_NEW_FILE = 0o644


def schema_file_text(heads: Iterable[str], schema: Schema) -> str:
    """Return what the schema file has to hold where the migrations make *schema* up to *heads*."""
    revisions = "".join(f"-- revision: {head}\n" for head in sorted(heads))
    return f"{_FIRST_LINE}\n{revisions}\n{schema_script(schema)}"


def write_schema_file(settings: Settings, heads: Iterable[str], schema: Schema) -> SchemaFile:
    """Write the schema file, unless it is as it should be; what it cannot do is in the result."""
    path, name = _path(settings)
    text = schema_file_text(heads, schema)
    try:
        before = _read(path)
        if before is not None and not _is_ours(before):
            return SchemaFile(name, problem="it is there, and was not written by db-ops")
        if _first_difference(before, text) is None:
            return SchemaFile(name)
        mode = _NEW_FILE if before is None else path.stat().st_mode
        # A link stays one.
        write_atomically(path.resolve(), text.encode(errors="surrogateescape"))
        path.chmod(mode)
    except OSError as error:
        return SchemaFile(name, problem=error.strerror or str(error))
    return SchemaFile(name, written=True)


def update_schema_file(target: Target) -> SchemaFile | None:
    """Write the schema file from a scratch database, where the settings want it written.

    What is built for that is the template of the next database. Nothing that goes wrong is a
    failure of the command: it has done what it was asked to.
    """
    settings = target.settings
    if not settings.writes_schema_file:
        return None
    told = revisions_as_phase(target.server.on_event)
    try:
        quiet = target.at(replace(target.server, on_event=told))
        with ScratchDatabases(quiet) as scratch:
            built = build_migrations_schema(scratch)
    except DbOpsError as error:
        return SchemaFile(_path(settings)[1], problem=error.message)
    return write_schema_file(settings, target.graph.heads, built.schema)


def schema_file_difference(
    settings: Settings, heads: Iterable[str], schema: Schema
) -> Difference | None:
    """Return in what the schema file is not what the migrations make, None if in nothing."""
    path, name = _path(settings)
    try:
        before = _read(path)
    except OSError as error:
        return Difference(_KIND, f"{name}: cannot be read: {error.strerror}", "db-ops check-models")
    if before is None:
        return Difference(_KIND, f"{name}: there is no such file", REWRITE)
    if not _is_ours(before):
        said = f"{name}: not written by db-ops; name another in [tool.db_ops] schema_file"
        return Difference(_KIND, f"{said}, or remove this one", REWRITE)
    found = _first_difference(before, schema_file_text(heads, schema))
    if found is None:
        return None
    line, has, made = found
    values = {"file": has, "migrations": made}
    said = f"{name}: not what the migrations make, from line {line} on"
    return Difference(_KIND, said, REWRITE, values=values)


def _path(settings: Settings) -> tuple[Path, str]:
    assert settings.schema_file is not None
    return settings.root / settings.schema_file, settings.schema_file


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode(errors="surrogateescape")
    except FileNotFoundError:
        return None


def _is_ours(text: str) -> bool:
    return not text.strip() or text.startswith(_FIRST_LINE)


def _first_difference(before: str | None, text: str) -> tuple[int, str | None, str | None] | None:
    """Return the first line that differs, and what it is in both; None if none does.

    Without the space at the end of lines, which editors, Git and its hooks change.
    """
    lines = ((one or "").rstrip().splitlines() for one in (before, text))
    sides = ([line.rstrip() for line in one] for one in lines)
    for number, (has, made) in enumerate(zip_longest(*sides), start=1):
        if has != made:
            return number, has, made
    return None
