"""The kinds outside of schemas: extensions, publications, foreign servers."""

from __future__ import annotations

from db_ops.postgres.schema.kinds.kind import Kind, choice, flag, reference, since

# An option's value may be a secret, which neither a report nor a hash has any business with.
_SECRET = "pass|secret|token|key"
_FOREIGN_OPTIONS = """
    (SELECT string_agg(CASE WHEN split_part(x, '=', 1) ~* '{secret}'
        THEN split_part(x, '=', 1) || '=***' ELSE x END, ', ' ORDER BY x COLLATE "C")
    FROM unnest({array}) x)
"""

EXTENSION = Kind(
    "extension",
    "pg_extension",
    "pg_extension o",
    "quote_ident(o.extname)",
    {"version": "o.extversion", "schema": "o.extnamespace::regnamespace"},
    in_schema=False,
)
FOREIGN_DATA_WRAPPER = Kind(
    "foreign data wrapper",
    "pg_foreign_data_wrapper",
    "pg_foreign_data_wrapper o",
    "quote_ident(o.fdwname)",
    {
        "handler": reference("o.fdwhandler", "regprocedure"),
        "validator": reference("o.fdwvalidator", "regprocedure"),
        "options": _FOREIGN_OPTIONS.format(secret=_SECRET, array="o.fdwoptions"),
    },
    in_schema=False,
)
FOREIGN_SERVER = Kind(
    "foreign server",
    "pg_foreign_server",
    "pg_foreign_server o JOIN pg_foreign_data_wrapper w ON w.oid = o.srvfdw",
    "quote_ident(o.srvname)",
    {
        "wrapper": "quote_ident(w.fdwname)",
        "type": "o.srvtype",
        "version": "o.srvversion",
        "options": _FOREIGN_OPTIONS.format(secret=_SECRET, array="o.srvoptions"),
    },
    in_schema=False,
)
PUBLICATION = Kind(
    "publication",
    "pg_publication",
    "pg_publication o",
    "quote_ident(o.pubname)",
    {
        "all tables": flag("o.puballtables", "all tables"),
        "operations": "concat_ws(', ', CASE WHEN o.pubinsert THEN 'insert' END,"
        " CASE WHEN o.pubupdate THEN 'update' END, CASE WHEN o.pubdelete THEN 'delete' END,"
        " CASE WHEN o.pubtruncate THEN 'truncate' END)",
        "via root": flag("o.pubviaroot", "via root"),
        "generated columns": since(18, choice("o.pubgencols", n="none", s="stored")),
        "schemas": since(
            15,
            "(SELECT string_agg(pnnspid::regnamespace::text, ', ' ORDER BY pnnspid::regnamespace"
            '::text COLLATE "C") FROM pg_publication_namespace WHERE pnpubid = o.oid)',
        ),
    },
    in_schema=False,
)
PUBLICATION_TABLE = Kind(
    "publication table",
    "pg_publication_rel",
    "pg_publication_rel o JOIN pg_publication p ON p.oid = o.prpubid",
    "quote_ident(p.pubname) || '.' || o.prrelid::regclass",
    {
        "columns": since(
            15,
            "(SELECT string_agg(quote_ident(attname), ', ' ORDER BY attname COLLATE \"C\")"
            " FROM pg_attribute WHERE attrelid = o.prrelid AND attnum = ANY (o.prattrs))",
        ),
        "where": since(15, "pg_get_expr(o.prqual, o.prrelid)"),
    },
    parent="'publication ' || quote_ident(p.pubname)",
    in_schema=False,
)

FOREIGN = (FOREIGN_DATA_WRAPPER, FOREIGN_SERVER)
PUBLICATIONS = (PUBLICATION, PUBLICATION_TABLE)
