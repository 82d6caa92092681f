"""Everything that decides a database's schema: read in bulk, compared, and hashed by the server.

Not looked at: subscriptions and user mappings (they hold passwords), settings of databases and
roles, languages, conversions, access methods, and the order of a table's columns.
"""

from __future__ import annotations

from db_ops.postgres.schema.compare import compare_schemas, undo_statements
from db_ops.postgres.schema.objects import Change, Schema, SchemaObject
from db_ops.postgres.schema.reading import (
    FINGERPRINT_FORMAT,
    PINNED,
    fingerprint,
    fingerprint_parameters,
    fingerprint_query,
    major_version,
    read_schema,
)

__all__ = [
    "FINGERPRINT_FORMAT",
    "PINNED",
    "Change",
    "Schema",
    "SchemaObject",
    "compare_schemas",
    "fingerprint",
    "fingerprint_parameters",
    "fingerprint_query",
    "major_version",
    "read_schema",
    "undo_statements",
]
