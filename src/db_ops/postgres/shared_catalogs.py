"""Changes of the shared catalogs, and the statements that revert them.

Roles, memberships, settings of roles and databases, databases themselves with their rights,
tablespaces, comments on all of these, subscriptions and replication origins. Databases of our own
are not looked at: what is theirs goes with them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as PlainCursor
from psycopg2.sql import SQL, Composable, Identifier, Literal

Key = tuple[str, ...]
State = Mapping[Key, Any]

_OURS = r"'^db_ops_[a-z]+_[0-9a-f]{16}$'"
_PASSWORDS = """
    UNION ALL SELECT 'password', ARRAY[rolname], to_jsonb(rolpassword)
    FROM pg_catalog.pg_authid WHERE rolpassword IS NOT NULL
"""
_PARAMETERS = """
    UNION ALL SELECT 'parameter', ARRAY[parname], to_jsonb(paracl::text)
    FROM pg_catalog.pg_parameter_acl
"""
_STATE = f"""
    SELECT 'role', ARRAY[rolname],
        to_jsonb(r) - '{{oid,rolname,rolpassword,rolconfig}}'::text[]
    FROM pg_catalog.pg_roles AS r
    UNION ALL SELECT 'member', ARRAY[pg_get_userbyid(roleid), pg_get_userbyid(member),
        pg_get_userbyid(grantor)], to_jsonb(m) - '{{oid,roleid,member,grantor}}'::text[]
    FROM pg_catalog.pg_auth_members AS m
    UNION ALL SELECT 'setting', ARRAY[coalesce(datname, ''),
        CASE WHEN setrole = 0 THEN '' ELSE pg_get_userbyid(setrole) END], to_jsonb(setconfig)
    FROM pg_catalog.pg_db_role_setting
    LEFT JOIN pg_catalog.pg_database ON pg_database.oid = setdatabase
    WHERE coalesce(datname, '') !~ {_OURS}
    UNION ALL SELECT 'database', ARRAY[datname], jsonb_build_object(
        'owner', pg_get_userbyid(datdba), 'limit', datconnlimit, 'allowed', datallowconn,
        'template', datistemplate, 'tablespace', dattablespace::text)
    FROM pg_catalog.pg_database WHERE datname !~ {_OURS}
    UNION ALL SELECT 'rights', ARRAY[datname, CASE WHEN grantee = 0 THEN '' ELSE
        pg_get_userbyid(grantee) END, privilege_type], jsonb_agg(is_grantable ORDER BY is_grantable)
    FROM pg_catalog.pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba)))
    WHERE datname !~ {_OURS} GROUP BY datname, grantee, privilege_type
    UNION ALL SELECT 'tablespace', ARRAY[spcname], to_jsonb(t) - '{{oid,spcname}}'::text[]
    FROM pg_catalog.pg_tablespace AS t
    UNION ALL SELECT 'comment', ARRAY['ROLE', rolname], to_jsonb(description)
    FROM pg_catalog.pg_shdescription, pg_catalog.pg_roles
    WHERE classoid = 1260 AND objoid = pg_roles.oid
    UNION ALL SELECT 'comment', ARRAY['DATABASE', datname], to_jsonb(description)
    FROM pg_catalog.pg_shdescription, pg_catalog.pg_database
    WHERE classoid = 1262 AND objoid = pg_database.oid AND datname !~ {_OURS}
    UNION ALL SELECT 'comment', ARRAY['TABLESPACE', spcname], to_jsonb(description)
    FROM pg_catalog.pg_shdescription, pg_catalog.pg_tablespace
    WHERE classoid = 1213 AND objoid = pg_tablespace.oid
    UNION ALL SELECT 'security label', ARRAY[classoid::text, objoid::text, provider],
        to_jsonb(label) FROM pg_catalog.pg_shseclabel
    UNION ALL SELECT 'subscription', ARRAY[subname], jsonb_build_object('enabled', subenabled)
    FROM pg_catalog.pg_subscription
    UNION ALL SELECT 'replication origin', ARRAY[roname], to_jsonb(roname)
    FROM pg_catalog.pg_replication_origin
