"""Act as another role than the one that has logged in, so that what is created belongs to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import psycopg2
from psycopg2 import errorcodes

from db_ops.errors import RoleMissing, RoleNotGranted
from db_ops.errors.quote_ident import in_quotes, quote_ident
from db_ops.frozen_data import replace

if TYPE_CHECKING:
    from psycopg2 import sql
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

    from db_ops.postgres.connection.server import Server

_LACKS_CREATEDB = """
    SELECT current_user::text FROM pg_roles
    WHERE rolname = current_user AND current_user <> session_user AND NOT (rolcreatedb OR rolsuper)
"""
_SIMILAR = "SELECT rolname FROM pg_roles WHERE lower(rolname) = lower(%s)"


def take_role(server: Server, connection: Connection) -> None:
    """Act in a new session as the role that the settings name, if they do; else close it.

    The embedded server is the project's own, and is given the role. Raises `RoleMissing`,
    `RoleNotGranted`, `TransactionPooler`.
    """
    role, set_role = server.settings.role, server.settings.set_role
    if role is not None and set_role is not None:
        try:
            _take(server, connection, role, set_role)
        except BaseException:
            connection.close()
            raise


def _take(server: Server, connection: Connection, role: str, set_role: str) -> None:
    from db_ops.postgres.connection.session import refuse_transaction_pooler

    # Behind one, a session of the service's would keep it.
    own = replace(server, settings=replace(server.settings, role=None))
    refuse_transaction_pooler(own, connection)
    try:
        with connection.cursor() as cursor:
            cursor.execute(set_role)
    except psycopg2.Error as error:
        if error.pgcode == errorcodes.INSUFFICIENT_PRIVILEGE:
            raise _not_granted(server, connection, role) from None
        if error.pgcode != errorcodes.INVALID_PARAMETER_VALUE:
            raise server.failure("SET ROLE", error) from error
        if not server.url.is_embedded:
            raise _missing(server, connection, role) from None
        with server.translate_errors("CREATE ROLE"), connection.cursor() as cursor:
            # Another process may have been faster.
            with suppress(psycopg2.errors.DuplicateObject, psycopg2.errors.UniqueViolation):
                cursor.execute(f"CREATE ROLE {in_quotes(role)}")
            cursor.execute(set_role)


@contextmanager
def acting_with_createdb(cursor: Cursor) -> Iterator[sql.Composable]:
    """Act as who has logged in, for a `with` block, if the role that was taken lacks CREATEDB.

    Yields what makes a new database belong to that role all the same.
    """
    from psycopg2 import sql

    cursor.execute(_LACKS_CREATEDB)
    row = cursor.fetchone()
    if row is None:
        yield sql.SQL("")
        return
    cursor.execute("SET ROLE NONE")
    try:
        yield sql.SQL(" OWNER {}").format(sql.Identifier(row[0]))
    finally:
        # A transaction that has failed takes the role back itself.
        with suppress(psycopg2.errors.InFailedSqlTransaction):
            cursor.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(row[0])))


def acting_role(connection: Connection) -> str:
    """Return the role that a session acts as."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        row = cursor.fetchone()
    return str(row[0]) if row else connection.info.user


def _missing(server: Server, connection: Connection, role: str) -> RoleMissing:
    with connection.cursor() as cursor:
        cursor.execute(_SIMILAR, (role,))
        similar = [str(name) for (name,) in cursor.fetchall()]
    name, user = quote_ident(role), quote_ident(connection.info.user)
    remedy = f"as a superuser: CREATE ROLE {name}; GRANT {name} TO {user}"
    if similar:
        import shlex

        remedy = f"the server has one of this name: DB_OPS_ROLE={shlex.quote(similar[0])}"
    return RoleMissing(server.location, role, remedy)


def _not_granted(server: Server, connection: Connection, role: str) -> RoleNotGranted:
    user = connection.info.user
    grant = f"GRANT {quote_ident(role)} TO {quote_ident(user)}"
    if connection.info.server_version >= 160000:
        # A membership that there is already may be one without it.
        grant += " WITH SET TRUE"
    return RoleNotGranted(server.location, user, role, f"as a superuser: {grant}")
