"""Create the tables of the models in an empty database, as `metadata.create_all` does."""

from __future__ import annotations

from collections.abc import Container, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from db_ops.errors import DbOpsError, ModelsBroken
from db_ops.migrations.autogenerate.comparison import remove_copied_constraints
from db_ops.migrations.autogenerate.model_source import declared_at
from db_ops.migrations.env.error_location import describe_failure
from db_ops.migrations.project import Project

if TYPE_CHECKING:
    from psycopg2.extensions import connection as DriverConnection
    from sqlalchemy import Connection, MetaData


def metadatas(target_metadata: Any) -> tuple[MetaData, ...]:
    """Return `target_metadata` of env.py, one `MetaData` or several, as a tuple."""
    if target_metadata is None:
        return ()
    several = isinstance(target_metadata, list | tuple | set | frozenset)
    return tuple(target_metadata) if several else (target_metadata,)


def schemas_of(target_metadata: Any) -> tuple[str, ...]:
    """Return the schemas of the models, without the default one."""
    found = {table.schema for one in metadatas(target_metadata) for table in one.tables.values()}
    return tuple(sorted(filter(None, found)))


def named_types(metadata: MetaData) -> tuple[Any, ...]:
    """Return the enums and domains of the columns that no table creates: `create_type=False`."""
    from sqlalchemy.dialects.postgresql import DOMAIN, ENUM
    from sqlalchemy.types import ARRAY, TypeDecorator

    found: list[Any] = []
    for table in metadata.tables.values():
        for column in table.columns:
            one: Any = column.type
            while isinstance(one, ARRAY | TypeDecorator):
                one = one.item_type if isinstance(one, ARRAY) else one.impl_instance
            if isinstance(one, ENUM | DOMAIN) and one.name and not one.create_type:
                found.append(one)
    return tuple(found)


def has_tables(target_metadata: Any) -> bool:
    """Tell whether there is any model at all."""
    return any(one.tables for one in metadatas(target_metadata))


def unnamed_index_error(target_metadata: Any, source: str) -> ModelsBroken | None:
    """Return the error for an index that has no name, of which SQLAlchemy only asserts that."""
    for metadata in metadatas(target_metadata):
        for table in metadata.tables.values():
            if any(index.name is None for index in table.indexes):
                reason = f'an index of {table.name} has no name, the naming convention no "ix"'
                return ModelsBroken(source, reason)
    return None


def broken_models(project: Project, error: BaseException) -> ModelsBroken:
    """Return the error for models that SQLAlchemy cannot build, with the line that declares them.

    That is what it names in its message; without any, env.py.
    """
    source, place = project.display(project.env_py), declared_at(error)
    if place is None:
        return ModelsBroken(source, describe_failure(error))
    path = project.display(place.path)
    return ModelsBroken(path, describe_failure(error), place.line, place.code, source)


def create_models(
    target_metadata: Any,
    driver_connection: DriverConnection,
    project: Project,
    skip: Container[str] = (),
    translated: Mapping[str | None, str] = MappingProxyType({}),
) -> tuple[str, ...]:
    """Run `create_all` on *driver_connection*, but for the tables that *skip* names.

    Names there are `schema.table`, without quotes; schemas are *translated* as by
    `schema_translate_map`. Returns those skipped. What the server refuses
    is raised as psycopg2 raises it, unless the connection takes care of it. Raises `ModelsBroken`
    for models that make no sense.
    """
    broken = unnamed_index_error(target_metadata, project.display(project.env_py))
    if broken is not None:
        raise broken
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import StaticPool

    engine = create_engine(
        "postgresql+psycopg2://",
        creator=lambda: driver_connection,
        poolclass=StaticPool,
        pool_reset_on_return=None,
        isolation_level="AUTOCOMMIT",
    )
    try:
        with engine.connect() as connection:
            connection = connection.execution_options(schema_translate_map={**translated})
            return _create(connection, target_metadata, skip, translated)
    except DBAPIError as error:
        raise (error.orig or error) from None
    except DbOpsError:
        raise
    except Exception as error:
        # SQLAlchemy's, or that of a listener of the project's.
        raise broken_models(project, error) from error


def _create(
    connection: Connection,
    target_metadata: Any,
    skip: Container[str],
    translated: Mapping[str | None, str],
) -> tuple[str, ...]:
    from sqlalchemy.schema import CreateSchema

    remove_copied_constraints(metadatas(target_metadata))
    default = connection.dialect.default_schema_name or "public"
    types = [one for metadata in metadatas(target_metadata) for one in named_types(metadata)]
    schemas = (*schemas_of(target_metadata), *sorted({one.schema for one in types if one.schema}))
    for schema in dict.fromkeys(translated.get(one, one) for one in schemas):
        connection.execute(CreateSchema(schema, if_not_exists=True))
    for one in types:
        one.create(connection, checkfirst=True)
    skipped: list[str] = []
    for metadata in metadatas(target_metadata):
        named = {
            f"{translated.get(table.schema, table.schema) or default}.{table.name}": table
            for table in metadata.tables.values()
        }
        left_out = [name for name in named if name in skip]
        wanted = [table for name, table in named.items() if name not in skip]
        # Without a list, types and sequences that belong to no table are created too.
        metadata.create_all(connection, tables=wanted if left_out else None)
        skipped += left_out
    return tuple(skipped)
