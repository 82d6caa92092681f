"""Refuse a database without recorded revisions that already has the service's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db_ops.errors import NoScratchDatabase, UntrackedTables
from db_ops.postgres.catalog import default_schema, relations, user_tables
from db_ops.results import OtherTables

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from db_ops.target.target import Target


def check_tables(target: Target, connection: Connection) -> None:
    """Refuse tables that models or pending revisions create, where no revision is recorded.

    Those that are somebody else's are told, and left alone. A writer asks under the migration lock:
    another's revision may be committed halfway. Raises `UntrackedTables`.
    """
    project = target.project
    own = {project.version_table, *(table for _, table in project.tables)}
    there = tuple(name for name in user_tables(connection) if name.split(".", 1)[1] not in own)
    if target.settings.schema is not None:
        there = tuple(name for name in there if name.split(".", 1)[0] == target.settings.schema)
    if not there:
        return
    # A view of the same name is as much in the way.
    wanted, unread = tables_of_service(target, default_schema(connection))
    in_the_way = tuple(name for name in relations(connection) if name in wanted)
    if in_the_way or unread:
        reason = f" (what {unread} creates is not known)" if unread and not in_the_way else ""
        tables = in_the_way or there
        raise UntrackedTables(target.location, tables, reason, _ways_out(target, connection))
    target.server.on_event(OtherTables(target.location, there))


def holds_untracked_tables(
    target: Target, recorded: tuple[str, ...], connection: Connection | None
) -> bool:
    """Tell whether tables are there that revisions create, where none is *recorded*.

    As far as the text of the files tells; neither models nor revisions are imported.
    """
    if recorded or connection is None:
        return False
    there = relations(connection)
    if not there:
        return False
    from db_ops.migrations.revisions.created_tables import created_tables

    files = (target.settings.root / one.path for one in target.graph.pending(()))
    created = created_tables(files, default_schema(connection)).names
    return not created.isdisjoint(there)


def tables_of_service(target: Target, schema: str) -> tuple[frozenset[str], str]:
    """Return the tables that models and revisions create, and a file that leaves this open.

    Nothing is run against a database for it, unless one may be built to look at.
    """
    # Only a database that holds tables needs these.
    from db_ops.migrations.autogenerate.models import has_tables, metadatas
    from db_ops.migrations.env.run_env import load_metadata
    from db_ops.migrations.revisions.created_tables import created_tables

    metadata = load_metadata(target.project, target.scripts)
    modelled = {
        f"{table.schema or one.schema or schema}.{table.name}"
        for one in metadatas(metadata)
        for table in one.tables.values()
    }
    root = target.settings.root
    read = created_tables((root / one.path for one in target.graph.pending(())), schema)
    names = read.names | modelled
    if not read.unread or has_tables(metadata):
        return names, ""
    built = _built(target)
    return (names, read.unread[0]) if built is None else (names | built, "")


def _built(target: Target) -> frozenset[str] | None:
    """Return the tables of a database that the migrations have built; None where none may be."""
    settings = target.settings
    # A database that is built to look at has none of the schemas of a fleet.
    if settings.schema is not None:
        return None
    if not settings.is_disposable and settings.scratch_url is None:
        return None
    from db_ops.builds.scratch import ScratchDatabases

    try:
        with (
            ScratchDatabases(target) as scratch,
            scratch.migrated_database() as (built, _),
            built.server.target() as connection,
        ):
            return frozenset(user_tables(connection))
    except NoScratchDatabase:
        return None


def _ways_out(target: Target, connection: Connection) -> str:
    """Return how to adopt the tables, and how to leave them alone."""
    from db_ops.verification.drift import recorded_by

    records = target.read_records(connection)
    known = records.heads and not target.graph.unknown(records.heads)
    if known:
        last = records.rows[-1]
        at, named = " ".join(records.heads), " ".join(f"-r {head}" for head in records.heads)
        adopt = (
            f"the last record is of {at}, on {last.finished[:10]} by {recorded_by(last)};"
            f" if the tables are still that: db-ops stamp {named}"
        )
    else:
        adopt = (
            "to adopt them, find the revision that they are at: db-ops stamp --find; then record"
            " it: db-ops stamp -r REVISION"
        )
    return f"{adopt}; to leave them alone, name another database in {target.server.url.source}"
