"""One transaction for all that seeds write, and what it has written."""

from __future__ import annotations

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from db_ops.postgres.trial import TrialConnection
from db_ops.results import SeededTable, SequenceBehind
from db_ops.settings import RECORDS_SCHEMA

_SAVEPOINT = "db_ops_seed"
# Of this transaction, by whatever statement, function or trigger.
_WRITTEN = """
    SELECT relid, relid::regclass::text, n_tup_ins, n_tup_upd, n_tup_del
    FROM pg_stat_xact_user_tables
    WHERE n_tup_ins + n_tup_upd + n_tup_del > 0
      AND schemaname <> %s AND schemaname !~ '^pg_(toast_)?temp'
    ORDER BY 2
"""
# The sequences that give the columns of tables their defaults: of serial columns, of identities.
_SEQUENCES = """
    SELECT s.oid::regclass::text, n.nspname, s.relname, t.nspname, c.relname, attname,
           c.oid::regclass || '.' || quote_ident(attname),
           format('SELECT setval(%%L, max(%%I)) FROM %%s', s.oid::regclass, attname,
                  c.oid::regclass)
    FROM (
        SELECT refobjid AS sequence, adrelid AS relation, adnum AS number
        FROM pg_depend JOIN pg_attrdef ON pg_attrdef.oid = objid
        WHERE classid = 'pg_attrdef'::regclass AND refclassid = 'pg_class'::regclass
        UNION SELECT objid, refobjid, refobjsubid FROM pg_depend
        WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
          AND deptype = 'i' AND refobjsubid > 0
    ) AS d
    JOIN pg_class s ON s.oid = sequence AND s.relkind = 'S'
    JOIN pg_namespace n ON n.oid = s.relnamespace
    JOIN pg_sequence ON seqrelid = s.oid AND seqincrement > 0
    JOIN pg_class c ON c.oid = relation JOIN pg_namespace t ON t.oid = c.relnamespace
    JOIN pg_attribute ON attrelid = relation AND attnum = number
    WHERE relation = ANY(%s::oid[]) ORDER BY 1
"""
_HIGHEST = "SELECT (SELECT max({column}) FROM {table}), last_value, is_called FROM {sequence}"


class SeedConnection(TrialConnection):
    """A connection whose `commit` ends a savepoint, once `begin` was called, until `finish`.

    So what a seed commits, through whichever engine, is committed with all the rest or not at all;
    its `rollback` goes back to its last commit.
    """

    _begun = False

    def begin(self) -> None:
        """Begin the transaction."""
        self.autocommit = False
        self._execute(f"SAVEPOINT {_SAVEPOINT}")
        self._begun = True

    def commit(self) -> None:
        if self._begun:
            self._execute(f"RELEASE SAVEPOINT {_SAVEPOINT}; SAVEPOINT {_SAVEPOINT}")
        else:
            super().commit()

    def rollback(self) -> None:
        if self._begun:
            self._execute(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
        else:
            super().rollback()

    def finish(self) -> None:
        """Commit everything."""
        self.commit()
        self._begun = False
        super().commit()

    def _execute(self, statement: str) -> None:
        with self.cursor() as cursor:
            cursor.execute(statement)


def written_tables(connection: Connection) -> tuple[tuple[int, SeededTable], ...]:
    """Return the tables that the open transaction has written to, with their oids."""
    with connection.cursor() as cursor:
        cursor.execute(_WRITTEN, (RECORDS_SCHEMA,))
        return tuple((row[0], SeededTable(*row[1:])) for row in cursor.fetchall())


def sequences_behind(
    connection: Connection, location: str, tables: tuple[int, ...]
) -> tuple[SequenceBehind, ...]:
    """Return the sequences whose next value is in one of *tables* already."""
    behind = []
    with connection.cursor() as cursor:
        cursor.execute(_SEQUENCES, (list(tables),))
        for shown, schema, name, of_schema, table, column, of, remedy in cursor.fetchall():
            query = sql.SQL(_HIGHEST).format(
                column=sql.Identifier(column),
                table=sql.Identifier(of_schema, table),
                sequence=sql.Identifier(schema, name),
            )
            cursor.execute(query)
            highest, last, is_called = cursor.fetchone() or (None, 0, False)
            if isinstance(highest, int) and highest >= last + is_called:
                behind.append(SequenceBehind(location, shown, of, highest, remedy))
    return tuple(behind)
