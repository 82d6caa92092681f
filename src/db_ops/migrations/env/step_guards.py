"""Keep what a revision does, and what is recorded of it, with the role and in the schema meant."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol

from db_ops.errors import OtherMembersChanged, OtherSchema
from db_ops.errors.quote_ident import in_quotes
from db_ops.migrations.env.runtime import run_settings
from db_ops.settings import Settings

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationStep
    from sqlalchemy import Connection

_PATH = "SELECT current_schema(), current_setting('search_path')"
# What was created, altered or dropped in this transaction, and not what a foreign key refers to.
_CHANGED = """
    SELECT DISTINCT n.nspname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE l.pid = pg_backend_pid() AND l.mode = 'AccessExclusiveLock' AND l.granted
      AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND n.nspname !~ '^pg_'
    ORDER BY 1
"""


class OfFleet(Protocol):
    """A database with several schemas that have the same tables, one of which is meant."""

    @property
    def settings(self) -> Settings: ...

    @property
    def location(self) -> str: ...

    def other_members(self, schemas: tuple[str, ...]) -> tuple[str, ...]: ...


def keep_role(step: MigrationStep, context: Any, set_role: str) -> None:
    """Let *step* write the version table as the role that owns it, whatever its revision has taken.

    After RESET ROLE, or the end of another session authorization, that is who has logged in.
    """
    revise = step.migration_fn

    @wraps(revise)  # Alembic's log names it
    def revise_and_return(**arguments: Any) -> None:
        revise(**arguments)
        run_settings(context.connection, set_role)

    step.migration_fn = revise_and_return


def keep_in_schema(step: MigrationStep, context: Any, database: OfFleet, path: str) -> None:
    """Let *step*, whose file is *path*, create in the schema that is meant what has no schema.

    What it changes in one that another member's run migrates is rolled back. The step raises
    `OtherSchema`, `OtherMembersChanged`.
    """
    schema = database.settings.schema
    assert schema is not None
    revise = step.migration_fn

    @wraps(revise)  # Alembic's log names it
    def revise_there(**arguments: Any) -> None:
        _look_into(context.connection, schema, path)
        revise(**arguments)
        others = tuple(one for one in _changed(context.connection) if one != schema)
        members = database.other_members(others) if others else ()
        if members:
            raise OtherMembersChanged(database.location, path, schema, members)

    step.migration_fn = revise_there


def _look_into(connection: Connection, schema: str, path: str) -> None:
    """Put *schema* first in the search path, where env.py has left it to the version table."""
    first, setting = _row(connection, _PATH)
    if first == schema:
        return
    rest = f", {setting}" if setting else ""
    run_settings(connection, f"SET search_path = {in_quotes(schema)}{rest}")
    first, _ = _row(connection, _PATH)
    if first != schema:
        remedy = f"it is not there: CREATE SCHEMA {in_quotes(schema)}"
        raise OtherSchema(path, schema, f"schema {first}", remedy)


def _row(connection: Connection, statement: str) -> Any:
    options = {"no_parameters": True}
    return connection.exec_driver_sql(statement, execution_options=options).fetchone()


def _changed(connection: Connection) -> tuple[str, ...]:
    options = {"no_parameters": True}
    found = connection.exec_driver_sql(_CHANGED, execution_options=options)
    return tuple(row[0] for row in found.fetchall())
