"""Drop what a role owns in a database, and nothing that is an extension's or another role's.

DROP OWNED would take the extensions of the role with it, what others have that depends on it, and
the role's own rights.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.errors import DeadlockDetected, LockNotAvailable, OutOfMemory
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from db_ops.postgres.connection.server import Server
from db_ops.postgres.own_databases import transaction
from db_ops.results import ObjectCount, ObjectsDropped

# Each kind that has an owner. What belongs to an extension, or is a part of another object (an
# array type, the sequence of a column), has none of its own.
_OBJECTS = """
    SELECT * FROM (
        SELECT 'pg_class'::regclass AS class, oid, relowner AS owner FROM pg_class
            WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND relpersistence <> 't'
        UNION ALL SELECT 'pg_type'::regclass, oid, typowner FROM pg_type
        UNION ALL SELECT 'pg_proc'::regclass, oid, proowner FROM pg_proc
        UNION ALL SELECT 'pg_operator'::regclass, oid, oprowner FROM pg_operator
        UNION ALL SELECT 'pg_opclass'::regclass, oid, opcowner FROM pg_opclass
        UNION ALL SELECT 'pg_opfamily'::regclass, oid, opfowner FROM pg_opfamily
        UNION ALL SELECT 'pg_collation'::regclass, oid, collowner FROM pg_collation
        UNION ALL SELECT 'pg_conversion'::regclass, oid, conowner FROM pg_conversion
        UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgowner FROM pg_ts_config
        UNION ALL SELECT 'pg_ts_dict'::regclass, oid, dictowner FROM pg_ts_dict
        UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, stxowner FROM pg_statistic_ext
        UNION ALL SELECT 'pg_language'::regclass, oid, lanowner FROM pg_language
        UNION ALL SELECT 'pg_event_trigger'::regclass, oid, evtowner FROM pg_event_trigger
        UNION ALL SELECT 'pg_publication'::regclass, oid, pubowner FROM pg_publication
        UNION ALL SELECT 'pg_foreign_server'::regclass, oid, srvowner FROM pg_foreign_server
        UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid, fdwowner
            FROM pg_foreign_data_wrapper
        UNION ALL SELECT 'pg_largeobject'::regclass, oid, lomowner FROM pg_largeobject_metadata
        UNION ALL SELECT 'pg_namespace'::regclass, oid, nspowner FROM pg_namespace
            WHERE nspname !~ '^pg_' AND nspname <> 'public'
    ) AS o
    WHERE oid >= 16384 AND NOT EXISTS (
        SELECT FROM pg_depend d
        WHERE d.classid = o.class AND d.objid = o.oid AND d.objsubid = 0 AND (
            d.deptype IN ('i', 'e') OR d.deptype = 'a'
            AND o.class = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
            AND EXISTS (SELECT FROM pg_class s WHERE s.oid = o.oid AND s.relkind = 'S')
        )
    )
"""
_OWNED = f"""
    SELECT kind, identity, o.oid FROM ({_OBJECTS}) AS o
    JOIN pg_roles ON pg_roles.oid = owner AND rolname = current_user,
    pg_identify_object(class, o.oid, 0) AS i (kind, schema, name, identity)
    ORDER BY 1, 2
"""
_OTHERS = f"""
    SELECT format('%s %s of %s', kind, identity, pg_get_userbyid(owner)) FROM ({_OBJECTS}) AS o,
    pg_identify_object(class, o.oid, 0) AS i (kind, schema, name, identity)
    WHERE pg_get_userbyid(owner) <> current_user ORDER BY 1
"""
# Whatever CASCADE may reach and is not the role's: extensions and their members, what others own,
# and each part of their tables.
_FOREIGN = """
    SELECT 'pg_extension'::regclass::oid, oid, 0 FROM pg_extension
    UNION ALL SELECT classid, objid, 0 FROM pg_depend WHERE deptype = 'e'
    UNION ALL SELECT class::oid, oid, 0 FROM ({objects}) AS o
        WHERE pg_get_userbyid(owner) <> current_user
    UNION ALL SELECT 'pg_class'::regclass, attrelid, attnum FROM pg_attribute
        JOIN others ON oid = attrelid WHERE attnum > 0 AND NOT attisdropped
    UNION ALL SELECT 'pg_constraint'::regclass, c.oid, 0 FROM pg_constraint c
        JOIN others ON others.oid = conrelid
    UNION ALL SELECT 'pg_attrdef'::regclass, d.oid, 0 FROM pg_attrdef d
        JOIN others ON others.oid = adrelid
    UNION ALL SELECT 'pg_trigger'::regclass, t.oid, 0 FROM pg_trigger t
        JOIN others ON others.oid = tgrelid WHERE NOT tgisinternal
    UNION ALL SELECT 'pg_policy'::regclass, p.oid, 0 FROM pg_policy p
        JOIN others ON others.oid = polrelid
    UNION ALL SELECT 'pg_rewrite'::regclass, r.oid, 0 FROM pg_rewrite r
        JOIN others ON others.oid = ev_class
    UNION ALL SELECT 'pg_class'::regclass, indexrelid, 0 FROM pg_index
        JOIN others ON oid = indrelid
