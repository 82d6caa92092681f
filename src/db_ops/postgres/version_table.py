"""Find version tables in all schemas, also outside of the search path."""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg2
from psycopg2.extensions import connection as Connection

from db_ops.errors.quote_ident import quote_ident
from db_ops.postgres.catalog import recorded_revisions

# The catalogs are everybody's, whatever the search path and the rights to what they describe.
_FIND = """
    SELECT n.nspname, pg_table_is_visible(c.oid),
        has_schema_privilege(n.oid, 'USAGE'), has_table_privilege(c.oid, 'SELECT'),
        quote_ident(pg_get_userbyid(c.relowner))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
    ORDER BY 1
"""
_SESSION = """
    SELECT setting, source, current_schemas(false)::text[], current_user::text,
        quote_ident(session_user), quote_ident(current_user), quote_ident(current_database())
    FROM pg_settings WHERE name = 'search_path'
"""
_SEEN = """
    SELECT coalesce((SELECT nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid = to_regclass(%s)), current_schema())
"""
_IN_PATH = re.compile(r'"((?:[^"]|"")*)"|([^\s,"]+)')


@dataclass(frozen=True)
class VersionTable:
    """A relation of the version table's name; `revisions` are None where they cannot be read.

    `lacking` are the rights that the role would need for that, as GRANT names them.
    """

    schema: str
    table: str
    is_visible: bool
    revisions: tuple[str, ...] | None
    owner: str
    lacking: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return its name as SQL takes it."""
        return f"{quote_ident(self.schema)}.{quote_ident(self.table)}"


@dataclass(frozen=True)
class SearchPath:
    """Where a session looks for what is named without a schema.

    `setting` is as it was written, `source` who wrote it, as `pg_settings` says it; `schemas` are
    those that are named there, whether they are there and may be used or not.
    """

    setting: str
    source: str
    schemas: tuple[str, ...]
    login: str
    role: str
    database: str

    def with_first(self, schema: str) -> str:
        """Return the SQL that lets this role look into *schema* first, where the path was set."""
        rest = [part for part in self.schemas if part != schema] or ["public"]
        path = ", ".join(map(quote_ident, (schema, *rest)))
        whom = {
            "database": f"DATABASE {self.database}",
            "user": f"ROLE {self.login}",
        }.get(self.source, f"ROLE {self.login} IN DATABASE {self.database}")
        return f"ALTER {whom} SET search_path = {path}"


def version_tables(connection: Connection, table: str) -> tuple[VersionTable, ...]:
    """Return the relations named *table* in all schemas, with the revisions that they hold."""
    with connection.cursor() as cursor:
        cursor.execute(_FIND, (table,))
        rows = cursor.fetchall()
    return tuple(
        VersionTable(
            schema,
            table,
            is_visible,
            _revisions(connection, table, schema) if may_use and may_select else None,
            owner,
            ((f"USAGE ON SCHEMA {quote_ident(schema)}",) if not may_use else ())
            + (
                (f"SELECT ON {quote_ident(schema)}.{quote_ident(table)}",) if not may_select else ()
            ),
        )
        for schema, is_visible, may_use, may_select, owner in rows
    )


def seen_in(connection: Connection, table: str) -> str | None:
    """Return the schema in which the session sees *table*, or would create it."""
    with connection.cursor() as cursor:
        cursor.execute(_SEEN, (quote_ident(table),))
        row = cursor.fetchone()
    return row[0] if row else None


def search_path(connection: Connection) -> SearchPath:
    """Return the search path of this session, and where it comes from."""
    with connection.cursor() as cursor:
        cursor.execute(_SESSION)
        row = cursor.fetchone()
    assert row is not None
    setting, source, effective, user, login, role, database = row
    named = [quoted.replace('""', '"') or plain for quoted, plain in _IN_PATH.findall(setting)]
    named = [user if name == "$user" else name for name in named]
    schemas = tuple(dict.fromkeys((*named, *effective)))
    return SearchPath(setting, source, schemas, login, role, database)


def _revisions(connection: Connection, table: str, schema: str) -> tuple[str, ...] | None:
    try:
        return recorded_revisions(connection, table, schema)
    except psycopg2.Error:
        # Another relation of that name, or one that is locked.
        return None
