"""Everything that decides a database's schema: read in bulk, compared, and hashed by the server.

Not looked at: subscriptions and user mappings (they hold passwords), settings of databases and
roles, languages, conversions, access methods, and the order of a table's columns.
"""

from __future__ import annotations

from db_ops.postgres.schema.compare import compare_schemas, undo_statements
from db_ops.postgres.schema.objects import Change, Schema, SchemaObject
from db_ops.postgres.schema.ownership import as_owned_by
from db_ops.postgres.schema.reading import (
    FINGERPRINT_FORMAT,
    PINNED,
    fingerprint,
    fingerprint_parameters,
    fingerprint_query,
    major_version,
    read_schema,
)
from db_ops.postgres.schema.stored import from_json, to_json
from db_ops.postgres.schema.supplies import foundations, suppliers, with_borrowed

__all__ = [
    "FINGERPRINT_FORMAT",
    "PINNED",
    "Change",
    "Schema",
    "SchemaObject",
    "as_owned_by",
    "compare_schemas",
    "fingerprint",
    "fingerprint_parameters",
    "fingerprint_query",
    "foundations",
    "from_json",
    "major_version",
    "read_schema",
    "suppliers",
    "to_json",
    "undo_statements",
    "with_borrowed",
]
