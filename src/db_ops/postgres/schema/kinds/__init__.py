"""Every kind of object that decides a schema, and the one query that reads them all."""

from __future__ import annotations

from functools import cache

from db_ops.postgres.schema.kinds.behaviour import BEHAVIOUR
from db_ops.postgres.schema.kinds.database_objects import EXTENSION, FOREIGN, PUBLICATIONS
from db_ops.postgres.schema.kinds.kind import Kind
from db_ops.postgres.schema.kinds.privileges import PRIVILEGES, SECURED
from db_ops.postgres.schema.kinds.scope import SCOPE, SILENCED
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


def kinds(*, grants: bool) -> tuple[Kind, ...]:
    """Return the kinds that are read, in the order of a report."""
    return (*KINDS, *PRIVILEGES) if grants else KINDS


@cache
def catalog_query(major: int, *, grants: bool, silenced: bool) -> str:
    """Return the query of kind, parent, name and attributes of each object, in no order.

    With *silenced*, rows of that kind name what the scope left out. Its parameters are
    `version_table`, `version_schema` and `partitions`.
    """
    scope = [SCOPE, *([DOUBTFUL] if major >= 18 else []), *([SECURED] if grants else [])]
    branches = " UNION ALL ".join(kind.select(major) for kind in kinds(grants=grants))
    return f"""
        WITH {",".join(scope)}
        SELECT kind, parent, name, array_append(attributes, note.description) AS attributes
        FROM ({branches}) AS found (kind, parent, name, attributes, catalog, number, part)
        LEFT JOIN note ON note.classoid = catalog AND note.objoid = number AND note.objsubid = part
        {f"UNION ALL {SILENCED}" if silenced else ""}
    """
