"""Keep what a command replaces or drops, for `undo` to bring it back.

It is renamed, with all that belongs to it, and says in its comment what it was; before a downgrade,
which replaces nothing, a copy of it is made. One is kept for each service: `own_databases` knows
which ones have had their time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from db_ops.errors import ServerError
from db_ops.postgres.connection.role import acting_role
from db_ops.postgres.connection.server import Server
from db_ops.postgres.environment_mark import parse_mark
from db_ops.postgres.own_databases import (
    KEPT_SECONDS,
    OLD,
    UNDO,
    drop_unused,
    outdated,
    own_databases,
    own_name,
    rename,
    scratch_database,
    transaction,
    write_facts,
)
from db_ops.results import Undo
from db_ops.settings import DISPOSABLE

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

# The time is the server's: machines that share one may disagree.
_PRESENT = """
    SELECT oid, extract(epoch FROM clock_timestamp()), shobj_description(oid, 'pg_database'),
           CASE WHEN has_database_privilege(oid, 'CONNECT') THEN pg_database_size(oid) END,
           datistemplate, EXISTS (SELECT FROM pg_replication_slots WHERE database = datname),
           (SELECT bool_or(rolcreatedb OR rolsuper) FROM pg_roles
            WHERE rolname IN (current_user, session_user))
    FROM pg_database WHERE datname = %s
"""
_LACKING_IN_COPY = """
    SELECT CASE
        WHEN datdba <> (SELECT oid FROM pg_roles WHERE rolname = current_user)
            THEN 'a copy would belong to ' || quote_ident(current_user)
        WHEN datacl IS NOT NULL OR datconnlimit <> -1
            OR EXISTS (SELECT FROM pg_db_role_setting WHERE setdatabase = d.oid)
            THEN 'a copy would lack the grants and settings of the database'
        WHEN EXISTS (SELECT FROM pg_prepared_xacts WHERE database = datname)
            THEN 'prepared transactions are open, and it cannot be copied'
        WHEN EXISTS (
            SELECT FROM pg_stat_activity a
            WHERE a.datid = d.oid AND pid <> pg_backend_pid() AND usesysid IS NOT NULL
        ) THEN 'others are connected, and it could not be copied without ending their sessions'
    END
    FROM pg_database d WHERE datname = %s
"""
# A copy takes as long as the database is large, a renamed one only takes room.
_COPIED_PART = 20
_MEGABYTE = 1_000_000
_PATIENCE, _PAUSE = 0.5, 0.002


@dataclass(frozen=True)
class PresentTarget:
    """The target that is about to lose its name: `name` is what it is to be called then.

    With `facts`, which go into its comment, it is kept, and may be dropped without.
    """

    oid: int
    name: str
    facts: Mapping[str, Any] | None
    undo: Undo | None

    def rename(self, cursor: Cursor, now: str) -> None:
        """Rename the database, which is called *now* at present, and write what it is."""
        rename(cursor, now, self.name)
        if self.facts is not None:
            write_facts(cursor, self.name, self.facts)


def present_target(
    server: Server, connection: Connection, *, copied: bool = False, anyway: bool = False
) -> PresentTarget | None:
    """Return the target, with what becomes of it; None without one.

    *copied* is for a copy of it, *anyway* for what is kept whatever the settings say. *connection*
    is to any database of the server.
    """
    target, settings = server.url.database, server.settings
    with connection.cursor() as cursor:
        cursor.execute(_PRESENT, (target,))
        row = cursor.fetchone()
    if row is None:
        return None
    oid, now, comment, size, is_template, has_slots, may_rename = row
    aside = PresentTarget(oid, own_name(OLD), None, None)
    mark = parse_mark(comment or "")
    if not (anyway or settings.keeps_undo) or mark not in (None, *DISPOSABLE):
        return aside
    limit = settings.undo_limit_mb / (_COPIED_PART if copied else 1)
    reason = None
    if mark is None:
        reason = "the database is not marked as development or test"
    elif is_template:
        reason = "the database is a template"
    elif has_slots:
        reason = "the database has replication slots"
    elif not may_rename:
        reason = f"that takes CREATEDB, which {acting_role(connection)!r} lacks"
    elif not anyway and (size is None or size > limit * _MEGABYTE):
        reason = _too_large(size, limit, copied)
    elif copied:
        reason = _copy_obstacle(connection, target)
    if reason is not None:
        return PresentTarget(oid, aside.name, None, Undo(reason=reason))
    facts = {
        "service": target,
        "command": server.command,
        "built": float(now),
        "comment": comment,
    }
    return PresentTarget(oid, own_name(UNDO), facts, Undo(until=kept_until(float(now))))


def kept_until(built: float) -> str:
    """Return when what is kept since *built* has had its time (UTC, ISO 8601)."""
    return datetime.fromtimestamp(built + KEPT_SECONDS, UTC).isoformat(timespec="seconds")


def keep_copy(server: Server, connection: Connection, present: PresentTarget) -> Undo | None:
    """Keep a copy of the target, whose sessions of this process have ended; ends none of others.

    Returns what of it: that it is kept, or why not.
    """
    assert present.facts is not None
    target, deadline = server.url.database, time.monotonic() + _PATIENCE
    # The server takes a moment to see that a session has ended.
    while reason := _copy_obstacle(connection, target):
        if time.monotonic() > deadline:
            return Undo(reason=reason)
        time.sleep(_PAUSE)
    try:
        with (
            scratch_database(server, connection, template=target) as copy,
            transaction(connection) as cursor,
        ):
            present.rename(cursor, copy)
    except ServerError as error:
        return Undo(reason=error.message.removeprefix(f"{server.location}: "))
    drop_outdated(server, connection)
    return present.undo


def drop_outdated(server: Server, connection: Connection) -> None:
    """Drop what was kept for `undo` and is not any more, but one that is dropped later.

    The next `init` or `recreate` starts a process that makes a spare, and drops that too.
    """
    left = int(server.settings.spare)
    for database in tuple(outdated(own_databases(connection)))[left:]:
        drop_unused(connection, database.name)


def _copy_obstacle(connection: Connection, database: str) -> str | None:
    """Return why no copy of *database* is made, or would not be the same; None if it would."""
    with connection.cursor() as cursor:
        cursor.execute(_LACKING_IN_COPY, (database,))
        row = cursor.fetchone()
    return row[0] if row else None


def _too_large(size: int | None, limit: float, copied: bool) -> str:
    if size is None:
        return "its size is not known without the right to connect"
    bound = f"{limit:,.0f}, {f'a {_COPIED_PART}th of ' if copied else ''}undo_limit_mb"
    done = "copied" if copied else "kept"
    return f"of its {size / _MEGABYTE:,.0f} MB no more than {bound}, are {done}"
