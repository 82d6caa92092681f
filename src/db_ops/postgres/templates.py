"""Template databases: a migrated database that is copied instead of being migrated again.

A template carries in its comment what it was built from. Nobody can connect to it, so that nobody
changes it or keeps it from being copied. Source: PostgreSQL documentation, "Template Databases".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from psycopg2.extensions import connection as Connection

from db_ops.postgres.catalog import current_role
from db_ops.postgres.connection.server import Server
from db_ops.postgres.locks.advisory_lock import lock_key, release_if_alive, try_advisory_lock
from db_ops.postgres.own_databases import (
    SPARE,
    TEMPLATE,
    OwnDatabase,
    allow_connections,
    drop,
    drop_unused,
    own_databases,
    own_name,
    rename,
    scratch_database,
    transaction,
    write_facts,
)
from db_ops.postgres.replacement import wait_until_unused
from db_ops.settings import RECORDS_SCHEMA

# What a new database of this server, made and migrated by this role, would be like.
_SERVER_DEFAULTS = """
    SELECT concat_ws(chr(10), current_setting('server_version_num')::int / 10000, current_user,
        (SELECT to_jsonb(t) - '{oid,datfrozenxid,datminmxid,datlastsysoid,datacl}'::text[]
         FROM pg_database t WHERE datname = 'template1'),
        (SELECT string_agg(name || default_version, ' ' ORDER BY name)
         FROM pg_available_extensions),
        current_setting('search_path'), current_setting('TimeZone'),
        current_setting('default_tablespace'), current_setting('default_table_access_method'))
"""
_HAS_SETTINGS_OR_GRANTS = """
    SELECT datacl IS NOT NULL
           OR EXISTS (SELECT FROM pg_db_role_setting WHERE setdatabase = pg_database.oid)
    FROM pg_database WHERE datname = %s
"""
_DEFINITIONS = """
    SELECT FROM (
        SELECT prosrc AS text FROM pg_proc WHERE oid >= 16384
        UNION ALL SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef
        UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype IN ('c', 'x')
            AND oid >= 16384
        UNION ALL SELECT pg_get_ruledef(oid) FROM pg_rewrite WHERE oid >= 16384
        UNION ALL SELECT description FROM pg_description WHERE objoid >= 16384
        UNION ALL SELECT srvoptions::text FROM pg_foreign_server
        UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT pg_get_expr(polqual, polrelid) FROM pg_policy
    ) AS d WHERE text LIKE %(like)s LIMIT 1
"""
_TABLES_WITH_ROWS = """
    SELECT format('%%I.%%I', nspname, relname) FROM pg_class
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid >= 16384 AND relkind IN ('r', 'm') AND nspname <> %(ours)s
    AND (relkind = 'r' OR relispopulated) AND pg_relation_size(pg_class.oid) > 0
"""
_KEPT, _KEPT_IN_ALL = 4, 16


def server_defaults(connection: Connection) -> str:
    """Return the server's defaults that decide, besides migrations, what a new database is like."""
    with connection.cursor() as cursor:
        cursor.execute(_SERVER_DEFAULTS)
        row = cursor.fetchone()
    return str(row[0]) if row else ""


def templates_built_from(connection: Connection, inputs: str) -> tuple[OwnDatabase, ...]:
    """Return the templates whose known inputs had the digest *inputs*."""
    return tuple(
        database
        for database in own_databases(connection)
        if database.kind == TEMPLATE and database.facts.get("inputs") == inputs
    )


def has_settings_or_grants(connection: Connection, name: str) -> bool:
    """Tell whether a database has settings or grants, which a copy of it would lack."""
    with connection.cursor() as cursor:
        cursor.execute(_HAS_SETTINGS_OR_GRANTS, (name,))
        row = cursor.fetchone()
    return bool(row and row[0])


def contains_name(connection: Connection, name: str) -> bool:
    """Tell whether the database of *connection* holds *name*, its own, in a definition or a row.

    Our records hold it too, and know it. Of the tables, those without a page have no rows.
    """
    with connection.cursor() as cursor:
        cursor.execute(_DEFINITIONS, {"like": f"%{name}%"})
        if cursor.fetchone() is not None:
            return True
        cursor.execute(_TABLES_WITH_ROWS, {"ours": RECORDS_SCHEMA})
        for (table,) in cursor.fetchall():
            query = f"SELECT FROM {table} AS t WHERE t::text LIKE %s LIMIT 1"
            cursor.execute(query, (f"%{name}%",))
            if cursor.fetchone() is not None:
                return True
    return False


def keep_as_template(
    connection: Connection, scratch: str, name: str, facts: Mapping[str, Any]
) -> None:
    """Disallow connections to the database *scratch* and rename it to the template *name*."""
    wait_until_unused(connection, scratch)
    with transaction(connection) as cursor:
        allow_connections(cursor, scratch, False)
        write_facts(cursor, scratch, facts)
        rename(cursor, scratch, name)


def prune(connection: Connection, service: str) -> None:
    """Drop all but the newest templates, of *service* and of all services, that nobody uses."""
    newest = sorted(
        (one for one in own_databases(connection) if one.kind == TEMPLATE),
        key=lambda one: float(one.facts.get("built", 0)),
        reverse=True,
    )
    of_service = [one for one in newest if one.facts.get("service") == service]
    for name in {one.name for one in (*newest[_KEPT_IN_ALL:], *of_service[_KEPT:])}:
        drop_unused(connection, name)


@contextmanager
def spare_lock(connection: Connection, service: str) -> Iterator[bool]:
    """Hold the advisory lock of the spare of *service*; yield False if another session has it."""
    key = lock_key(_spare_name(connection, service))
    held = try_advisory_lock(connection, key)
    try:
        yield held
    finally:
        if held:
            release_if_alive(connection, key)


def spare_of(connection: Connection, service: str, template: str) -> str | None:
    """Return the name of the spare of *service*, if it has one and that is a copy of *template*."""
    name = _spare_name(connection, service)
    for database in own_databases(connection):
        if database.name == name and database.facts.get("template") == template:
            return name
    return None


def make_spare(server: Server, connection: Connection, service: str, template: str) -> None:
    """Make the spare of *service* from *template*, instead of one that it may have.

    It has its name only when it is whole, and nobody can connect to it before it is used.
    """
    name = _spare_name(connection, service)
    drop(connection, name)
    with (
        scratch_database(server, connection, template=template) as scratch,
        transaction(connection) as cursor,
    ):
        allow_connections(cursor, scratch, False)
        write_facts(cursor, scratch, {"service": service, "template": template})
        rename(cursor, scratch, name)


def _spare_name(connection: Connection, service: str) -> str:
    # Another role's spare is not ours to drop or to rename.
    return own_name(SPARE, service, current_role(connection))