"""
# Transactions count what they write, in the catalogs too: by far the quickest question.
_TOUCHED = """
    SELECT current_setting('track_counts') = 'off' OR sum(pg_stat_get_xact_tuples_inserted(id)
        + pg_stat_get_xact_tuples_updated(id) + pg_stat_get_xact_tuples_deleted(id)) > 0,
        sum(CASE WHEN id IN (1260) THEN pg_stat_get_xact_tuples_updated(id) ELSE 0 END) > 0
            AND NOT has_table_privilege('pg_catalog.pg_authid', 'SELECT')
    FROM unnest('{1260,1261,1262,1213,2396,2964,3592,6000,6100,6243}'::oid[]) AS t(id)
"""
_VERSIONS = """
    SELECT 'database ' || xmin FROM pg_catalog.pg_database WHERE datname = %(database)s
    UNION ALL SELECT 'setting ' || setrole || ' ' || s.xmin FROM pg_catalog.pg_db_role_setting AS s
    JOIN pg_catalog.pg_database AS d ON d.oid = setdatabase WHERE datname = %(database)s
    UNION ALL SELECT 'comment ' || c.xmin FROM pg_catalog.pg_shdescription AS c
    JOIN pg_catalog.pg_database AS d ON d.oid = objoid AND classoid = 1262
    WHERE datname = %(database)s ORDER BY 1
"""
_ATTRIBUTES = (
    ("rolsuper", "SUPERUSER"),
    ("rolinherit", "INHERIT"),
    ("rolcreaterole", "CREATEROLE"),
    ("rolcreatedb", "CREATEDB"),
    ("rolcanlogin", "LOGIN"),
    ("rolreplication", "REPLICATION"),
    ("rolbypassrls", "BYPASSRLS"),
)
# Their values are lists, kept as they were written: to quote one again would make it one item.
_LISTS = (
    "search_path",
    "temp_tablespaces",
    "session_preload_libraries",
    "local_preload_libraries",
    "shared_preload_libraries",
)


@dataclass(frozen=True)
class SharedChange:
    """One thing that became another; None stands for what was not there, or is not any more."""

    key: Key
    before: Any
    after: Any

    @property
    def what(self) -> str:
        """Name the change, without any value: one may be a password."""
        kind, *names = self.key
        name = " ".join(filter(None, names))
        verb = "changed" if self.before is not None else "created"
        return f"{kind} {name} {verb if self.after is not None else 'dropped'}"

    @property
    def is_reversible(self) -> bool:
        """Tell whether statements can bring back what was before, as it was."""
        kind, before = self.key[0], self.before
        if kind == "role":
            return self.after is not None
        if kind == "database":
            kept = ("owner", "limit", "allowed", "template")
            return bool(before and self.after) and all(
                before[name] == self.after[name] for name in before if name not in kept
            )
        return kind in ("password", "member", "setting", "rights", "comment")

    def undo(self, version: int) -> Iterator[Composable]:
        """Yield the statements that take the change back, for a server of *version*."""
        kind, *names = self.key
        yield from {
            "role": _role,
            "password": _password,
            "member": _member,
            "setting": _setting,
            "database": _database,
            "rights": _rights,
            "comment": _comment,
        }[kind](names, self.before, self.after, version)

    @property
    def rank(self) -> int:
        """Roles are dropped last: what speaks of them must be gone."""
        return 1 if self.key[0] == "role" and self.before is None else 0


def writes_shared_catalogs(session: Connection) -> tuple[bool, bool]:
    """Tell whether *session*'s transaction has written what is shared, and beyond our sight."""
    with session.cursor(cursor_factory=PlainCursor) as cursor:
        cursor.execute(_TOUCHED)
        shared, unseen = cursor.fetchone() or (True, False)
    return bool(shared), bool(unseen)


def versions_of(connection: Connection, database: str) -> tuple[str, ...]:
    """Return what changes with every write to what the catalogs say of *database*, if to the same.

    *connection* sees what its own transaction has written.
    """
    with connection.cursor(cursor_factory=PlainCursor) as cursor:
        cursor.execute(_VERSIONS, {"database": database})
        return tuple(str(version) for (version,) in cursor.fetchall())


def read_shared_state(connection: Connection) -> State:
    """Read all of it, as *connection* sees it: with what its own transaction has written."""
    with connection.cursor(cursor_factory=PlainCursor) as cursor:
        cursor.execute("SELECT has_table_privilege('pg_catalog.pg_authid', 'SELECT')")
        (passwords,) = cursor.fetchone() or (False,)
        parameters = connection.info.server_version >= 150000
        query = _STATE + (_PARAMETERS if parameters else "") + (_PASSWORDS if passwords else "")
        cursor.execute(query)
        return {(kind, *names): _value(value) for kind, names, value in cursor.fetchall()}


