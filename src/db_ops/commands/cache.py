"""List or drop the databases that `db_ops` caches on the server."""

from __future__ import annotations

from datetime import UTC, datetime

from db_ops.postgres.connection.session import maintenance_session
from db_ops.postgres.own_databases import KINDS, OwnDatabase, drop_unused, own_databases
from db_ops.results import Cache, CachedDatabase, OnEvent, ignore
from db_ops.settings import Settings
from db_ops.target.open_server import open_server


def cache(settings: Settings, *, clear: bool = False, on_event: OnEvent = ignore) -> Cache:
    """List the templates and spares that belong to this role on the server.

    With *clear*, drop those of this database, and what nobody has a use for any more; they are made
    again when they are needed. What another process uses at this moment stays. Databases of
    services, and snapshots, are never among them.
    """
    server = open_server(settings, "cache", on_event)
    with maintenance_session(server) if clear else server.maintenance() as connection:
        found = [one for one in own_databases(connection, sizes=True) if one.kind in KINDS]
        ours = [one for one in found if one.facts.get("service") in (None, server.url.database)]
        cleared = [one.name for one in ours if clear and drop_unused(connection, one.name)]
    return Cache(server.url.server, tuple(map(_as_result, found)), tuple(cleared))


def _as_result(database: OwnDatabase) -> CachedDatabase:
    facts = database.facts
    built = facts.get("built")
    return CachedDatabase(
        name=database.name,
        kind=database.kind,
        service=facts.get("service"),
        heads=tuple(facts.get("heads", ())),
        bytes=database.size or 0,
        built=datetime.fromtimestamp(built, UTC).isoformat(timespec="seconds") if built else None,
    )
