"""Write measured statements as a script for psql, with their transactions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from db_ops.errors.quote_ident import quote_ident
from db_ops.frozen_data import replace
from db_ops.postgres.impact.statements import END_OF_DATA
from db_ops.results import MeasuredStatement, Measurement

_CREATE_TABLE = re.compile(r"\ACREATE TABLE(?! IF\b)")
_STANDS_ELSEWHERE = """\
DO $db_ops$
DECLARE recorded text[];
BEGIN
    IF to_regclass({table}) IS NOT NULL THEN
        EXECUTE {query} INTO recorded;
    END IF;
    IF coalesce(recorded, '{{}}') <> {expected} THEN
        RAISE EXCEPTION 'this script is for a database at %, not at %', {expected}, recorded;
    END IF;
END $db_ops$;
"""


def write_script(
    measurement: Measurement,
    current: tuple[str, ...],
    *,
    table: str,
    schema: str | None,
    setup: str,
) -> str:
    """Return SQL for `psql -v ON_ERROR_STOP=1 -f` that does again what was measured.

    It refuses a database whose version table, *schema*.*table*, does not hold *current*.
    """
    name = ".".join(quote_ident(part) for part in (schema, table) if part)
    query = f"SELECT array_agg(version_num::text ORDER BY version_num) FROM {name}"
    expected = f"ARRAY[{', '.join(map(_literal, sorted(current)))}]::text[]"
    guard = _STANDS_ELSEWHERE.format(table=_literal(name), query=_literal(query), expected=expected)
    head = [r"\set ON_ERROR_STOP on", "SET client_encoding = 'UTF8';", f"{setup};", guard]
    # The version table may be there, empty, and is not in the scratch database.
    parts: list[str | MeasuredStatement] = [
        replace(one, sql=_CREATE_TABLE.sub("CREATE TABLE IF NOT EXISTS", one.sql))
        for one in measurement.prelude
    ]
    for measured in measurement.revisions:
        summary = " ".join(measured.revision.summary.split())
        parts += [f"-- {measured.revision.id}: {summary}", *measured.statements]
    return "\n".join((*head, *_with_borders(parts))) + "\n"


def notes(measurement: Measurement) -> tuple[str, ...]:
    """Say what a run in a scratch database cannot show: it has no rows, and stays by itself."""
    found = []
    for measured in measurement.revisions:
        tables = sorted({table for one in measured.statements for table in one.reads})
        if tables:
            found.append(
                f"{measured.revision.id} reads rows of {', '.join(tables)}: what it makes of them "
                "is not shown, because the scratch database has none"
            )
        found += [
            f"{measured.revision.id} was run without a statement that reaches beyond its database: "
            f"{' '.join(one.sql.split())[:60]}"
            for one in measured.statements
            if one.skipped
        ]
    return tuple(found)


def _with_borders(parts: Iterable[str | MeasuredStatement]) -> Iterator[str]:
    """Yield *parts* with BEGIN and COMMIT where the driver had sent them."""
    transaction: int | None = None
    for part in parts:
        if isinstance(part, str):
            # A new revision is a new transaction, wherever its first statement stands.
            if transaction is not None:
                yield "COMMIT;"
            transaction = None
            yield f"\n{part}"
            continue
        if part.transaction != transaction:
            if transaction is not None:
                yield "COMMIT;"
            if part.transaction is not None:
                yield f"{part.begin};"
            transaction = part.transaction
        yield _terminated(part.sql)
    if transaction is not None:
        yield "COMMIT;"


def _terminated(statement: str) -> str:
    # A comment at the end would swallow the semicolon.
    last = statement.rpartition("\n")[2]
    if last == END_OF_DATA:
        return statement
    if statement.endswith(";") and "--" not in last:
        return statement
    return f"{statement}\n;" if "--" in last else f"{statement};"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