def _value(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value[:1] in '{["' else value


def _role(names: list[str], before: Any, after: Any, version: int) -> Iterator[Composable]:
    role = Identifier(*names)
    if before is None:
        yield SQL("DROP ROLE {}").format(role)
        return
    words = [
        word if before[name] else f"NO{word}"
        for name, word in _ATTRIBUTES
        if before[name] != after[name]
    ]
    if before["rolconnlimit"] != after["rolconnlimit"]:
        words.append(f"CONNECTION LIMIT {int(before['rolconnlimit'])}")
    statement: Composable = SQL("ALTER ROLE {} {}").format(role, SQL(" ".join(words)))
    if before["rolvaliduntil"] != after["rolvaliduntil"]:
        until = before["rolvaliduntil"] or "infinity"
        statement += SQL(" VALID UNTIL {}").format(Literal(until))
    yield statement


def _password(names: list[str], before: Any, after: Any, version: int) -> Iterator[Composable]:
    # The server takes what it has made of a password for that password.
    yield SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(*names), Literal(before))


def _member(names: list[str], before: Any, after: Any, version: int) -> Iterator[Composable]:
    role, member, grantor = map(Identifier, names)
    by = SQL(" GRANTED BY {}").format(grantor)
    if after is not None:
        yield SQL("REVOKE {} FROM {}").format(role, member) + by
    if before is None:
        return
    if version < 160000:
        options = " WITH ADMIN OPTION" if before["admin_option"] else ""
    else:
        options = " WITH " + ", ".join(
            f"{name.upper()} {before[f'{name}_option']}" for name in ("admin", "inherit", "set")
        )
    yield SQL("GRANT {} TO {}{}").format(role, member, SQL(options)) + by


def _setting(names: list[str], before: Any, after: Any, version: int) -> Iterator[Composable]:
    database, role = names
    owner: Composable
    if role:
        owner = SQL("ALTER ROLE {}").format(Identifier(role))
        owner += SQL(" IN DATABASE {}").format(Identifier(database)) if database else SQL("")
    elif database:
        owner = SQL("ALTER DATABASE {}").format(Identifier(database))
    else:
        owner = SQL("ALTER ROLE ALL")
    old, new = (dict(one.split("=", 1) for one in side or ()) for side in (before, after))
    for name in new.keys() - old.keys():
        yield owner + SQL(" RESET {}").format(_parameter(name))
    for name, value in old.items():
        if new.get(name) != value:
            text: Composable = SQL(value) if name in _LISTS and value else Literal(value)
            yield owner + SQL(" SET {} TO {}").format(_parameter(name), text)


def _parameter(name: str) -> Composable:
    return Identifier(*name.split("."))


def _database(names: list[str], before: Any, after: Any, version: int) -> Iterator[Composable]:
    database = SQL("ALTER DATABASE {} ").format(Identifier(*names))
    if before["owner"] != after["owner"]:
        yield database + SQL("OWNER TO {}").format(Identifier(before["owner"]))
    for name, word in (
        ("limit", "CONNECTION LIMIT"),
        ("allowed", "ALLOW_CONNECTIONS"),
        ("template", "IS_TEMPLATE"),
    ):
        if before[name] != after[name]:
            yield database + SQL(f"{word} {{}}").format(Literal(before[name]))


def _rights(names: list[str], before: Any, after: Any, version: int) -> Iterator[Composable]:
    database, grantee, right = names
    who = Identifier(grantee) if grantee else SQL("PUBLIC")
    on = SQL("{} ON DATABASE {}").format(SQL(right), Identifier(database))
    if after is not None:
        yield SQL("REVOKE {} FROM {}").format(on, who)
    if before is not None:
        option = " WITH GRANT OPTION" if True in before else ""
        yield SQL("GRANT {} TO {}{}").format(on, who, SQL(option))


def _comment(names: list[str], before: Any, after: Any, version: int) -> Iterator[Composable]:
    kind, name = names
    on = SQL("COMMENT ON {} {} IS {}")
    yield on.format(SQL(kind), Identifier(name), sql.Literal(before))
