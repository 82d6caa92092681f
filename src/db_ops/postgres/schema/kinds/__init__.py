"""Every kind of object that decides a schema, and the one query that reads them all."""

from __future__ import annotations

from functools import cache

from db_ops.postgres.schema.kinds.behaviour import BEHAVIOUR
from db_ops.postgres.schema.kinds.database_objects import EXTENSION, FOREIGN, PUBLICATIONS
from db_ops.postgres.schema.kinds.kind import Kind
from db_ops.postgres.schema.kinds.privileges import PRIVILEGES, SECURED
from db_ops.postgres.schema.kinds.scope import FIRST_NUMBER, SCOPE, SILENCED
from db_ops.postgres.schema.kinds.tables import DOUBTFUL, SCHEMA, SEQUENCE, TABLES
from db_ops.postgres.schema.kinds.types import TYPES, WORKINGS

# What others need comes first, so that a report's statements can be run in its order.
KINDS = (
    SCHEMA,
    EXTENSION,
    *TYPES,
    *FOREIGN,
    SEQUENCE,
    *TABLES,
    *BEHAVIOUR,
    *WORKINGS,
    *PUBLICATIONS,
)


# What there is if there is one of a kind that many databases have none of. To look for it, and to
# read only what is there, takes half as long as to plan the query of all kinds.
_EVIDENCE = {
    "enum": "pg_type WHERE typtype = 'e' AND oid",
    "domain": "pg_type WHERE typtype = 'd' AND oid",
    "domain constraint": "pg_constraint WHERE contypid",
    "composite type": "pg_class WHERE relkind = 'c' AND oid",
    "range type": "pg_range WHERE rngtypid",
    "base type": "pg_type WHERE typtype IN ('b', 'p') AND typcategory <> 'A' AND oid",
    "collation": "pg_collation WHERE oid",
    "foreign data wrapper": "pg_foreign_data_wrapper WHERE oid",
    "foreign server": "pg_foreign_server WHERE oid",
    "foreign table": "pg_foreign_table WHERE ftrelid",
    "partition": "pg_class WHERE relispartition AND oid",
    "statistics": "pg_statistic_ext WHERE oid",
    "materialized view": "pg_class WHERE relkind = 'm' AND oid",
    "view": "pg_class WHERE relkind = 'v' AND oid",
    "view column": "pg_class WHERE relkind IN ('v', 'm') AND oid",
    "function": "pg_proc WHERE prokind IN ('f', 'w') AND oid",
    "procedure": "pg_proc WHERE prokind = 'p' AND oid",
    "aggregate": "pg_proc WHERE prokind = 'a' AND oid",
    "trigger": "pg_trigger WHERE NOT tgisinternal AND oid",
    "rule": "pg_rewrite WHERE rulename <> '_RETURN' AND oid",
    "policy": "pg_policy WHERE oid",
    "event trigger": "pg_event_trigger WHERE oid",
    "operator": "pg_operator WHERE oid",
    "operator class": "pg_opclass WHERE oid",
    "cast": "pg_cast WHERE oid",
    "text search configuration": "pg_ts_config WHERE oid",
    "text search dictionary": "pg_ts_dict WHERE oid",
    "publication": "pg_publication WHERE oid",
    "publication table": "pg_publication_rel WHERE oid",
    "default privileges": "pg_default_acl WHERE oid",
}
EVIDENCE_QUERY = "SELECT name FROM (VALUES {}) AS kinds(name, is_there) WHERE is_there".format(
    ", ".join(
        f"('{name}', EXISTS (SELECT FROM {evidence} >= {FIRST_NUMBER}))"
        for name, evidence in _EVIDENCE.items()
    )
)


def kinds(*, grants: bool) -> tuple[Kind, ...]:
    """Return the kinds that are read, in the order of a report."""
    return (*KINDS, *PRIVILEGES) if grants else KINDS


@cache
def catalog_query(
    major: int,
    *,
    grants: bool,
    silenced: bool,
    there: frozenset[str] | None = None,
    of_schema: bool = False,
) -> str:
    """Return the query of kind, parent, name and attributes of each object, in no order.

    *there* is what `EVIDENCE_QUERY` finds; without it the query is of all kinds. With *silenced*,
    rows of that kind name what the scope left out, and each row ends with a column's number. Asked
    *of_schema*, it leaves out what belongs to the database as a whole. Its parameters are
    `version_table`, `version_schema`, `partitions`, and the `schema` that alone is read, or NULL.
    """
    scope = [SCOPE, *([DOUBTFUL] if major >= 18 else []), *([SECURED] if grants else [])]
    absent = _EVIDENCE.keys() - there if there is not None else ()
    branches = " UNION ALL ".join(
        kind.select(major)
        for kind in kinds(grants=grants)
        if kind.name not in absent and (kind.in_schema or not of_schema)
    )
    return f"""
        WITH {",".join(scope)}
        SELECT kind, parent, name, array_append(attributes, note.description) AS attributes
            {", part" if silenced else ""}
        FROM ({branches}) AS found (kind, parent, name, attributes, catalog, number, part)
        LEFT JOIN note ON note.classoid = catalog AND note.objoid = number AND note.objsubid = part
        {f"UNION ALL {SILENCED}" if silenced else ""}
    """
