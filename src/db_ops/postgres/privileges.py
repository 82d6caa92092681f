"""The privileges that a role has in its database. Nothing here writes."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2.extensions import connection as Connection

_QUERY = """
    SELECT quote_ident(current_user), coalesce(quote_ident(current_schema()), 'public'),
        quote_ident(current_database()),
        coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
        has_database_privilege(current_database(), 'CREATE'),
        pg_has_role((SELECT datdba FROM pg_database WHERE datname = current_database()), 'MEMBER')
"""


@dataclass(frozen=True)
class RequiredPrivilege:
    """A right that commands may need, and the SQL that gives it."""

    name: str
    held: bool
    remedy: str
    is_needed: bool = False


def required_privileges(connection: Connection) -> tuple[RequiredPrivilege, ...]:
    """Return what the connection's role may do in its database."""
    with connection.cursor() as cursor:
        cursor.execute(_QUERY)
        role, schema, database, tables, schemas, owner = cursor.fetchone() or ("",) * 6
    return (
        RequiredPrivilege(
            f"creates tables in {schema}",
            bool(tables),
            f"as its owner: GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}",
            is_needed=True,
        ),
        RequiredPrivilege(
            "creates schemas",
            bool(schemas),
            f"if migrations do: GRANT CREATE ON DATABASE {database} TO {role}",
        ),
        RequiredPrivilege(
            "owns the database",
            bool(owner),
            "only its owner may mark it, drop it or replace it",
        ),
    )