"""
_OF_OTHERS = f"""
    WITH others AS (
        SELECT oid FROM pg_class WHERE oid >= 16384 AND pg_get_userbyid(relowner) <> current_user
    )
    {_FOREIGN.format(objects=_OBJECTS)}
"""
# Each object that is dropped is locked until the transaction ends, and so is what is part of it.
_LOCKS = """
    WITH mine AS (
        SELECT c.oid FROM pg_class c JOIN pg_roles r ON r.oid = relowner
        WHERE rolname = current_user AND c.oid >= 16384
    )
    SELECT (SELECT 4 * count(*) FROM mine)
        + (SELECT count(*) FROM pg_constraint JOIN mine ON mine.oid = conrelid)
        + (SELECT count(*) FROM pg_attrdef JOIN mine ON mine.oid = adrelid)
        + (SELECT count(*) FROM pg_trigger JOIN mine ON mine.oid = tgrelid),
        current_setting('max_locks_per_transaction')::int
        * (current_setting('max_connections')::int
           + current_setting('max_prepared_transactions')::int)
"""
_SCHEMAS = """
    SELECT quote_ident(nspname), NOT EXISTS (
            SELECT FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = n.oid
            AND classid <> 'pg_default_acl'::regclass
        ), has_database_privilege(current_database(), 'CREATE')
    FROM pg_namespace n JOIN pg_roles r ON r.oid = nspowner
    WHERE rolname = current_user AND n.oid = ANY (%s::oid[]) ORDER BY 1
"""
_OWNED_BY_ANOTHER = """
    SELECT c.oid::regclass::text, quote_ident(pg_get_userbyid(relowner)), quote_ident(current_user)
    FROM pg_class c
    WHERE c.oid = to_regclass(%s) AND pg_get_userbyid(relowner) <> current_user
"""
_EXTENSIONS = "SELECT extname FROM pg_extension WHERE oid >= 16384 ORDER BY 1"
_DROP = {
    "function": "ROUTINE",
    "procedure": "ROUTINE",
    "aggregate": "ROUTINE",
    "statistics object": "STATISTICS",
    "foreign-data wrapper": "FOREIGN DATA WRAPPER",
}
_SCHEMA, _LARGE_OBJECT = "schema", "large object"
_AT_ONCE = 200
# Of the server's locks, so much of them is ours to take.
_SHARE = 0.5


@dataclass(frozen=True)
class OwnedObject:
    """An object of the role's; `identity` is its name as SQL takes it, with a function's types."""

    kind: str
    identity: str
    oid: int


class OthersDepend(Exception):
    """Objects of others would have gone too, as the server describes them.

    So many `transactions` before have dropped others.
    """

    def __init__(self, objects: tuple[str, ...], transactions: int) -> None:
        super().__init__(objects, transactions)
        self.objects, self.transactions = objects, transactions


def drop_owned_objects(
    server: Server, connection: Connection, on_blocked: Callable[[int], None]
) -> ObjectsDropped:
    """Drop what the role of *connection*, which is in autocommit mode, owns in the target.

    In one transaction, unless that needed more locks than half of what the server has. One that
    does not get a lock in time is run again, after *on_blocked* was told how many were committed
    before. Raises `OthersDepend`, and of that transaction nothing is dropped.
    """
    lock_timeout = server.settings.lock_timeout
    with connection.cursor() as cursor:
        objects = _owned(cursor)
        contents = [one for one in objects if one.kind != _SCHEMA]
        parts = _parts(cursor, len(contents))
    size = math.ceil(len(contents) / parts) or 1
    schemas = [one for one in objects if one.kind == _SCHEMA]
    done = 0
    kept: tuple[str, ...] = ()
    while True:
        gone: set[tuple[int, int, int]] = set()
        try:
            with transaction(connection) as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = {round(lock_timeout * 1000)}")
                present = {(one.kind, one.oid) for one in _owned(cursor)}
                left = [one for one in contents if (one.kind, one.oid) in present]
                before = _of_others(cursor)
                _drop(cursor, left[:size])
                is_last = len(left) <= size
                if is_last:
                    kept = _drop_schemas(cursor, schemas)
                gone = before - _of_others(cursor)
                if gone:
                    raise OthersDepend((), done)
        except OthersDepend:
            raise OthersDepend(_described(connection, gone), done) from None
        except (LockNotAvailable, DeadlockDetected):
            on_blocked(done)
            continue
        except OutOfMemory:
            # The table of locks has room for less than it promises where others fill it.
            if size == 1:
                raise
            size = math.ceil(size / 2)
            continue
        done += 1
        if is_last:
            break
    dropped = Counter(one.kind for one in contents)
    dropped[_SCHEMA] = len(schemas) - len(kept)
    with connection.cursor() as cursor:
        return ObjectsDropped(
            server.location,
            counts=tuple(ObjectCount(*one) for one in sorted(dropped.items()) if one[1]),
            extensions=_column(cursor, _EXTENSIONS),
            others=_column(cursor, _OTHERS),
            schemas=kept,
            transactions=done,
        )


def owned_by_another(
    connection: Connection, schema: str | None, table: str
) -> tuple[str, str, str] | None:
    """Return the name of another role's table, its owner and this role, as SQL takes them."""
    name = sql.Identifier(*filter(None, (schema, table))).as_string(connection)
    with connection.cursor() as cursor:
        cursor.execute(_OWNED_BY_ANOTHER, (name,))
        row = cursor.fetchone()
    return None if row is None else (str(row[0]), str(row[1]), str(row[2]))


