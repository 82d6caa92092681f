"""Sequences that would give out a number that is there already."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

# Of serial and identity columns: their own. What a column draws from somebody else's is another's.
_SEQUENCES = """
    SELECT d.objid::regclass::text, d.refobjid::regclass::text, quote_ident(a.attname),
        q.seqincrement > 0
    FROM pg_depend d
    JOIN pg_sequence q ON q.seqrelid = d.objid
    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
    AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
    AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = d.refobjid AND i.indisunique
        AND i.indkey[0] = a.attnum AND i.indnkeyatts = 1)
    ORDER BY 1
"""


def sequences_behind(connection: Connection) -> Iterator[str]:
    """Yield a text for each sequence whose next number its column holds, or has passed."""
    with connection.cursor() as cursor:
        cursor.execute("SET search_path = pg_catalog")
        cursor.execute(_SEQUENCES)
        sequences = cursor.fetchall()
        cursor.execute("RESET search_path")
        if not sequences:
            return
        parts = [
            f"SELECT {number}, {'max' if rises else 'min'}({column})::bigint,"
            f" (SELECT last_value FROM {sequence}), (SELECT is_called FROM {sequence}) FROM {table}"
            for number, (sequence, table, column, rises) in enumerate(sequences)
        ]
        cursor.execute(f"{' UNION ALL '.join(parts)} ORDER BY 1")
        for number, highest, value, called in cursor.fetchall():
            _, table, column, rises = sequences[number]
            if highest is None:
                continue
            ahead = value >= highest if called else value > highest
            if not rises:
                ahead = value <= highest if called else value < highest
            if not ahead:
                name = f"{table}.{column}".removeprefix("public.")
                yield f"{name} holds {highest}, and its sequence goes on at {value}"
