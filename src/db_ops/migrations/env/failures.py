"""Why a revision failed, judged by SQLSTATE, and what to do about it."""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING

from db_ops.errors import (
    AlembicFailed,
    ConnectionLost,
    DbOpsError,
    HistoryNotFromEmpty,
    InsufficientPrivilege,
    MigrationBlocked,
    MigrationFailed,
    StatementFailed,
)
from db_ops.errors.quote_ident import quote_ident
from db_ops.errors.tracebacks import chained_errors
from db_ops.frozen_data import replace
from db_ops.migrations.env.diagnostics import diagnostics, reason_of, sqlstate, statement_of
from db_ops.migrations.env.error_location import innermost_location, source_locations
from db_ops.migrations.env.history_start import missing_base, missing_role

if TYPE_CHECKING:
    from db_ops.migrations.env.runner import Database, Run

_LOCK_NOT_AVAILABLE = "55P03"
_INSUFFICIENT_PRIVILEGE = "42501"
_NO_SCHEMA = "3F000"
_LOST = ("57P01", "57P02", "08000", "08003", "08006")
_EXTENSION = re.compile(r"\s*CREATE\s+EXTENSION\b", re.IGNORECASE)
_ALREADY_THERE = ("42P07", "42710", "42701", "42P06")
_REMEDIES = {
    "55P04": "put ALTER TYPE ... ADD VALUE into op.get_context().autocommit_block(), in {path}",
    "25P02": "an earlier statement failed and {path} went on: let it use "
    "op.get_bind().begin_nested() around what may fail; then: {again}",
    "25001": "put the statement into op.get_context().autocommit_block(), in {path}",
    "57014": "somebody cancelled it, or raise DB_OPS_STATEMENT_TIMEOUT; then: {again}",
}


def explain_revision(
    run: Run, revision: str, error: BaseException, current: tuple[str, ...]
) -> DbOpsError:
    """Return the typed error for what *revision* raised; *current* is what is recorded now."""
    missing = _missing_schema_right(run.database, error)
    if missing is not None:
        return missing
    kind = MigrationBlocked if is_lock_timeout(error) else MigrationFailed
    lacking = () if missing_role(error) else missing_base(run, revision, error)
    if lacking:
        kind = HistoryNotFromEmpty
    file = run.project.root / run.graph.nodes[revision].revision.path
    place = innermost_location(error, (file,))
    deeper = [one for one in source_locations(error)[-1:] if one.path != file]
    said = diagnostics(error)
    return kind(
        location=run.database.location,
        direction=run.direction,
        revision=revision,
        reason=", ".join(lacking) or _reason(run, error),
        done=tuple(step.revision.id for step in run.steps),
        total=run.total,
        current=current,
        remedy=_bootstrap_remedy(run) if lacking else _remedy(run, revision, error),
        path=run.graph.nodes[revision].revision.path,
        line=place.line if place else None,
        code=place.code if place else "",
        statement=statement_of(error),
        said=(
            *(f"at {run.project.display(one.path)}:{one.line} | {one.code}" for one in deeper),
            *(said.lines if said else ()),
        ),
    )


def _reason(run: Run, error: BaseException) -> str:
    return describe_lock_timeout(run) if is_lock_timeout(error) else reason_of(error)


def _bootstrap_remedy(run: Run) -> str:
    if run.project.bootstrap is not None:
        return f"let {run.project.bootstrap}, which [tool.db_ops] names, make it; then: db-ops init"
    return (
        "name the function that makes the schema which the first revision rests on, in "
        'pyproject.toml: [tool.db_ops] bootstrap = "package.module:function"; then: db-ops init'
    )


def explain_loss(run: Run, error: BaseException) -> ConnectionLost:
    """Return the typed error for a session that ended: what is recorded cannot be asked now."""
    reached = ""
    if run.running is not None:
        verb = "applied" if run.direction == "upgrade" else "reverted"
        reached = (
            f" (during {run.direction} of {run.running}, {len(run.steps)} of {run.total} {verb})"
        )
    return ConnectionLost(run.database.location, reason_of_loss(error) + reached)


def explain_statement(database: Database, action: str, error: BaseException) -> DbOpsError:
    """Return the typed error for what failed outside of any revision."""
    if lost_connection(error):
        return ConnectionLost(database.location, reason_of_loss(error))
    missing = _missing_schema_right(database, error)
    if missing is not None:
        return missing
    said = diagnostics(error)
    if said is None:
        # Not the server's word: Alembic's, SQLAlchemy's or the operating system's.
        return AlembicFailed(database.location, action, reason_of(error))
    remedy = privilege_remedy(database, error)
    if said.sqlstate == _NO_SCHEMA:
        remedy = "create it in env.py, before context.configure: CREATE SCHEMA IF NOT EXISTS NAME"
    failed = StatementFailed(
        database.location, action, reason_of(error), said.sqlstate or "none", said=said.lines
    )
    return replace(failed, remedy=remedy) if remedy else failed


