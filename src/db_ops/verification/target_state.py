"""Read the state of the target: recorded revisions, schema and records."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from db_ops.builds.built_schema import BuiltSchema
from db_ops.errors import StatementFailed, TableLocked, VersionTableDenied
from db_ops.postgres.catalog import owner_of
from db_ops.postgres.connection.session import refuse_transaction_pooler
from db_ops.postgres.history.rows import RecordedHistory
from db_ops.postgres.schema.objects import Schema
from db_ops.postgres.schema.ownership import as_owned_by
from db_ops.postgres.schema.reading import beyond_schema, read_schema
from db_ops.postgres.templates import server_defaults
from db_ops.results import Drift, Revision
from db_ops.target.migrating_session import set_read_only
from db_ops.target.position import Position
from db_ops.target.target import Target
from db_ops.verification.drift import judge_drift

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_LOCK_NOT_AVAILABLE = "55P03"


@dataclass(frozen=True)
class TargetState:
    """The state of the target: the revisions recorded, its schema, and facts of its server.

    `schema` is None if there is no such database, `recorded` also if the role may not read it:
    then `why_not` says that. `owner` is whose the version table is, `records` what ours say.
    `drift` is told of a database that is ahead: what else could be said of its schema?
    `beyond_schema` is the digest of what Alembic may see that is not in the schema.
    """

    recorded: tuple[str, ...] | None = None
    schema: Schema | None = None
    server_defaults: str = ""
    why_not: str | None = None
    owner: str | None = None
    records: RecordedHistory = field(default_factory=RecordedHistory)
    position: Position | None = None
    drift: Drift | None = None
    beyond_schema: str = ""

    @property
    def pending(self) -> tuple[Revision, ...]:
        """The revisions that are not applied, as far as that is known."""
        return self.position.pending if self.position else ()

    @property
    def ahead(self) -> tuple[str, ...]:
        return self.position.ahead if self.position else ()


def read_target_state(target: Target, *, grants: bool) -> TargetState:
    """Read *target*'s database in a read-only session that waits for no lock for long.

    Raises `TableLocked`, `TransactionPooler`.
    """
    try:
        with target.server.target_if_exists() as connection:
            if connection is None:
                return TargetState()
            refuse_transaction_pooler(target.server, connection)
            set_read_only(target, connection)
            recorded, why_not = _recorded(target, connection)
            schema = read_schema(
                connection,
                grants=grants,
                version_table=target.project.version_table,
                version_schema=target.project.version_table_schema,
            )
            table = target.project.version_table, target.project.version_table_schema
            owner = owner_of(connection, *table) if grants else None
            records = target.read_records(connection)
            drift = position = None
            if recorded is not None:
                position = Position(target.graph, recorded, records)
                if position.ahead:
                    drift = judge_drift(target.recorded_state(connection), schema.major)
            alike, beyond = server_defaults(connection), beyond_schema(connection)
            return TargetState(
                recorded, schema, alike, why_not, owner, records, position, drift, beyond
            )
    except StatementFailed as failed:
        if failed.sqlstate != _LOCK_NOT_AVAILABLE:
            raise
        raise TableLocked(target.location, target.settings.lock_timeout) from None


def drift_of(target: Target, state: TargetState) -> Drift:
    """Judge by the record what was not compared: are the catalogs as the head left them?"""
    if state.schema is None:
        return Drift("unknown", "the database does not exist")
    if state.why_not:
        return Drift("unknown", "the recorded revisions cannot be read")
    with target.server.target() as connection:
        set_read_only(target, connection)
        return judge_drift(target.recorded_state(connection), state.schema.major)


def _recorded(target: Target, connection: Connection) -> tuple[tuple[str, ...] | None, str | None]:
    """Return the revisions recorded, or why they cannot be read: the catalogs are everybody's."""
    try:
        return target.recorded_on(connection), None
    except VersionTableDenied as denied:
        return None, f"revisions were not compared: {denied.reason}; {denied.hint}"


def untracked_tables(state: TargetState, *built: BuiltSchema | None) -> tuple[str, ...]:
    """Return the tables of the service that are there although no revision is recorded."""
    if state.recorded != () or state.schema is None:
        return ()
    schemas = [one.schema for one in built if one is not None]
    made = {name for schema in schemas for kind, name in schema.objects if kind == "table"}
    there = {name for kind, name in state.schema.objects if kind == "table"}
    return tuple(sorted(made & there))


def with_owner(side: BuiltSchema, state: TargetState) -> BuiltSchema:
    """Return what the migrations make as if the one who migrates the target had made it."""
    if state.owner is None:
        return side
    return replace(side, schema=as_owned_by(side.schema, side.role, state.owner))
