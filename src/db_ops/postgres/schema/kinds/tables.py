"""Tables and what they are made of: columns, constraints, indexes, sequences."""

from __future__ import annotations

from db_ops.postgres.schema.kinds.kind import COLUMN_OPTIONS, Kind, choice, flag, sorted_elements

_RELATION = "pg_class o JOIN relation r ON r.oid = o.oid"
_PLACE = " LEFT JOIN pg_tablespace place ON place.oid = o.reltablespace"
_METHOD = " LEFT JOIN pg_am method ON method.oid = o.relam"
_TOAST = " LEFT JOIN pg_class toast ON toast.oid = o.reltoastrelid"
_PERSISTENCE = choice("o.relpersistence", p="permanent", u="unlogged")
_INHERITS = """
    (SELECT string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno)
    FROM pg_inherits WHERE inhrelid = o.oid)
"""
_PARTITION_KEY = "CASE WHEN o.relkind = 'p' THEN pg_get_partkeydef(o.oid) END"
_REPLICA_IDENTITY = """
    CASE o.relreplident WHEN 'd' THEN 'default' WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full'
    ELSE 'index ' || (SELECT indexrelid::regclass FROM pg_index
        WHERE indrelid = o.oid AND indisreplident) END
"""

SCHEMA = Kind(
    "schema", "pg_namespace", "pg_namespace o JOIN space s ON s.oid = o.oid", "s.name", {}
)
TABLE = Kind(
    "table",
    "pg_class",
    _RELATION + _PLACE + _METHOD + _TOAST,
    "r.name",
    {
        "persistence": _PERSISTENCE,
        "partition key": _PARTITION_KEY,
        "inherits": f"CASE WHEN NOT o.relispartition THEN {_INHERITS} END",
        "of type": "CASE WHEN o.reloftype <> 0 THEN format_type(o.reloftype, NULL) END",
        "options": sorted_elements("o.reloptions"),
        "toast options": sorted_elements("toast.reloptions"),
        "row security": choice("o.relrowsecurity", true="enabled", false="disabled"),
        "forced row security": choice("o.relforcerowsecurity", true="forced", false="not forced"),
        "replica identity": _REPLICA_IDENTITY,
        "access method": "method.amname",
        "tablespace": "place.spcname",
    },
    "o.relkind IN ('r', 'p') AND NOT o.relispartition",
)
PARTITION = Kind(
    "partition",
    "pg_class",
    _RELATION + _PLACE + _METHOD,
    "r.name",
    {
        "of": _INHERITS,
        "bound": "pg_get_expr(o.relpartbound, o.oid)",
        "partition key": _PARTITION_KEY,
        "persistence": _PERSISTENCE,
        "options": sorted_elements("o.reloptions"),
        "access method": "method.amname",
        "tablespace": "place.spcname",
    },
    "o.relispartition AND o.relkind IN ('r', 'p', 'f')",
    parent=_INHERITS,
)

# A default that draws from the column's own sequence is the same under any sequence's name.
_DEFAULT = """
    CASE WHEN o.attgenerated <> '' THEN NULL
    WHEN pg_get_expr(d.adbin, d.adrelid)
        = 'nextval(' || quote_literal(owned.sequence::regclass) || '::regclass)'
    THEN 'nextval(its own sequence)' ELSE pg_get_expr(d.adbin, d.adrelid) END
"""
_DOUBTFUL_NOT_NULL = """
    (SELECT CASE WHEN NOT convalidated THEN ' NOT VALID' ELSE '' END
        || CASE WHEN connoinherit THEN ' NO INHERIT' ELSE '' END
    FROM doubtful WHERE conrelid = o.attrelid AND conkey = ARRAY[o.attnum])
"""
DOUBTFUL = """
    doubtful AS MATERIALIZED (
        SELECT conrelid, conkey, convalidated, connoinherit FROM pg_constraint
        WHERE contype = 'n' AND (NOT convalidated OR connoinherit)
    )
"""


def _nullability(major: int) -> str:
    kept = f" || coalesce({_DOUBTFUL_NOT_NULL}, '')" if major >= 18 else ""
    return f"CASE WHEN o.attnotnull THEN 'NOT NULL'{kept} ELSE 'NULL' END"


COLUMN = Kind(
    "column",
    "pg_class",
    """
    pg_attribute o JOIN relation r ON r.oid = o.attrelid
    JOIN pg_type t ON t.oid = o.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = o.attrelid AND d.adnum = o.attnum
    LEFT JOIN owned ON owned.relation = o.attrelid AND owned.number = o.attnum
    """,
    "quote_ident(o.attname)",
    {
        "type": "format_type(o.atttypid, o.atttypmod)",
        "nullability": _nullability,
        "default": _DEFAULT,
        "generated": "CASE WHEN o.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid)"
        f" || ' ' || {choice('o.attgenerated', s='STORED', v='VIRTUAL')} END",
        "identity": choice("nullif(o.attidentity, '')", a="ALWAYS", d="BY DEFAULT"),
        "sequence": "owned.options",
        "collation": "CASE WHEN o.attcollation NOT IN (0, t.typcollation)"
        " THEN o.attcollation::regcollation END",
        "storage": "CASE WHEN o.attstorage <> t.typstorage THEN"
        f" {choice('o.attstorage', p='PLAIN', e='EXTERNAL', m='MAIN', x='EXTENDED')} END",
        "compression": choice("nullif(o.attcompression, '')", p="pglz", l="lz4"),
        "statistics": "nullif(o.attstattarget, -1)",
        "options": COLUMN_OPTIONS,
        "foreign options": sorted_elements("o.attfdwoptions"),
    },
    "o.attnum > 0 AND NOT o.attisdropped AND NOT r.relispartition AND r.relkind IN ('r', 'p', 'f')",
    parent="r.name",
    number="o.attrelid",
    column_number="o.attnum",
    nested=True,
)

