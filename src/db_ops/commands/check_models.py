"""Compare models and migrations in scratch databases, without the target."""

from __future__ import annotations

import shlex

from db_ops.builds.built_schema import read_built_schema
from db_ops.builds.schema_file import schema_file_difference, write_schema_file
from db_ops.builds.test_databases import database_factory
from db_ops.commands.verify import verify
from db_ops.errors import UsageError
from db_ops.frozen_data import replace
from db_ops.generation.running_release import check_release
from db_ops.results import OnEvent, SchemaFile, Verified, ignore
from db_ops.settings import Settings
from db_ops.target.target import Target


def check_models(
    settings: Settings,
    *,
    write: bool = False,
    against: str | None = None,
    on_event: OnEvent = ignore,
) -> Verified:
    """Verify the models against a database that the migrations make for it, and that goes again.

    For hooks and CI. *settings* are those for tests (`load(for_tests=True)`): the server is that of
    `DB_OPS_TEST_URL` or the embedded one, whatever `DATABASE_URL` says. Unchanged migrations are
    not run again. A schema file that is not what the migrations make is a difference; with *write*
    it is written. *against* names a release, a tag or commit of git: whether its models survive the
    revisions after it is found out too. Raises what `verify`, `init` and `check_release` raise.
    """
    if write and settings.schema_file is None:
        raise UsageError(
            "check-models: --write: the project names no schema file",
            'name it in pyproject.toml: [tool.db_ops] schema_file = "schema.sql"; then:'
            " db-ops check-models --write",
        )
    with database_factory(settings, on_event=on_event) as made:
        url = made.create()
        try:
            found = verify(replace(settings, url=url), on_event=on_event)
            assert isinstance(found, Verified)  # the other kind is for a look that is quick
            if against is not None:
                command = f"db-ops check-models --against {shlex.quote(against)}"
                found = replace(found, release=check_release(made.target, against, command))
            if settings.schema_file is not None:
                at = made.target.at(replace(made.target.server, url=url))
                found = _with_schema_file(found, at, write=write)
        finally:
            made.drop(url)
    return replace(found, location="a new database")


def _with_schema_file(found: Verified, made: Target, *, write: bool) -> Verified:
    """Return what was *found*, and how the schema file compares with the database *made*."""
    settings, heads, schema = made.settings, made.graph.heads, read_built_schema(made)
    file = SchemaFile(settings.schema_file or "")
    if write:
        file = write_schema_file(settings, heads, schema)
    difference = schema_file_difference(settings, heads, schema)
    differences = (*found.differences, difference) if difference else found.differences
    return replace(found, differences=differences, schema_file=file)
