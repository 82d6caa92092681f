"""Build the schema of the migrations, or of the models, in a scratch database and read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from db_ops.builds.scratch import ScratchDatabases
from db_ops.migrations.autogenerate.incomplete_models import (
    missing_table,
    without_unresolved_keys,
)
from db_ops.migrations.autogenerate.models import create_models
from db_ops.postgres.catalog import current_role
from db_ops.postgres.failure_tolerant_cursor import FailedStatement, StatementErrorHandler
from db_ops.postgres.missing_extension import MissingExtension, missing_extension
from db_ops.postgres.schema.dependencies import (
    create_extension,
    required_statements,
    schema_and_extension_statements,
    with_unbuilt_objects,
    with_undefined_tables,
)
from db_ops.postgres.schema.identifiers import unquoted_parts
from db_ops.postgres.schema.objects import Schema
from db_ops.postgres.schema.reading import read_schema
from db_ops.target.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_NOT_TABLES = ("view", "materialized view", "foreign table")
# Nothing of what is built has to survive a crash, and each statement commits.
_QUICK = "SET synchronous_commit = off; SET check_function_bodies = off"


@dataclass(frozen=True)
class BuiltSchema:
    """A schema that was built for a comparison, and its `source`.

    That is `template`, `migrations` (they ran), `bootstrap` (no revision ran), `models` (they were
    built), `database` or `cache`. `unchecked` says what could not be built, and so is left out of
    every comparison; `refused` is the same in detail, unless it comes from the cache. `skipped`
    names tables of the models that stand for a view of the migrations. `role` built it. `files`
    are what it was built from beyond what `BuildInputs` knows, None if that is not certain.
    """

    schema: Schema
    source: str
    unchecked: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    role: str = ""
    files: Mapping[str, str] | None = None
    refused: tuple[RefusedModel, ...] = ()


@dataclass(frozen=True)
class RefusedModel:
    """A statement of the models that the server has refused, and what may be missing for it."""

    failure: FailedStatement
    extension: MissingExtension | None


def build_migrations_schema(
    scratch: ScratchDatabases, *, grants: bool = False, revisions: tuple[str, ...] | None = None
) -> BuiltSchema:
    """Upgrade a scratch database to head, or copy the template of that, and read it.

    With *revisions*, up to those and no further. Raises `NoScratchDatabase`,
    `ScratchServerDiffers`, and what migrations raise.
    """
    with scratch.migrated_database(revisions) as (target, origin):
        role = current_role(scratch.connection)
        schema = read_built_schema(target, grants=grants)
        return BuiltSchema(schema, origin.source, role=role, files=origin.files)


def build_models_schema(
    scratch: ScratchDatabases,
    metadata: Any,
    migrations: Schema,
    extensions: Iterable[str] = (),
    translated: Mapping[str | None, str] = MappingProxyType({}),
) -> BuiltSchema:
    """Run `create_all` for *metadata* (one, or a list) in a scratch database, and read that.

    What models refer to and cannot make, as schemas, extensions and functions, is made as
    *migrations* have it; so are further *extensions*. A table that stands for a view of theirs is
    left out, and so is what the server refuses to make: then `unchecked` and `refused` say what and
    why, and the schema has it as *migrations* do. Schemas are *translated* as env.py does it. Never
    with grants: models have none. Raises `NoScratchDatabase`, `ScratchServerDiffers`, and what
    SQLAlchemy says of models that make no sense.
    """
    views = {
        ".".join(unquoted_parts(name)) for kind, name in migrations.objects if kind in _NOT_TABLES
    }
    error_handler = StatementErrorHandler(
        lambda statement: required_statements(migrations, statement)
    )
    with scratch.empty_database() as target:
        server = target.server
        with (
            closing(server.connect()) as connection,
            server.translate_errors("building the models"),
        ):
            if server.watch is not None:
                # What a model's own DDL event does may be all that a revision may do.
                server.watch.attach(connection)
            error_handler.watch(connection)
            with connection.cursor() as cursor:
                cursor.execute(_QUICK)
                for statement in schema_and_extension_statements(migrations):
                    cursor.execute(statement)
                for name in extensions:
                    cursor.execute(create_extension(name))
            with without_unresolved_keys(metadata) as untyped:
                skipped = create_models(metadata, connection, target.project, views, translated)
                error_handler.commit(connection)
            failed = error_handler.failed
            refused = tuple(
                RefusedModel(one, missing_extension(connection, one.statement)) for one in failed
            )
            schema = read_schema_on(target, connection)
    unchecked = tuple(
        f"models: {one.summary!r} was refused and is not compared: {one.reason}" for one in failed
    )
    schema = with_unbuilt_objects(schema, migrations, failed)
    if untyped is not None:
        schema = with_undefined_tables(schema, migrations, untyped)
        unchecked += (_incomplete(target, metadata),)
    return BuiltSchema(schema, "models", unchecked, skipped, refused=refused)


def _incomplete(target: Target, metadata: Any) -> str:
    missing = missing_table(target.project, metadata)
    assert missing is not None
    return (
        f"models: a part of them was never imported, so tables without a model are not compared: "
        f"{missing.message}; {missing.hint}"
    )


def read_built_schema(target: Target, *, grants: bool = False) -> Schema:
    """Read the schema of *target*'s database on a connection of its own."""
    with target.server.target() as connection:
        return read_schema_on(target, connection, grants=grants)


def read_schema_on(target: Target, connection: Connection, *, grants: bool = False) -> Schema:
    """Read the schema of *target*'s database, with what *connection* has not committed yet."""
    return read_schema(
        connection,
        grants=grants,
        version_table=target.project.version_table,
        version_schema=target.project.version_table_schema,
    )
