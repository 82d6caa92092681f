"""What is left in a database beside its schema: rows, and how far its sequences have counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from db_ops.settings import RECORDS_SCHEMA

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_RELATIONS = f"""
    SELECT c.relkind, format('%%I.%%I', n.nspname, c.relname), q.seqstart,
        CASE WHEN c.relkind = 'm' AND NOT c.relispopulated THEN 'not populated' ELSE
            (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) END
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_sequence q ON q.seqrelid = c.oid
    WHERE c.relkind IN ('r', 'p', 'S', 'm') AND NOT c.relispartition
    AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', '{RECORDS_SCHEMA}')
    AND c.relname <> %s
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
        AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY 2
"""
_ROWS = """
    SELECT {name}::text, count(*), md5(string_agg(one, '' ORDER BY one))
    FROM (SELECT md5(t::text) AS one FROM {only}{table} AS t) AS rows
"""
_COUNTED = "SELECT {name}::text, last_value, is_called::text FROM {table}"


@dataclass(frozen=True)
class Remains:
    """By name: `rows` of the tables that have any, as their number and a hash of them.

    `sequences` that are not at their start, as what comes next; `columns` of each relation, in
    their order, or that a materialized view is not populated.
    """

    rows: Mapping[str, tuple[int, str]]
    sequences: Mapping[str, str]
    columns: Mapping[str, str]

    @property
    def described(self) -> tuple[str, ...]:
        """Say what there is, one line each."""
        return (
            *(
                f"{count} row{'' if count == 1 else 's'} in {name.removeprefix('public.')}"
                for name, (count, _) in self.rows.items()
            ),
            *(
                f"sequence {name.removeprefix('public.')} is at {at}"
                for name, at in self.sequences.items()
            ),
        )


def read_remains(connection: Connection, version_table: str) -> Remains:
    """Read all of it, but for the version table and what belongs to extensions."""
    with connection.cursor() as cursor:
        cursor.execute(_RELATIONS, (version_table,))
        found = cursor.fetchall()
        columns = {name: order for kind, name, _, order in found if kind != "S"}
        starts = {name: start for kind, name, start, _ in found if kind == "S"}
        parts = [
            _ROWS.format(name=_literal(name), table=name, only="ONLY " if kind == "r" else "")
            for kind, name, _, _ in found
            if kind in "rp"
        ]
        parts += [_COUNTED.format(name=_literal(name), table=name) for name in starts]
        if parts:
            cursor.execute(" UNION ALL ".join(parts))
            read = {name: (number, said) for name, number, said in cursor.fetchall()}
        else:
            read = {}
    rows = {name: one for name, one in read.items() if name not in starts and one[0]}
    sequences = {
        name: f"{read[name][0]}{', taken' if read[name][1] == 'true' else ''}"
        for name, start in starts.items()
        if read[name] != (start, "false")
    }
    return Remains(rows, sequences, columns)


def _literal(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
