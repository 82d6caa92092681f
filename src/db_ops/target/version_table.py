"""Errors for a version table that the session does not find or may not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db_ops.errors import VersionTableDenied, VersionTableHidden, VersionTableUnusable
from db_ops.errors.quote_ident import quote_ident
from db_ops.postgres.version_table import (
    SearchPath,
    VersionTable,
    search_path,
    version_tables,
)

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from db_ops.target.target import Target


def check_not_hidden(target: Target, connection: Connection) -> bool:
    """Refuse to take a database for one without revisions whose version table is elsewhere.

    It is this service's if it holds one of its revisions. One that may not be read is if the
    session looks into its schema, or would if it might, or if the records know of revisions. A
    project that names the schema means no other; nor does one of several schemas. True if the one
    that the session sees has been written to since it was read: it has to be read again. Raises
    `VersionTableHidden`.
    """
    project = target.project
    if project.version_table_schema is not None or target.settings.schema is not None:
        return False
    known = {(schema, table) for schema, table in project.tables}
    found = [
        one
        for one in version_tables(connection, project.version_table)
        if (one.schema, one.table) not in known and not (one.is_visible and one.revisions == ())
    ]
    if not found:
        return False
    if any(one.is_visible and one.revisions for one in found):
        return True
    path = search_path(connection)
    records = target.read_records(connection)
    for one in found:
        if one.revisions is None:
            ours = one.schema in path.schemas or bool(records.heads)
        else:
            ours = any(
                name in target.graph.nodes or name in records.newest for name in one.revisions
            )
        if ours:
            at = ", ".join(one.revisions or records.heads) or "a revision that it may not read"
            reason, remedy = _cause(target, one, path)
            raise VersionTableHidden(target.location, one.name, at, reason, remedy)
    return False


def read_error(
    target: Target, connection: Connection, reason: str, denied: bool
) -> VersionTableDenied | VersionTableUnusable:
    """Return the error for a version table that was not read, for want of a right if *denied*."""
    if denied:
        return read_denied_error(target, connection)
    project = target.project
    table = ".".join(filter(None, (project.version_table_schema, project.version_table)))
    return VersionTableUnusable(target.location, table, reason)


def read_denied_error(target: Target, connection: Connection) -> VersionTableDenied:
    """Return the error for a version table that this session finds and may not read."""
    path = search_path(connection)
    schema = target.project.version_table_schema
    for one in version_tables(connection, target.project.version_table):
        if one.revisions is None and (one.schema == schema if schema else one.is_visible):
            reason, remedy = _cause(target, one, path)
            at = ", ".join(target.read_records(connection).heads) or "an unknown revision"
            return VersionTableDenied(target.location, one.name, at, reason, remedy)
    table = target.project.version_table
    reason = f"role {path.role} may not read it"
    remedy = f"as its owner: GRANT SELECT ON {table} TO {path.role}"
    return VersionTableDenied(target.location, table, "an unknown revision", reason, remedy)


def _cause(target: Target, one: VersionTable, path: SearchPath) -> tuple[str, str]:
    """Return why the session does not see the version table *one*, and what changes that."""
    looks = target.project.version_table_schema is not None or one.schema in path.schemas
    remedies = [] if looks else [_look_there(target, one, path)]
    if one.revisions is None:
        rights = " and ".join(one.lacking) or "a right"
        grants = "; ".join(f"GRANT {right} TO {path.role}" for right in one.lacking)
        remedies.append(f"as {one.owner}, or the schema's owner: {grants}")
        return f"role {path.role} lacks {rights}", "; ".join(remedies)
    if looks:
        # One of the same name comes first in the path, and is empty.
        return f"an empty table of that name comes first in search_path {path.setting}", (
            f"drop the empty one, or {_look_there(target, one, path)}"
        )
    return f"search_path is {path.setting}, {_set_by(path)}", (
        f"{remedies[0]}; or, if another copy of this service keeps that one, give this one a"
        " version table of its own: version_table_schema = SCHEMA in alembic.ini"
    )


def _look_there(target: Target, one: VersionTable, path: SearchPath) -> str:
    if path.source == "client":
        where = f"options in {target.server.url.source}, or of PGOPTIONS"
        return f"take search_path out of {where}; or begin it with {quote_ident(one.schema)}"
    return path.with_first(one.schema)


def _set_by(path: SearchPath) -> str:
    return {
        "client": "set by the connection",
        "database": f"set for database {path.database}",
        "user": f"set for role {path.login}",
        "database user": f"set for role {path.login} in database {path.database}",
        "configuration file": "set in the server's configuration",
        "default": "the server's default",
    }.get(path.source, f"set by {path.source}")
