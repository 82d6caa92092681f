"""The kinds views, functions, triggers, policies and rules."""

from __future__ import annotations

from db_ops.postgres.schema.kinds.kind import (
    COLUMN_OPTIONS,
    Kind,
    choice,
    reference,
    sorted_elements,
)

_ENABLED = {"O": "enabled", "D": "disabled", "R": "replica", "A": "always"}
_RELATION = "pg_class o JOIN relation r ON r.oid = o.oid"

VIEW = Kind(
    "view",
    "pg_class",
    _RELATION,
    "r.name",
    {"definition": "pg_get_viewdef(o.oid)", "options": sorted_elements("o.reloptions")},
    "o.relkind = 'v'",
)
MATERIALIZED_VIEW = Kind(
    "materialized view",
    "pg_class",
    _RELATION
    + " LEFT JOIN pg_am method ON method.oid = o.relam"
    + " LEFT JOIN pg_tablespace place ON place.oid = o.reltablespace",
    "r.name",
    {
        "definition": "pg_get_viewdef(o.oid)",
        "options": sorted_elements("o.reloptions"),
        "access method": "method.amname",
        "tablespace": "place.spcname",
    },
    "o.relkind = 'm'",
)
# A view's columns follow from its definition, but for what can be set on them alone.
VIEW_COLUMN = Kind(
    "view column",
    "pg_class",
    """
    pg_attribute o JOIN relation r ON r.oid = o.attrelid
    LEFT JOIN pg_attrdef d ON d.adrelid = o.attrelid AND d.adnum = o.attnum
    LEFT JOIN note ON note.classoid = 'pg_class'::regclass AND note.objoid = o.attrelid
        AND note.objsubid = o.attnum
    """,
    "quote_ident(o.attname)",
    {
        "default": "pg_get_expr(d.adbin, d.adrelid)",
        "statistics": "nullif(o.attstattarget, -1)",
        "options": COLUMN_OPTIONS,
    },
    "o.attnum > 0 AND NOT o.attisdropped AND r.relkind IN ('v', 'm') AND (d.oid IS NOT NULL"
    " OR note.description IS NOT NULL OR r.relkind = 'm' AND o.attstattarget >= 0"
    f" OR {COLUMN_OPTIONS} IS NOT NULL)",
    parent="r.name",
    number="o.attrelid",
    column_number="o.attnum",
    nested=True,
)

_ROUTINE = "pg_proc o JOIN space s ON s.oid = o.pronamespace"
_SIGNATURE = (
    "s.name || '.' || quote_ident(o.proname) || '(' || oidvectortypes(o.proargtypes) || ')'"
)
# A range type brings its constructors with it.
_MADE_BY_HAND = (
    "NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass"
    " AND d.objid = o.oid AND d.deptype = 'i')"
)
FUNCTION = Kind(
    "function",
    "pg_proc",
    _ROUTINE,
    _SIGNATURE,
    {"definition": "pg_get_functiondef(o.oid)"},
    f"o.prokind IN ('f', 'w') AND {_MADE_BY_HAND}",
)
PROCEDURE = Kind(
    "procedure",
    "pg_proc",
    _ROUTINE,
    _SIGNATURE,
    {"definition": "pg_get_functiondef(o.oid)"},
    "o.prokind = 'p'",
)
AGGREGATE = Kind(
    "aggregate",
    "pg_proc",
    _ROUTINE + " JOIN pg_aggregate a ON a.aggfnoid = o.oid",
    _SIGNATURE,
    {
        "arguments": "pg_get_function_arguments(o.oid)",
        "kind": choice("a.aggkind", n="normal", o="ordered-set", h="hypothetical-set"),
        "result": "format_type(o.prorettype, NULL)",
        "transition": reference("a.aggtransfn", "regprocedure"),
        "state": "format_type(a.aggtranstype, NULL)",
        "final": reference("a.aggfinalfn", "regprocedure"),
        "combine": reference("a.aggcombinefn", "regprocedure"),
        "serialise": reference("a.aggserialfn", "regprocedure"),
        "deserialise": reference("a.aggdeserialfn", "regprocedure"),
        "initial value": "a.agginitval",
        "moving": "concat_ws(', ', nullif(a.aggmtransfn, 0)::regprocedure,"
        " nullif(a.aggminvtransfn, 0)::regprocedure, nullif(a.aggmfinalfn, 0)::regprocedure,"
        " nullif(a.aggmtranstype, 0)::regtype, a.aggminitval)",
        "sort operator": reference("a.aggsortop", "regoperator"),
        "final modification": "concat(a.aggfinalmodify, a.aggmfinalmodify)",
        "final extra": "concat(a.aggfinalextra, a.aggmfinalextra)",
        "parallel": choice("o.proparallel", s="safe", r="restricted", u="unsafe"),
    },
)

TRIGGER = Kind(
    "trigger",
    "pg_trigger",
    "pg_trigger o JOIN relation r ON r.oid = o.tgrelid",
    "quote_ident(o.tgname)",
    {
        "definition": "pg_get_triggerdef(o.oid)",
        "enabled": choice("o.tgenabled", **_ENABLED),
    },
    "NOT o.tgisinternal AND o.tgparentid = 0",
    parent="r.name",
    nested=True,
)
RULE = Kind(
    "rule",
    "pg_rewrite",
    "pg_rewrite o JOIN relation r ON r.oid = o.ev_class",
    "quote_ident(o.rulename)",
    {
        "definition": "pg_get_ruledef(o.oid)",
        "enabled": choice("o.ev_enabled", **_ENABLED),
    },
    "o.rulename <> '_RETURN'",
    parent="r.name",
    nested=True,
)
POLICY = Kind(
    "policy",
    "pg_policy",
    "pg_policy o JOIN relation r ON r.oid = o.polrelid",
    "quote_ident(o.polname)",
    {
        "kind": choice("o.polpermissive", true="PERMISSIVE", false="RESTRICTIVE"),
        "command": choice("o.polcmd", r="SELECT", a="INSERT", w="UPDATE", d="DELETE").replace(
            "ELSE", "WHEN '*' THEN 'ALL' ELSE"
        ),
        "roles": """
            (SELECT string_agg(
                CASE x WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x)) END, ', '
                ORDER BY pg_get_userbyid(x)) FROM unnest(o.polroles) x)
        """,
        "using": "pg_get_expr(o.polqual, o.polrelid)",
        "with check": "pg_get_expr(o.polwithcheck, o.polrelid)",
    },
    parent="r.name",
    nested=True,
)
EVENT_TRIGGER = Kind(
    "event trigger",
    "pg_event_trigger",
    "pg_event_trigger o",
    "quote_ident(o.evtname)",
    {
        "event": "o.evtevent",
        "tags": sorted_elements("o.evttags"),
        "function": "o.evtfoid::regprocedure",
        "enabled": choice("o.evtenabled", **_ENABLED),
    },
    in_schema=False,
)

BEHAVIOUR = (
    VIEW,
    MATERIALIZED_VIEW,
    VIEW_COLUMN,
    FUNCTION,
    PROCEDURE,
    AGGREGATE,
    TRIGGER,
    RULE,
    POLICY,
    EVENT_TRIGGER,
)
