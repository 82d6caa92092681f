"""Why a revision failed, judged by SQLSTATE, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from db_ops.errors import (
    AlembicFailed,
    ConnectionLost,
    DbOpsError,
    InsufficientPrivilege,
    MigrationBlocked,
    MigrationFailed,
    StatementFailed,
)
from db_ops.migrations.scripts import describe_failure

if TYPE_CHECKING:
    from db_ops.migrations.runner import Database, Run

_LOCK_NOT_AVAILABLE = "55P03"
_INSUFFICIENT_PRIVILEGE = "42501"
_NO_SCHEMA = "3F000"
_LOST = ("57P01", "57P02", "08000", "08003", "08006")
_EXTENSION = re.compile(r"\s*CREATE\s+EXTENSION\b", re.IGNORECASE)
_REMEDIES = {
    "55P04": "put ALTER TYPE ... ADD VALUE into op.get_context().autocommit_block(), in {path}",
    "25001": "put the statement into op.get_context().autocommit_block(), in {path}",
    "57014": "somebody cancelled it, or raise DB_OPS_STATEMENT_TIMEOUT; then: {again}",
}


def explain_revision(
    run: Run, revision: str, error: Exception, current: tuple[str, ...]
) -> DbOpsError:
    """Return the typed error for what *revision* raised; *current* is what is recorded now."""
    missing = _missing_schema_right(run.database, error)
    if missing is not None:
        return missing
    kind = MigrationBlocked if is_lock_timeout(error) else MigrationFailed
    return kind(
        location=run.database.location,
        direction=run.direction,
        revision=revision,
        reason=describe_lock_timeout(run) if is_lock_timeout(error) else _reason(error),
        done=tuple(step.revision.id for step in run.steps),
        total=run.total,
        current=current,
        remedy=_remedy(run, revision, error),
    )


def explain_loss(run: Run, error: Exception) -> ConnectionLost:
    """Return the typed error for a session that ended: what is recorded cannot be asked now."""
    reached = ""
    if run.running is not None:
        verb = "applied" if run.direction == "upgrade" else "reverted"
        reached = (
            f" (during {run.direction} of {run.running}, {len(run.steps)} of {run.total} {verb})"
        )
    return ConnectionLost(run.database.location, _reason(error) + reached)


def explain_statement(database: Database, action: str, error: Exception) -> DbOpsError:
    """Return the typed error for what failed outside of any revision."""
    if lost_connection(error):
        return ConnectionLost(database.location, _reason(error))
    missing = _missing_schema_right(database, error)
    if missing is not None:
        return missing
    if getattr(error, "orig", None) is None:
        # Not the server's word: Alembic's, SQLAlchemy's or the operating system's.
        return AlembicFailed(database.location, action, _reason(error))
    return StatementFailed(database.location, action, _reason(error), sqlstate(error) or "none")


def sqlstate(error: BaseException) -> str | None:
    """Return the SQLSTATE of a driver's error, or of the one that SQLAlchemy wrapped."""
    original = getattr(error, "orig", None) or error
    code = getattr(original, "pgcode", None)
    return str(code) if code else None


def is_lock_timeout(error: BaseException) -> bool:
    """Tell whether a table lock could not be had within `lock_timeout`."""
    return sqlstate(error) == _LOCK_NOT_AVAILABLE


def describe_lock_timeout(run: Run) -> str:
    """Say that a table lock could not be had, and because of whom."""
    return "a table is locked" + (f" by {run.blocked_by}" if run.blocked_by else "")


def lost_connection(error: BaseException) -> bool:
    """Tell whether the session ended under the statement.

    SQLAlchemy and Alembic fail again while they clean up, so the errors before count as well.
    """
    return any(_is_loss(one) for one in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_loss(error: BaseException) -> bool:
    if sqlstate(error) in _LOST or getattr(error, "connection_invalidated", False):
        return True
    # The driver's own complaint has no SQLSTATE: the server said nothing more.
    kinds = ("OperationalError", "InterfaceError")
    return type(error).__name__ in kinds and getattr(error, "pgcode", "") is None


def _reason(error: Exception) -> str:
    original = getattr(error, "orig", None)
    if original is None:
        return describe_failure(error)
    primary = getattr(original.diag, "message_primary", None)
    return str(primary or describe_failure(original))


def _remedy(run: Run, revision: str, error: Exception) -> str:
    path = run.graph.nodes[revision].revision.path
    again = f"db-ops {run.direction}"
    statement = str(getattr(error, "statement", "") or "")
    if is_lock_timeout(error):
        return f"let the transaction that blocks it end, or end it, then: {again}"
    if _EXTENSION.match(statement) and sqlstate(error) in ("0A000", "58P01"):
        return (
            "install the extension on the server; the embedded server lacks pgcrypto, uuid-ossp "
            "and others, so set DATABASE_URL to a server that has it"
        )
    if isinstance(error, NotImplementedError):
        return f"write {run.direction}() in {path}, or restore the database from a backup"
    return _REMEDIES.get(sqlstate(error) or "", "correct {path}, then: {again}").format(
        path=path, again=again
    )


def _missing_schema_right(database: Database, error: Exception) -> InsufficientPrivilege | None:
    if sqlstate(error) not in (_INSUFFICIENT_PRIVILEGE, _NO_SCHEMA):
        return None
    query = (
        "SELECT current_user, coalesce(current_schema(), 'public'),"
        " has_schema_privilege(coalesce(current_schema(), 'public'), 'CREATE'),"
        " quote_ident(current_user), quote_ident(coalesce(current_schema(), 'public'))"
    )
    with closing(database.open(read_only=True)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
    if row is None or row[2]:
        return None
    role, schema, _, quoted_role, quoted_schema = row
    grant = f"GRANT USAGE, CREATE ON SCHEMA {quoted_schema} TO {quoted_role}"
    return InsufficientPrivilege(
        database.location,
        role,
        f"create tables in schema {schema}",
        f"as its owner, in this database: {grant}",
    )