def is_lock_timeout(error: BaseException) -> bool:
    """Tell whether a table lock could not be had within `lock_timeout`."""
    return sqlstate(error) == _LOCK_NOT_AVAILABLE


def describe_lock_timeout(run: Run) -> str:
    """Say that a table lock could not be had, and because of whom."""
    return "a table is locked" + (f" by {run.blocked_by}" if run.blocked_by else "")


def lost_connection(error: BaseException) -> bool:
    """Tell whether the session ended under the statement."""
    return _loss(error) is not None


def reason_of_loss(error: BaseException) -> str:
    """Return in one line why the session ended, whatever failed afterwards."""
    return reason_of(_loss(error) or error)


def _loss(error: BaseException) -> BaseException | None:
    # SQLAlchemy and Alembic fail again while they clean up, so the errors before count as well.
    return next(filter(_is_loss, chained_errors(error, hidden=True)), None)


def _is_loss(error: BaseException) -> bool:
    if sqlstate(error) in _LOST or getattr(error, "connection_invalidated", False):
        return True
    # The driver's own complaint has no SQLSTATE: the server said nothing more.
    if getattr(error, "pgcode", "") is not None:
        return False
    kind = type(error).__name__
    # A cursor or large object that is closed is a mistake of the revision's.
    return kind == "OperationalError" or (kind == "InterfaceError" and "connection" in str(error))


def _remedy(run: Run, revision: str, error: BaseException) -> str:
    path = run.graph.nodes[revision].revision.path
    again = "run the same command again" if run.database.is_scratch else f"db-ops {run.direction}"
    statement = str(getattr(error, "statement", "") or "")
    if is_lock_timeout(error):
        return f"let the transaction that blocks it end, or end it, then: {again}"
    if _EXTENSION.match(statement) and sqlstate(error) in ("0A000", "58P01"):
        return (
            "install the extension on the server; the embedded server lacks pgcrypto, uuid-ossp "
            "and others, so set DATABASE_URL to a server that has it"
        )
    remedy = privilege_remedy(run.database, error)
    if remedy is not None:
        return f"{remedy}; then: {again}"
    role = missing_role(error)
    if role:
        return f"create that role on the server: CREATE ROLE {quote_ident(role)}; then: {again}"
    if run.project.bootstrap and sqlstate(error) in _ALREADY_THERE and run.direction == "upgrade":
        return (
            f"if {run.project.bootstrap} has made that, let it return the revision that its schema "
            f'is at, such as "head"; else correct {path}; then: {again}'
        )
    if isinstance(error, NotImplementedError) or _refuses_to_revert(run, revision, error):
        return f"write {run.direction}() in {path}, or restore the database from a backup"
    return _REMEDIES.get(sqlstate(error) or "", "correct {path}, then: {again}").format(
        path=path, again=again
    )


def _refuses_to_revert(run: Run, revision: str, error: BaseException) -> bool:
    """Tell whether downgrade() of *revision* says itself, by an error, that it has no way back."""
    file = run.project.root / run.graph.nodes[revision].revision.path
    raised = source_locations(error)[-1:]
    return run.direction == "downgrade" and any(
        one.path == file and one.code.startswith("raise ") for one in raised
    )


def privilege_remedy(database: Database, error: BaseException) -> str | None:
    """Return what gives the right that a statement lacked; None if it lacked none."""
    if sqlstate(error) != _INSUFFICIENT_PRIVILEGE:
        return None
    statement = str(getattr(error, "statement", "") or "")
    return database.remedy_for_right(reason_of(error), statement)


def _missing_schema_right(database: Database, error: BaseException) -> InsufficientPrivilege | None:
    code = sqlstate(error)
    if code not in (_INSUFFICIENT_PRIVILEGE, _NO_SCHEMA):
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
    if code == _INSUFFICIENT_PRIVILEGE and schema not in reason_of(error):
        return None
    grant = f"GRANT USAGE, CREATE ON SCHEMA {quoted_schema} TO {quoted_role}"
    return InsufficientPrivilege(
        database.location,
        role,
        f"create tables in schema {schema}",
        f"as its owner, in this database: {grant}",
    )