# NOT NULL is told by its column; a constraint trigger is told as a trigger.
_CONSTRAINT_DEFINITION = """
    CASE WHEN o.convalidated THEN pg_get_constraintdef(o.oid)
    ELSE regexp_replace(pg_get_constraintdef(o.oid), ' NOT VALID$', '') END
"""
_SILENT_FOREIGN_KEY = """
    CASE WHEN o.contype = 'f' AND EXISTS (
        SELECT FROM pg_trigger WHERE tgconstraint = o.oid AND tgisinternal AND tgenabled = 'D')
    THEN 'disabled' END
"""


def _validity(major: int) -> str:
    # What is not enforced is never valid; that is one thing, and the definition says it.
    valid = "o.convalidated OR NOT o.conenforced" if major >= 18 else "o.convalidated"
    return f"CASE WHEN {valid} THEN 'valid' ELSE 'NOT VALID' END"


CONSTRAINT = Kind(
    "constraint",
    "pg_constraint",
    """
    pg_constraint o JOIN relation r ON r.oid = o.conrelid
    LEFT JOIN pg_index i ON i.indexrelid = o.conindid AND o.contype IN ('p', 'u', 'x')
    LEFT JOIN pg_class c ON c.oid = i.indexrelid
    LEFT JOIN pg_tablespace place ON place.oid = c.reltablespace
    """,
    "quote_ident(o.conname)",
    {
        "definition": _CONSTRAINT_DEFINITION,
        "validity": _validity,
        "triggers": _SILENT_FOREIGN_KEY,
        "index validity": flag("NOT i.indisvalid", "INVALID"),
        "index options": sorted_elements("c.reloptions"),
        "index tablespace": "place.spcname",
        "clustered": flag("i.indisclustered", "clustered"),
    },
    "o.contype IN ('p', 'u', 'f', 'c', 'x') AND o.conparentid = 0"
    " AND (o.coninhcount = 0 OR o.conislocal)",
    parent="r.name",
    nested=True,
)
INDEX = Kind(
    "index",
    "pg_class",
    "relation r JOIN pg_index i ON i.indrelid = r.oid JOIN pg_class o ON o.oid = i.indexrelid"
    " JOIN space s ON s.oid = o.relnamespace" + _PLACE,
    "s.name || '.' || quote_ident(o.relname)",
    {
        "definition": "pg_get_indexdef(o.oid)",
        "validity": choice("i.indisvalid", true="valid", false="INVALID"),
        "clustered": flag("i.indisclustered", "clustered"),
        "statistics": """
            CASE WHEN i.indexprs IS NOT NULL THEN (
                SELECT string_agg(attnum || ': ' || attstattarget, ', ' ORDER BY attnum)
                FROM pg_attribute WHERE attrelid = o.oid AND attstattarget >= 0) END
        """,
        "tablespace": "place.spcname",
    },
    "NOT o.relispartition AND NOT EXISTS (SELECT FROM pg_constraint c"
    " WHERE c.conindid = o.oid AND c.contype IN ('p', 'u', 'x'))",
    parent="r.name",
)
SEQUENCE = Kind(
    "sequence",
    "pg_class",
    _RELATION + " JOIN pg_sequence q ON q.seqrelid = o.oid",
    "r.name",
    {
        "type": "format_type(q.seqtypid, NULL)",
        "start": "q.seqstart",
        "increment": "q.seqincrement",
        "minimum": "q.seqmin",
        "maximum": "q.seqmax",
        "cache": "q.seqcache",
        "cycle": choice("q.seqcycle", true="CYCLE", false="NO CYCLE"),
        "persistence": _PERSISTENCE,
    },
    "NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass"
    " AND d.objid = o.oid AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i'))",
)
FOREIGN_TABLE = Kind(
    "foreign table",
    "pg_class",
    _RELATION + " JOIN pg_foreign_table f ON f.ftrelid = o.oid"
    " JOIN pg_foreign_server v ON v.oid = f.ftserver",
    "r.name",
    {
        "server": "quote_ident(v.srvname)",
        "inherits": _INHERITS,
        "foreign options": sorted_elements("f.ftoptions"),
    },
    "NOT o.relispartition",
)
STATISTICS = Kind(
    "statistics",
    "pg_statistic_ext",
    "pg_statistic_ext o JOIN relation r ON r.oid = o.stxrelid"
    " JOIN space s ON s.oid = o.stxnamespace",
    "s.name || '.' || quote_ident(o.stxname)",
    {
        "definition": "pg_get_statisticsobjdef(o.oid)",
        "target": "nullif(o.stxstattarget, -1)",
    },
    parent="r.name",
)

TABLES = (TABLE, PARTITION, FOREIGN_TABLE, COLUMN, CONSTRAINT, INDEX, STATISTICS)
