"""Databases that `db_ops` makes for itself, and never under a name of the user's.

A `scratch` database is being built; a `template` is whole, and nobody can connect to it; a `spare`
is a copy of a template, ready to be renamed; an `old` one was replaced; an `undo` one too, and is
kept for a day; a `test` database is a copy for one test; a `snapshot` is kept for the user. Kind
and name tell what it is, its comment holds the facts, as JSON.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.errors import InsufficientPrivilege, ObjectInUse, QueryCanceled, UndefinedObject
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from db_ops.postgres.connection.role import acting_with_createdb
from db_ops.postgres.connection.server import Server
from db_ops.postgres.creation import creation_error
from db_ops.postgres.locks.advisory_lock import lock_key, release_if_alive, try_advisory_lock

SCRATCH, TEMPLATE, SPARE, OLD, TEST, UNDO = "scratch", "template", "spare", "old", "test", "undo"
KINDS = SCRATCH, TEMPLATE, SPARE, OLD, TEST, UNDO
# Not among those: nothing but its own command may drop it.
SNAPSHOT = "snapshot"
# How long the newest of a service is kept for `undo`.
KEPT_SECONDS = 86_400
# Whether files of a template are to be cloned, where that is how the server copies them: it makes
# two checkpoints and waits for the disk with each file, which a small database is not worth.
_CLONED = """
    SELECT pg_database_size(oid) > 64 * 1048576 FROM pg_database
    WHERE datname = %s AND has_database_privilege(oid, 'CONNECT')
      AND current_setting('file_copy_method', true) = 'clone'
"""
_OURS = """
    SELECT datname, split_part(datname, '_', 3), shobj_description(oid, 'pg_database'),
           CASE WHEN %s THEN pg_database_size(oid) END
    FROM pg_database
    WHERE datname ~ '^db_ops_(scratch|template|spare|old|test|snapshot|undo)_[0-9a-f]{16}$'
      AND (pg_get_userbyid(datdba) = current_user
           OR datname ~ '^db_ops_(old|undo)_' AND pg_has_role(datdba, 'USAGE'))
    ORDER BY datname
