"""Which privilege a refused statement lacked (SQLSTATE 42501), and the GRANT for it.

The server names the object in its message alone, in its own language: the catalogs tell which of
them is meant, and whose it is. Nothing here writes.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from psycopg2.extensions import connection as Connection

# An index, and a sequence that a column owns, have the owner of their table.
_OBJECTS = """
    SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
            WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' WHEN 'S' THEN 'sequence'
            WHEN 'f' THEN 'foreign table' ELSE 'table' END AS kind,
        c.relname AS bare, c.oid::regclass::text AS name, c.relowner AS owner,
        coalesce(i.indrelid, d.refobjid, c.oid)::regclass::text AS holder,
        CASE WHEN c.relrowsecurity AND %(verb)s <> '' THEN row_security_active(c.oid)
            AND has_table_privilege(c.oid, %(verb)s) ELSE false END AS kept_by_policies
    FROM pg_class c
    LEFT JOIN pg_index i ON i.indexrelid = c.oid
    LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
        AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND c.relkind = 'S'
    WHERE c.relkind <> 'c'
    UNION ALL SELECT CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END,
        t.typname, t.oid::regtype::text, t.typowner, t.oid::regtype::text, false
    FROM pg_type t LEFT JOIN pg_class r ON r.oid = t.typrelid
    WHERE coalesce(r.relkind = 'c', true) AND t.typelem = 0
    UNION ALL SELECT
        CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
        p.proname, p.oid::regprocedure::text, p.proowner, p.oid::regprocedure::text, false
    FROM pg_proc p
    UNION ALL SELECT 'schema', nspname, quote_ident(nspname), nspowner, quote_ident(nspname), false
    FROM pg_namespace
    UNION ALL SELECT 'database', datname, quote_ident(datname), datdba, quote_ident(datname), false
    FROM pg_database WHERE datname = current_database()
"""
_QUERY = f"""
    SELECT kind, bare, name, holder, kept_by_policies,
        pg_get_userbyid(owner), quote_ident(pg_get_userbyid(owner)),
        pg_has_role(owner, 'USAGE'), pg_has_role(owner, 'MEMBER')
    FROM ({_OBJECTS}) AS o WHERE strpos(%(message)s, bare) > 0
"""  # no value of anybody's is in it
_ROLE = "SELECT quote_ident(current_user), quote_ident(current_database())"
_TRUSTED = """
    SELECT bool_or(trusted OR NOT superuser) FROM pg_available_extension_versions WHERE name = %s
"""
_EXTENSION = re.compile(
    r"\s*CREATE\s+EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?(\"(?:[^\"]|\"\")+\"|\w+)", re.IGNORECASE
)
_ROLES = re.compile(r"\s*(?:CREATE|ALTER|DROP)\s+(?:ROLE|USER|GROUP)\b", re.IGNORECASE)
_USES = re.compile(
    r"\s*(?:SELECT|INSERT|UPDATE|DELETE|MERGE|TRUNCATE|LOCK|COPY|WITH|CALL|DO|TABLE)\b",
    re.IGNORECASE,
)
_VERB = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
_GRANTED = {
    "schema": "USAGE, CREATE ON SCHEMA",
    "database": "CREATE ON DATABASE",
    "sequence": "USAGE, SELECT, UPDATE ON SEQUENCE",
    "function": "EXECUTE ON FUNCTION",
    "procedure": "EXECUTE ON PROCEDURE",
    "type": "USAGE ON TYPE",
    "domain": "USAGE ON DOMAIN",
}


@dataclass(frozen=True)
class _Object:
    kind: str
    bare: str
    name: str
    holder: str
    kept_by_policies: bool
    owner: str
    quoted_owner: str
    is_ours: bool
    may_become: bool

    @property
    def keyword(self) -> str:
        """How ALTER calls what has the owner: a column's sequence has that of its table."""
        if self.holder != self.name:
            return "TABLE"
        return self.kind.upper()


def remedy_for(connection: Connection, message: str, statement: str) -> str:
    """Return what gives the right that *statement* lacked, which the server told as *message*.

    It is asked as the role that lacked the right.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ROLE)
        role, database = cursor.fetchone() or ("", "")
        extension = _EXTENSION.match(statement)
        if extension:
            name = extension[1]
            cursor.execute(_TRUSTED, (name.strip('"').replace('""', '"'),))
            (trusted,) = cursor.fetchone() or (False,)
            if trusted:
                return f"as the database's owner: GRANT CREATE ON DATABASE {database} TO {role}"
            return f"as a superuser, in this database: CREATE EXTENSION IF NOT EXISTS {name}"
        if _ROLES.match(statement):
            return f"as a superuser: ALTER ROLE {role} CREATEROLE"
        verb = _VERB.match(statement)
        values = {"message": message, "verb": verb[1] if verb else ""}
        cursor.execute(_QUERY, values)
        found = [_Object(*row) for row in cursor.fetchall()]
    named = sorted(_named(found, message, statement), key=lambda one: one[0], reverse=True)
    if not named:
        return f"let a superuser run it, or give {role} the right that it needs"
    return _remedy(named[0][1], role, statement)


def _named(
    found: list[_Object], message: str, statement: str
) -> Iterator[tuple[tuple[bool, bool, bool, int], _Object]]:
    """Yield those of *found* that *message* names, with how likely each is the one meant."""
    for one in found:
        word = re.compile(rf"(?<![\w$]){re.escape(one.bare)}(?![\w$])")
        if word.search(message):
            said = f"{one.kind} {one.bare}" in message.replace('"', "")
            yield (said, not one.is_ours, bool(word.search(statement)), len(one.bare)), one


def _remedy(one: _Object, role: str, statement: str) -> str:
    uses = _USES.match(statement) is not None
    if one.kept_by_policies:
        other = "NO FORCE ROW LEVEL SECURITY" if one.is_ours else "DISABLE ROW LEVEL SECURITY"
        return (
            f"row-level security of {one.name} holds for {role}; as a superuser: "
            f"ALTER ROLE {role} BYPASSRLS, or as its owner: ALTER TABLE {one.name} {other}"
        )
    whose = f"{one.kind} {one.name} belongs to {one.owner}"
    grant = _GRANTED.get(one.kind) or (None if one.kind == "index" else "ALL ON TABLE")
    parts = []
    if grant and (uses or one.kind in ("schema", "database")):
        parts.append(f"as its owner or a superuser: GRANT {grant} {one.name} TO {role}")
    if not (uses or one.kind in ("schema", "database")):
        parts.append(f"as a superuser: ALTER {one.keyword} {one.holder} OWNER TO {role}")
    member = "" if one.may_become else f"GRANT {one.quoted_owner} TO {role}, and "
    parts.append(f"act as its owner: {member}set DB_OPS_ROLE={shlex.quote(one.owner)}")
    return f"{whose}; {', or '.join(parts)}"
