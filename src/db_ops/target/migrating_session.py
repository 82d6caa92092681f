"""The sessions in which revisions run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from db_ops.postgres.connection import session
from db_ops.postgres.history import AT_ONCE
from db_ops.postgres.locks.advisory_lock import lock_options, take_advisory_lock
from db_ops.postgres.locks.lock_session import check_lock_session

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from db_ops.migrations.revisions.steps import StepPlan
    from db_ops.target.target import Target

# What would give away the locks of its session.
_UNLOCKS = re.compile(rb"\bDISCARD\b|advisory_unlock", re.IGNORECASE)


def open_session(target: Target, *, read_only: bool = False, beside: bool = False) -> Connection:
    """Return a new connection with the timeouts of the settings.

    One that writes holds the session lock, so that whoever migrates next sees it alive, on the
    server of the migration lock: another may have become the primary meanwhile. One *beside* it
    leaves the lock to it.
    """
    server = target.server
    connection = server.connect()
    with server.translate_errors("setting up a session"), connection.cursor() as cursor:
        name = session.refuse_transaction_pooler(server, connection)
        if read_only:
            set_read_only(target, connection)
        else:
            session.set_up_session(server, connection)
            cursor.execute("; ".join(target.session_settings))
            running, migrate = target.lock_key("session", name), target.lock_key("migrate", name)
            if not beside:
                take_advisory_lock(connection, running, **lock_options(server))
            for locked in target.lock_sessions:
                check_lock_session(locked, connection, migrate)
            if server.watch is not None:
                server.watch.attach(connection)
    return connection


def set_read_only(target: Target, connection: Connection) -> None:
    """Forbid *connection* to write, and to wait for a table longer than `lock_timeout`."""
    settings = "; ".join(target.session_settings)
    with connection.cursor() as cursor:
        cursor.execute(f"{settings}; SET default_transaction_read_only = on")


@contextmanager
def migrating_session(target: Target, plan: StepPlan) -> Iterator[Connection]:
    """Open a session for the revisions of *plan*, for a `with` block.

    It is that of the migration lock where nothing there can come in the way: to start another, and
    to see in it that the lock is held, is half of what a server does for a small revision.
    """
    if not target.lock_sessions or not _may_share(target, plan):
        with closing(target.open()) as connection:
            yield connection
        return
    with session.lent(target.server, target.lock_sessions[-1]) as locked:
        with locked.cursor() as cursor:
            cursor.execute("; ".join(target.session_settings))
        yield locked


def _may_share(target: Target, plan: StepPlan) -> bool:
    """Tell whether the revisions of *plan* can run in the session that holds the lock.

    Their records are to be written in their own transactions, and what env.py, or somebody who
    watches, does to a session must end with it.
    """
    if target.is_measured or target.server.watch is not None or not target.project.is_ours:
        return False
    files = {target.graph.nodes[name].revision.path for one in plan.tables for name in one.steps}
    root = target.settings.root
    return plan.total <= AT_ONCE and not any(
        _UNLOCKS.search((root / path).read_bytes()) for path in files
    )
