"""Which objects are read: the common table expressions that all kinds share.

Left out by rule: the system's schemas, extensions' members and schemas, the version table, and the
schema of our own records. `relation` holds partitions too, unless they are not asked for.
"""

from __future__ import annotations

from db_ops.settings import RECORDS_SCHEMA

# Everything a user has made has a number from this on (FirstNormalObjectId).
FIRST_NUMBER = 16384

SCOPE = f"""
    member AS MATERIALIZED (
        SELECT classid, objid FROM pg_depend
        WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
    ),
    note AS MATERIALIZED (
        SELECT classoid, objoid, objsubid, description FROM pg_description
        WHERE objoid >= {FIRST_NUMBER} OR classoid = 'pg_namespace'::regclass
    ),
    space AS MATERIALIZED (
        SELECT n.oid, quote_ident(n.nspname) AS name, n.nspname
        FROM pg_namespace n
        WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', '{RECORDS_SCHEMA}')
        AND n.nspname = coalesce(%(schema)s, n.nspname)
        AND NOT EXISTS (
            SELECT FROM member WHERE classid = 'pg_namespace'::regclass AND objid = n.oid)
    ),
    relation AS MATERIALIZED (
        SELECT c.oid, c.relkind, c.relispartition,
            space.name || '.' || quote_ident(c.relname) AS name
        FROM pg_class c JOIN space ON space.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S', 'c')
        AND NOT (c.relispartition AND NOT %(partitions)s)
        AND NOT (c.relname = %(version_table)s
            AND space.nspname = coalesce(%(version_schema)s, space.nspname))
        AND NOT EXISTS (
            SELECT FROM member WHERE classid = 'pg_class'::regclass AND objid = c.oid)
    ),
    owned AS MATERIALIZED (
        SELECT d.refobjid AS relation, d.refobjsubid AS number, min(d.objid::oid) AS sequence,
            string_agg(concat_ws(' ', format_type(q.seqtypid, NULL), 'START', q.seqstart,
                'INCREMENT', q.seqincrement, 'MINVALUE', q.seqmin, 'MAXVALUE', q.seqmax,
                'CACHE', q.seqcache, CASE WHEN q.seqcycle THEN 'CYCLE' END), '; ') AS options
        FROM pg_sequence q
        JOIN pg_class c ON c.oid = q.seqrelid JOIN space ON space.oid = c.relnamespace
        JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = q.seqrelid
            AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
            AND d.deptype IN ('a', 'i')
        GROUP BY 1, 2
    )
"""

# What a report can say was left out, by the same rules.
SILENCED = f"""
    SELECT 'silenced'::text, NULL::text,
        format('extension %%s: %%s objects', e.extname, count(*)), NULL::text[], 0
    FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
    GROUP BY e.extname
    UNION ALL
    SELECT 'silenced', NULL, format('version table %%I.%%I', n.nspname, c.relname), NULL, 0
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relname = %(version_table)s
    AND n.nspname = coalesce(%(version_schema)s, n.nspname)
    UNION ALL
    SELECT 'silenced', NULL, format('schema %%I: records of db_ops', nspname), NULL, 0
    FROM pg_namespace WHERE nspname = '{RECORDS_SCHEMA}'
"""
