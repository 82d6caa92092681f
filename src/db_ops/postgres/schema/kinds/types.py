"""Types and what works on them: enums, domains, ranges, collations, operators, casts, search."""

from __future__ import annotations

from db_ops.postgres.schema.kinds.kind import Kind, choice, flag, reference, since

_TYPE = "pg_type o JOIN space s ON s.oid = o.typnamespace"
_TYPE_NAME = "s.name || '.' || quote_ident(o.typname)"

ENUM = Kind(
    "enum",
    "pg_type",
    _TYPE,
    _TYPE_NAME,
    {
        "values": """
            (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder)
            FROM pg_enum WHERE enumtypid = o.oid)
        """
    },
    "o.typtype = 'e'",
)
DOMAIN = Kind(
    "domain",
    "pg_type",
    _TYPE + " JOIN pg_type base ON base.oid = o.typbasetype",
    _TYPE_NAME,
    {
        "type": "format_type(o.typbasetype, o.typtypmod)",
        "nullability": choice("o.typnotnull", true="NOT NULL", false="NULL"),
        "default": "coalesce(pg_get_expr(o.typdefaultbin, 0), o.typdefault)",
        "collation": "CASE WHEN o.typcollation NOT IN (0, base.typcollation)"
        " THEN o.typcollation::regcollation END",
    },
    "o.typtype = 'd'",
)
DOMAIN_CONSTRAINT = Kind(
    "domain constraint",
    "pg_constraint",
    "pg_constraint o JOIN pg_type t ON t.oid = o.contypid JOIN space s ON s.oid = t.typnamespace",
    "quote_ident(o.conname)",
    {
        "definition": "regexp_replace(pg_get_constraintdef(o.oid), ' NOT VALID$', '')",
        "validity": choice("o.convalidated", true="valid", false="NOT VALID"),
    },
    "o.contype = 'c' AND NOT EXISTS (SELECT FROM member"
    " WHERE classid = 'pg_type'::regclass AND objid = t.oid)",
    parent="s.name || '.' || quote_ident(t.typname)",
    nested=True,
)
COMPOSITE = Kind(
    "composite type",
    "pg_type",
    _TYPE + " JOIN relation r ON r.oid = o.typrelid",
    _TYPE_NAME,
    {
        "attributes": """
            (SELECT string_agg(concat_ws(' ', quote_ident(a.attname),
                format_type(a.atttypid, a.atttypmod),
                CASE WHEN a.attcollation NOT IN (0, t.typcollation)
                THEN 'COLLATE ' || a.attcollation::regcollation END), ', ' ORDER BY a.attnum)
            FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
            WHERE a.attrelid = o.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
        """
    },
    "o.typtype = 'c' AND r.relkind = 'c'",
)
RANGE = Kind(
    "range type",
    "pg_type",
    _TYPE + " JOIN pg_range g ON g.rngtypid = o.oid JOIN pg_opclass c ON c.oid = g.rngsubopc",
    _TYPE_NAME,
    {
        "subtype": "format_type(g.rngsubtype, NULL)",
        "multirange": "format_type(g.rngmultitypid, NULL)",
        "operator class": "c.opcnamespace::regnamespace || '.' || quote_ident(c.opcname)",
        "collation": reference("g.rngcollation", "regcollation"),
        "canonical": reference("g.rngcanonical", "regprocedure"),
        "difference": reference("g.rngsubdiff", "regprocedure"),
    },
)
BASE_TYPE = Kind(
    "base type",
    "pg_type",
    _TYPE,
    _TYPE_NAME,
    {
        "defined": flag("o.typisdefined", "defined"),
        "input": reference("o.typinput", "regprocedure"),
        "output": reference("o.typoutput", "regprocedure"),
        "shape": "concat_ws(' ', o.typlen, o.typbyval, o.typalign, o.typstorage, o.typcategory)",
        "default": "o.typdefault",
    },
    "o.typtype IN ('b', 'p') AND o.typcategory <> 'A'",
)
COLLATION = Kind(
    "collation",
    "pg_collation",
    "pg_collation o JOIN space s ON s.oid = o.collnamespace",
    "s.name || '.' || quote_ident(o.collname)",
    {
        "provider": choice("o.collprovider", b="builtin", c="libc", i="icu", d="default"),
        "collate": "o.collcollate",
        "ctype": "o.collctype",
        "locale": lambda major: (
            "o.colllocale" if major >= 17 else "o.colliculocale" if major >= 15 else None
        ),
        "rules": since(16, "o.collicurules"),
        "deterministic": "o.collisdeterministic",
    },
)
OPERATOR = Kind(
    "operator",
    "pg_operator",
    "pg_operator o JOIN space s ON s.oid = o.oprnamespace",
    "s.name || '.' || o.oprname || '(' || coalesce(nullif(o.oprleft, 0)::regtype::text, 'NONE')"
    " || ', ' || o.oprright::regtype || ')'",
    {
        "function": reference("o.oprcode::oid", "regprocedure"),
        "result": "format_type(o.oprresult, NULL)",
        "commutator": reference("o.oprcom", "regoperator"),
        "negator": reference("o.oprnegate", "regoperator"),
        "restrict": reference("o.oprrest::oid", "regprocedure"),
        "join": reference("o.oprjoin::oid", "regprocedure"),
        "used for": "concat_ws(', ', CASE WHEN o.oprcanmerge THEN 'merge' END,"
        " CASE WHEN o.oprcanhash THEN 'hash' END)",
    },
)
OPERATOR_CLASS = Kind(
    "operator class",
    "pg_opclass",
    "pg_opclass o JOIN space s ON s.oid = o.opcnamespace JOIN pg_am method"
    " ON method.oid = o.opcmethod JOIN pg_opfamily f ON f.oid = o.opcfamily",
    "s.name || '.' || quote_ident(o.opcname) || ' using ' || method.amname",
    {
        "type": "format_type(o.opcintype, NULL)",
        "default": flag("o.opcdefault", "default"),
        "family": "f.opfnamespace::regnamespace || '.' || quote_ident(f.opfname)",
        "storage": "CASE WHEN o.opckeytype <> 0 THEN format_type(o.opckeytype, NULL) END",
        "operators": """
            (SELECT string_agg(concat_ws(' ', amopstrategy, amopopr::regoperator, amoppurpose),
                ', ' ORDER BY amopstrategy, amopopr::regoperator::text COLLATE "C")
            FROM pg_amop WHERE amopfamily = o.opcfamily)
        """,
        "functions": """
            (SELECT string_agg(amprocnum || ' ' || amproc::regprocedure, ', '
                ORDER BY amprocnum, amproc::regprocedure::text COLLATE "C")
            FROM pg_amproc WHERE amprocfamily = o.opcfamily)
        """,
    },
)
CAST = Kind(
    "cast",
    "pg_cast",
    "pg_cast o",
    "format('(%%s AS %%s)', o.castsource::regtype, o.casttarget::regtype)",
    {
        "function": reference("o.castfunc", "regprocedure"),
        "context": choice("o.castcontext", e="explicit", a="assignment", i="implicit"),
        "method": choice("o.castmethod", f="function", i="inout", b="binary"),
    },
    "o.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend d"
    " WHERE d.classid = 'pg_cast'::regclass AND d.objid = o.oid AND d.deptype = 'i')",
    in_schema=False,
)
SEARCH_CONFIGURATION = Kind(
    "text search configuration",
    "pg_ts_config",
    "pg_ts_config o JOIN space s ON s.oid = o.cfgnamespace"
    " JOIN pg_ts_parser p ON p.oid = o.cfgparser",
    "s.name || '.' || quote_ident(o.cfgname)",
    {
        "parser": "p.prsnamespace::regnamespace || '.' || quote_ident(p.prsname)",
        "mappings": """
            (SELECT string_agg(concat_ws(' ', maptokentype, mapseqno, mapdict::regdictionary),
                ', ' ORDER BY maptokentype, mapseqno)
            FROM pg_ts_config_map WHERE mapcfg = o.oid)
        """,
    },
)
SEARCH_DICTIONARY = Kind(
    "text search dictionary",
    "pg_ts_dict",
    "pg_ts_dict o JOIN space s ON s.oid = o.dictnamespace"
    " JOIN pg_ts_template t ON t.oid = o.dicttemplate",
    "s.name || '.' || quote_ident(o.dictname)",
    {
        "template": "t.tmplnamespace::regnamespace || '.' || quote_ident(t.tmplname)",
        "options": "o.dictinitoption",
    },
)

TYPES = (ENUM, DOMAIN, DOMAIN_CONSTRAINT, COMPOSITE, RANGE, BASE_TYPE, COLLATION)
WORKINGS = (OPERATOR, OPERATOR_CLASS, CAST, SEARCH_CONFIGURATION, SEARCH_DICTIONARY)
