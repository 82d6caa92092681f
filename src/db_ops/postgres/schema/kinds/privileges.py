"""Owners, grants and default privileges: read only when they are asked for."""

from __future__ import annotations

from db_ops.postgres.schema.kinds.kind import Kind, choice

# What can be owned and granted: kind, name, owner, rights, whether the owner is its own.
SECURED = """
    secured AS MATERIALIZED (
        SELECT 'schema' AS kind, s.name, n.nspowner AS owner,
            coalesce(n.nspacl, acldefault('n', n.nspowner)) AS acl, true AS owns
        FROM pg_namespace n JOIN space s ON s.oid = n.oid
        UNION ALL
        SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
                WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' ELSE 'table' END,
            r.name, c.relowner, coalesce(c.relacl,
                acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)), true
        FROM pg_class c JOIN relation r ON r.oid = c.oid WHERE c.relkind <> 'c'
        AND c.oid NOT IN (SELECT sequence FROM owned)
        UNION ALL
        SELECT 'sequence of', r.name || '.' || quote_ident(a.attname), c.relowner,
            coalesce(c.relacl, acldefault('s', c.relowner)), false
        FROM owned JOIN pg_class c ON c.oid = owned.sequence
        JOIN relation r ON r.oid = owned.relation
        JOIN pg_attribute a ON a.attrelid = owned.relation AND a.attnum = owned.number
        UNION ALL
        SELECT 'column', r.name || '.' || quote_ident(a.attname),
            c.relowner, a.attacl, false
        FROM pg_attribute a JOIN relation r ON r.oid = a.attrelid
        JOIN pg_class c ON c.oid = a.attrelid
        WHERE a.attacl IS NOT NULL AND NOT a.attisdropped
        UNION ALL
        SELECT 'function', s.name || '.' || quote_ident(p.proname)
                || '(' || oidvectortypes(p.proargtypes) || ')', p.proowner,
            coalesce(p.proacl, acldefault('f', p.proowner)), true
        FROM pg_proc p JOIN space s ON s.oid = p.pronamespace
        WHERE NOT EXISTS (SELECT FROM pg_depend d
            WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('e', 'i'))
        UNION ALL
        SELECT 'type', s.name || '.' || quote_ident(t.typname), t.typowner,
            coalesce(t.typacl, acldefault('T', t.typowner)), true
        FROM pg_type t JOIN space s ON s.oid = t.typnamespace
        WHERE (t.typtype IN ('e', 'd', 'r') OR EXISTS (
            SELECT FROM relation r WHERE r.oid = t.typrelid AND r.relkind = 'c'))
        AND NOT EXISTS (
            SELECT FROM member WHERE classid = 'pg_type'::regclass AND objid = t.oid)
        UNION ALL
        SELECT 'foreign server', quote_ident(v.srvname), v.srvowner,
            coalesce(v.srvacl, acldefault('S', v.srvowner)), true
        FROM pg_foreign_server v
        UNION ALL
        SELECT 'foreign data wrapper', quote_ident(w.fdwname), w.fdwowner,
            coalesce(w.fdwacl, acldefault('F', w.fdwowner)), true
        FROM pg_foreign_data_wrapper w WHERE w.oid NOT IN (
            SELECT objid FROM member WHERE classid = 'pg_foreign_data_wrapper'::regclass)
        UNION ALL
        SELECT 'publication', quote_ident(p.pubname), p.pubowner, NULL, true
        FROM pg_publication p
    )
"""
# The owner's own rights are told without a name, so that another owner is one difference.
_GRANTEE = """
    CASE WHEN a.grantee = 0 THEN 'PUBLIC' WHEN a.grantee = o.owner THEN 'its owner'
    ELSE quote_ident(pg_get_userbyid(a.grantee)) END
"""
_PRIVILEGES = """
    string_agg(a.privilege_type || CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END,
        ', ' ORDER BY a.privilege_type)
"""

OWNER = Kind(
    "owner",
    "pg_class",
    "secured o",
    "o.kind || ' ' || o.name",
    {"role": "quote_ident(pg_get_userbyid(o.owner))"},
    "o.owns",
    parent="CASE WHEN o.kind IN ('schema', 'publication', 'foreign server', 'foreign data wrapper')"
    " THEN o.kind || ' ' ELSE '' END || o.name",
    number="NULL::oid",
)
GRANT = Kind(
    "grant",
    "pg_class",
    f"""
    (SELECT o.kind, o.name, {_GRANTEE} AS grantee, {_PRIVILEGES} AS privileges
    FROM secured o, aclexplode(o.acl) a GROUP BY 1, 2, 3) o
    """,
    "o.kind || ' ' || o.name || ' to ' || o.grantee",
    {"privileges": "o.privileges"},
    parent="CASE WHEN o.kind IN ('schema', 'publication', 'foreign server', 'foreign data wrapper')"
    " THEN o.kind || ' ' ELSE '' END || o.name",
    number="NULL::oid",
)
_OBJECTS = {"r": "tables", "S": "sequences", "f": "functions", "T": "types", "n": "schemas"}
DEFAULT_PRIVILEGES = Kind(
    "default privileges",
    "pg_default_acl",
    f"""
    (SELECT o.oid, concat_ws(' ', {choice("o.defaclobjtype", **_OBJECTS)}, 'of',
        quote_ident(pg_get_userbyid(o.defaclrole)), 'in ' || nullif(o.defaclnamespace, 0)
        ::regnamespace, 'to', CASE a.grantee WHEN 0 THEN 'PUBLIC'
        ELSE quote_ident(pg_get_userbyid(a.grantee)) END) AS name, {_PRIVILEGES} AS privileges
    FROM pg_default_acl o, aclexplode(o.defaclacl) a GROUP BY o.oid, a.grantee) o
    """,
    "o.name",
    {"privileges": "o.privileges"},
)

PRIVILEGES = (OWNER, GRANT, DEFAULT_PRIVILEGES)