"""


@dataclass(frozen=True)
class OwnDatabase:
    """One of our databases that belongs to the role that asks; `size` in bytes, if asked for.

    One that was replaced belongs to whom the service's did.
    """

    name: str
    kind: str
    facts: Mapping[str, Any]
    size: int | None


def own_name(kind: str, *parts: str) -> str:
    """Return a name for a database of ours: the same for the same *parts*, new without any."""
    key = "\0".join(parts).encode()
    number = blake2b(key, digest_size=8).hexdigest() if parts else secrets.token_hex(8)
    return f"db_ops_{kind}_{number}"


def is_being_built(name: str) -> bool:
    """Tell whether *name* is that of a database used only by the process that builds it."""
    return re.fullmatch(f"db_ops_({SCRATCH}|{TEST})_[0-9a-f]{{16}}", name) is not None


def own_databases(connection: Connection, *, sizes: bool = False) -> tuple[OwnDatabase, ...]:
    """Return the databases that are ours, from any database of the server."""
    with connection.cursor() as cursor:
        try:
            cursor.execute(_OURS, (sizes,))
        except UndefinedObject:
            # One was dropped while it was measured.
            return own_databases(connection, sizes=sizes)
        return tuple(
            OwnDatabase(name, kind, _facts(comment), size)
            for name, kind, comment, size in cursor.fetchall()
        )


@contextmanager
def scratch_database(
    server: Server, connection: Connection, *, template: str | None = None
) -> Iterator[str]:
    """Create a database for a `with` block and yield its name; drop it if it is still there.

    Empty, or a copy of *template*. *connection* is to the maintenance database and must stay open:
    its lock tells others that the database is in use. Raises what `create` raises.
    """
    name = own_name(SCRATCH)
    try_advisory_lock(connection, lock_key(name))
    try:
        create(server, connection, name, template=template)
        yield name
    finally:
        # The next command sweeps what cannot be dropped now; no error may be hidden by that.
        with suppress(psycopg2.Error):
            drop_after_use(connection, name)
        release_if_alive(connection, lock_key(name))


def drop_after_use(connection: Connection, name: str) -> None:
    """Drop the database *name*, also where what used it was cancelled."""
    try:
        drop(connection, name)
    except QueryCanceled:
        # What ends on Ctrl-C may come to this before the server hears of it, which cancels once.
        drop(connection, name)


def create(
    server: Server, connection: Connection, name: str, *, template: str | None = None
) -> None:
    """Create the database *name*, as a copy of *template* if one is named.

    A large one shares its files with the copy where the server's `file_copy_method` is `clone`.
    Raises what `creation_error` returns.
    https://www.postgresql.org/docs/current/runtime-config-resource.html#GUC-FILE-COPY-METHOD
    """
    statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    try:
        with connection.cursor() as cursor:
            if template is not None:
                statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
                cursor.execute(_CLONED, (template,))
                if cursor.fetchone() == (True,):
                    statement += sql.SQL(" STRATEGY FILE_COPY")
            with acting_with_createdb(cursor) as owner:
                cursor.execute(statement + owner)
    except psycopg2.Error as error:
        raise creation_error(server, connection, error, template) from None


def drop(connection: Connection, name: str) -> None:
    """Drop the database *name* if it exists, and end its sessions."""
    with connection.cursor() as cursor:
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        cursor.execute(statement.format(sql.Identifier(name)))


def drop_unused_databases(connection: Connection) -> tuple[str, ...]:
    """Drop what killed processes have left and what was replaced; return the names.

    What is kept for `undo` goes with its day, or with the next one of its service.
    """
    found = own_databases(connection)
    unused = [one for one in found if one.kind in (SCRATCH, OLD, TEST)]
    unused += outdated(found)
    return tuple(one.name for one in unused if drop_unused(connection, one.name))


def kept_for_undo(found: Iterable[OwnDatabase], service: str) -> tuple[OwnDatabase, ...]:
    """Return those of *found* that are kept for `undo` of *service*, the newest first."""
    kept = (one for one in found if one.kind == UNDO and one.facts.get("service") == service)
    return tuple(sorted(kept, key=lambda one: float(one.facts.get("built", 0)), reverse=True))


def outdated(found: tuple[OwnDatabase, ...]) -> Iterator[OwnDatabase]:
    """Yield those of *found* that were kept for `undo` and are not any more."""
    for service in {one.facts.get("service") for one in found if one.kind == UNDO}:
        newest, *others = kept_for_undo(found, service)  # type: ignore[arg-type]  # None as well
        yield from others
        if time.time() - float(newest.facts.get("built", 0)) > KEPT_SECONDS:
            yield newest


def drop_unused(connection: Connection, name: str) -> bool:
    """Drop a database of ours unless a session holds its lock; *connection* itself must not.

    False as well where the server does not drop it now, as with a replication slot in use.
    """
    key = lock_key(name)
    if not try_advisory_lock(connection, key):
        return False
    try:
        drop(connection, name)
    except (ObjectInUse, InsufficientPrivilege):
        return False
    finally:
        release_if_alive(connection, key)
    return True


@contextmanager
def transaction(connection: Connection) -> Iterator[Cursor]:
    """Run a `with` block in a transaction on an autocommit connection."""
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            yield cursor
        except BaseException:
            # With a session that has ended, its transaction went too.
            with suppress(psycopg2.Error):
                cursor.execute("ROLLBACK")
            raise
        cursor.execute("COMMIT")


def write_facts(cursor: Cursor, name: str, facts: Mapping[str, Any]) -> None:
    """Write *facts* into the comment of the database *name*."""
    set_comment(cursor, name, json.dumps(facts))


def set_comment(cursor: Cursor, name: str, text: str | None) -> None:
    """Replace the comment of the database *name*."""
    statement = sql.SQL("COMMENT ON DATABASE {} IS {}")
    cursor.execute(statement.format(sql.Identifier(name), sql.Literal(text)))


def rename(cursor: Cursor, name: str, new: str) -> None:
    """Rename a database; it must have no sessions."""
    statement = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    with acting_with_createdb(cursor):
        cursor.execute(statement.format(sql.Identifier(name), sql.Identifier(new)))


def allow_connections(cursor: Cursor, name: str, allowed: bool) -> None:
    """Allow or disallow connections to the database *name*, also by superusers."""
    statement = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    cursor.execute(statement.format(sql.Identifier(name), sql.Literal(allowed)))


def _facts(comment: str | None) -> Mapping[str, Any]:
    try:
        facts = json.loads(comment or "")
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}
