"""Read the history table, and the current fingerprint of the catalogs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.errors import (
    InsufficientPrivilege,
    InvalidSchemaName,
    UndefinedColumn,
    UndefinedTable,
)
from psycopg2.extensions import connection as Connection

from db_ops.frozen_data import FrozenData
from db_ops.postgres.catalog import current_role, major_version, revisions_and_comment
from db_ops.postgres.history.rows import HistoryRow, RecordedHistory
from db_ops.postgres.history.table import TABLE, records_key
from db_ops.postgres.schema.reading import (
    fingerprint_format,
    fingerprint_parameters,
    fingerprint_query,
    pinned,
)
from db_ops.settings import RECORDS_SCHEMA

NO_RECORDS = "nothing is recorded in this database"
_COLUMNS = f"""
    id, revision, action, heads, checksum, fingerprint,
    extract(epoch FROM finished_at)::float8 AS finished, seconds, role, os_user, command,
    database <> current_database() AS copied, to_jsonb(history) -> 'parents' AS parents,
    nullif(to_jsonb(history) ->> 'acting_role', role) AS acting_role
    FROM {TABLE} WHERE version_table = %(key)s
"""
_ROWS = f"SELECT row_to_json(r) FROM (SELECT {_COLUMNS} ORDER BY id) AS r"
# The version table is found by the search path, which the fingerprint needs to be another.
_FOUND = """
    SELECT set_config('db_ops.found', json_build_object(
        'revisions', ARRAY(SELECT version_num::text FROM {version_table}),
        'last', (SELECT row_to_json(r) FROM (SELECT {columns} ORDER BY id DESC LIMIT 1) AS r)
    )::text, true)
"""
_STATE = """
    SELECT found, shobj_description(oid, 'pg_database'),
        CASE WHEN found #>> '{{last,fingerprint}}' LIKE %(comparable)s
            AND ARRAY(SELECT jsonb_array_elements_text(found -> 'revisions') ORDER BY 1)
                = ARRAY(SELECT jsonb_array_elements_text(found #> '{{last,heads}}') ORDER BY 1)
            AND (SELECT count(*) FROM pg_class WHERE oid >= 16384) <= %(largest)s
        THEN ({fingerprint}) END
    FROM pg_database, (SELECT current_setting('db_ops.found')::jsonb AS found) AS f
    WHERE datname = current_database()
"""
_ANY_SIZE = 2**31
_MISSING = (UndefinedTable, UndefinedColumn, InvalidSchemaName)


class RecordedState(FrozenData):
    """State read in one query: revisions, database comment, last record, current fingerprint.

    `fingerprint` is None where it was not asked for, because there is nothing to compare it with;
    it would be `of_schema`, that of a single one.
    """

    revisions: tuple[str, ...]
    comment: str
    last: HistoryRow | None = None
    fingerprint: str | None = None
    problem: str | None = None
    denied: bool = False
    of_schema: bool = False


def read_records(
    connection: Connection, version_table: str, version_schema: str | None
) -> RecordedHistory:
    """Return the records of the service with this version table, in one round trip."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(_ROWS, {"key": records_key(version_table, version_schema)})
            rows = tuple(_row(row) for (row,) in cursor.fetchall())
    except _MISSING:
        return RecordedHistory(problem=NO_RECORDS)
    except InsufficientPrivilege:
        return RecordedHistory(problem=_not_allowed(connection))
    return RecordedHistory(rows, None if rows else NO_RECORDS)


def read_state(
    connection: Connection,
    version_table: str,
    version_schema: str | None,
    *,
    schema: str | None = None,
    largest: int | None = None,
) -> RecordedState:
    """Return the state in one round trip; in up to three if something does not exist.

    *connection* is in autocommit mode. The fingerprint is computed only if one of the same format
    and major version was recorded for these very revisions, and if the database has at most
    *largest* relations: the server needs about 50 microseconds for each. It is that of *schema*
    alone if one is named.
    """
    major, of_schema = major_version(connection), schema is not None
    name = sql.Identifier(*filter(None, (version_schema, version_table)))
    query = sql.SQL("{found}; {pinned}; {look}").format(
        found=sql.SQL(_FOUND).format(version_table=name, columns=sql.SQL(_COLUMNS)),
        pinned=sql.SQL(pinned(of_schema=of_schema)),
        look=sql.SQL(_STATE).format(
            fingerprint=sql.SQL(fingerprint_query(major, of_schema=of_schema))
        ),
    )
    parameters = {
        **fingerprint_parameters(version_table, version_schema, schema),
        "key": records_key(version_table, version_schema),
        "comparable": f"{fingerprint_format(of_schema=of_schema)}:{major}:%",
        "largest": _ANY_SIZE if largest is None else largest,
    }
    problem: str | None
    denied = False
    try:
        with connection.cursor() as cursor:
            cursor.execute(query, parameters)
            found, comment, digest = cursor.fetchone() or ({}, None, None)
    except _MISSING:
        problem = NO_RECORDS
    except InsufficientPrivilege:
        problem, denied = _not_allowed(connection), True
    except psycopg2.errors.LockNotAvailable:
        problem = "a table is locked"
    else:
        last = _row(found["last"]) if found["last"] else None
        problem = None if last else NO_RECORDS
        return RecordedState(
            tuple(sorted(found["revisions"])),
            comment or "",
            last,
            digest,
            problem,
            of_schema=of_schema,
        )
    revisions, comment = revisions_and_comment(connection, version_table, version_schema)
    last = None
    if problem is NO_RECORDS and not revisions:
        # The version table may be gone, and the records are not.
        rows = read_records(connection, version_table, version_schema).rows
        last, problem = (rows[-1], None) if rows else (None, problem)
    return RecordedState(
        revisions, comment, last, problem=problem, denied=denied, of_schema=of_schema
    )


def _row(values: dict[str, Any]) -> HistoryRow:
    finished = datetime.fromtimestamp(values.pop("finished"), UTC)
    parents = values.pop("parents")
    return HistoryRow(
        number=values.pop("id"),
        parents=None if parents is None else tuple(parents),
        heads=tuple(values.pop("heads")),
        finished=finished.isoformat(timespec="seconds"),
        **values,
    )


def grant_to_read(connection: Connection) -> str:
    """Return the SQL that lets this role read the records."""
    role = current_role(connection)
    return (
        f"as their owner: GRANT USAGE ON SCHEMA {RECORDS_SCHEMA} TO {role};"
        f" GRANT SELECT ON {TABLE} TO {role}"
    )


def _not_allowed(connection: Connection) -> str:
    return f"this role may not read {TABLE}; {grant_to_read(connection)}"