def _owned(cursor: Cursor) -> list[OwnedObject]:
    cursor.execute(_OWNED)
    return [OwnedObject(*row) for row in cursor.fetchall()]


def _of_others(cursor: Cursor) -> set[tuple[int, int, int]]:
    cursor.execute(_OF_OTHERS)
    return set(cursor.fetchall())


def _parts(cursor: Cursor, objects: int) -> int:
    cursor.execute(_LOCKS)
    needed, there = map(int, cursor.fetchone() or (0, 1))
    return max(1, math.ceil((needed + objects) / (there * _SHARE)))


def _drop(cursor: Cursor, objects: Iterable[OwnedObject]) -> None:
    """Drop *objects*, of which one may go with another."""
    kinds: dict[str, list[OwnedObject]] = {}
    for one in objects:
        kinds.setdefault(_DROP.get(one.kind, one.kind.upper()), []).append(one)
    # What would be called for the others goes first.
    for kind in sorted(kinds, key=lambda kind: kind != "EVENT TRIGGER"):
        of_kind = kinds[kind]
        if kind == _LARGE_OBJECT.upper():
            oids = [one.oid for one in of_kind]
            cursor.execute("SELECT lo_unlink(oid) FROM unnest(%s::oid[]) AS oid", (oids,))
            continue
        # Of these the grammar takes one at a time.
        step = 1 if kind in ("OPERATOR CLASS", "OPERATOR FAMILY") else _AT_ONCE
        for start in range(0, len(of_kind), step):
            names = ", ".join(one.identity for one in of_kind[start : start + step])
            cursor.execute(f"DROP {kind} IF EXISTS {names} CASCADE")


def _drop_schemas(cursor: Cursor, schemas: Iterable[OwnedObject]) -> tuple[str, ...]:
    """Drop those *schemas* that are empty and can be made again; return the others, with why."""
    cursor.execute(_SCHEMAS, ([one.oid for one in schemas],))
    kept = []
    for name, is_empty, can_be_made in cursor.fetchall():
        if not is_empty:
            kept.append(f"{name} is not empty")
        elif not can_be_made:
            kept.append(f"{name} could not be created again")
        else:
            cursor.execute(f"DROP SCHEMA {name} RESTRICT")
    return tuple(kept)


def _described(connection: Connection, keys: Iterable[tuple[int, int, int]]) -> tuple[str, ...]:
    query = "SELECT pg_describe_object(%s, %s, %s)"
    with connection.cursor() as cursor:
        found = [_column(cursor, query, *key)[0] for key in keys]
    return tuple(sorted(found))


def _column(cursor: Cursor, query: str, *arguments: object) -> tuple[str, ...]:
    cursor.execute(query, arguments or None)
    return tuple(str(row[0]) for row in cursor.fetchall())
