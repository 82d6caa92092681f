"""Sessions in a scratch database, watched for writes to the shared catalogs.

Some of what a revision writes belongs to all databases of the server: CREATE ROLE, ALTER DATABASE.
It is looked for before each COMMIT, when the session itself sees it and nobody else does, so that
no other session's work is mistaken for it. What cannot be taken back is not committed at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import (
    TRANSACTION_STATUS_IDLE,
    TRANSACTION_STATUS_INTRANS,
)
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as PlainCursor

from db_ops.errors import DbOpsError
from db_ops.postgres.connection.server import Server
from db_ops.postgres.impact.statements import is_server_wide, is_show, without_comments
from db_ops.postgres.shared_catalogs import (
    Key,
    SharedChange,
    read_shared_state,
    versions_of,
    writes_shared_catalogs,
)
from db_ops.results import LeftOnServer

_NOT_IN_A_TRANSACTION = (
    errorcodes.ACTIVE_SQL_TRANSACTION,
    errorcodes.INVALID_TRANSACTION_TERMINATION,
)
# The session's own settings, and nothing else.
_SETTINGS = re.compile(r"(?:\s*SET\s+\w+\s*(?:=|TO)\s*'?\w+'?\s*;?)+\Z", re.I)
_COMMITS = re.compile(r"(?:COMMIT|END)\b", re.I)
# No statement that is about the transaction, which a savepoint would be in the way of.
_MEETS_ROWS = re.compile(r"(?:ALTER|CREATE|DELETE|DO|INSERT|MERGE|SELECT|UPDATE|WITH)\b", re.I)
_SAVEPOINT = "db_ops_trial"


@dataclass
class TrialWatch:
    """What the watched sessions have written outside of their database; `outside` sees it too.

    `refusal` makes an error of the reason why something is not to be committed: because it cannot
    be taken back, unless the watch `keeps` all, or because it is about the database `reserved`.
    The build is to become that one, which would be changed twice, or too early. `unclear` is what
    was left as it is when the rest was taken back, and why. `on_refusal` is given a cursor, what
    the server says to a statement, and the statement: has it changed what made the server say so?
    """

    outside: Connection
    refusal: Callable[[str], DbOpsError]
    keeps: bool = False
    reserved: str | None = None
    changes: list[SharedChange] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    refused: bool = False
    on_refusal: Callable[[PlainCursor, psycopg2.Error, str], bool] | None = None

    @property
    def factory(self) -> type[Connection]:
        """The class of connections that can be watched."""
        return TrialConnection

    def attach(self, session: Connection) -> None:
        """Watch *session*, which `TrialConnection` has made."""
        assert isinstance(session, TrialConnection)
        session.watch = self
        session.cursor_factory = TrialCursor

    def before_commit(self, session: Connection) -> None:
        """Note what *session* is about to commit. Raises what `refusal` makes of it."""
        if session.info.transaction_status != TRANSACTION_STATUS_INTRANS:
            return
        shared, unseen = writes_shared_catalogs(session)
        if not shared:
            return
        first = read_shared_state(self.outside)
        inside = read_shared_state(session)
        again = read_shared_state(self.outside)
        found = []
        for key in {**again, **inside}:
            before, after = again.get(key), inside.get(key)
            if before == after or first.get(key) != before:
                continue
            if key[0] == "password" and not any(one[0] == "password" for one in inside):
                continue  # the session has taken another role
            found.append(SharedChange(key, before, after))
        if self.reserved is not None:
            inside_now = versions_of(session, self.reserved)
            if versions_of(self.outside, self.reserved) != inside_now:
                raise self._refused(f"database {self.reserved} is being built", session)
        if self.keeps:
            self.changes += found
            return
        if unseen and not found:
            raise self._refused("a role is changed in a way that this role cannot see", session)
        for change in found:
            if not change.is_reversible:
                raise self._refused(f"{change.what}, which cannot be taken back", session)
        self.changes += found

    def check_outside_transaction(self, statement: str, session: Connection) -> None:
        """Refuse a statement that runs in no transaction and is about the whole server."""
        if is_server_wide(statement) and not self.keeps:
            short = " ".join(without_comments(statement).split()[:3])
            raise self._refused(f"{short}, which cannot be taken back", session)

    def undo_changes(self) -> None:
        """Undo the changes, after the scratch databases are dropped; note what cannot be undone."""
        version = self.outside.info.server_version
        now = read_shared_state(self.outside) if self.changes else {}
        newest: dict[Key, SharedChange] = {}
        for change in reversed(self.changes):
            known = newest.get(change.key)
            after = known.after if known else change.after
            newest[change.key] = SharedChange(change.key, change.before, after)
        for change in sorted(newest.values(), key=lambda one: one.rank):
            if change.before == change.after or now.get(change.key) == change.before:
                continue
            if not change.is_reversible:
                self.unclear.append(f"{change.what}, which cannot be taken back")
                continue
            if now.get(change.key) != change.after:
                self.unclear.append(f"{change.what}, and changed again by somebody else")
                continue
            try:
                for statement in change.undo(version):
                    with self.outside.cursor() as cursor:
                        cursor.execute(statement)
            except psycopg2.Error as error:
                said = str(error).strip().splitlines()[0]
                self.unclear.append(f"{change.what}: {said}")
        self.changes.clear()

    def _refused(self, reason: str, session: Connection) -> DbOpsError:
        self.refused = True
        session.rollback()
        return self.refusal(reason)


@contextmanager
def rolled_back(
    server: Server,
    outside: Connection,
    refusal: Callable[[str], DbOpsError],
    *,
    keeps: bool = False,
) -> Iterator[TrialWatch]:
    """Watch sessions in a `with` block, then undo their changes to the shared catalogs.

    What cannot be undone is reported as an event.
    """
    watch = TrialWatch(outside, refusal, keeps=keeps)
    try:
        yield watch
    finally:
        with suppress(psycopg2.Error):
            watch.undo_changes()
        for left in watch.unclear:
            server.on_event(LeftOnServer(server.location, left))


class TrialConnection(Connection):
    """A connection that calls its watch before each COMMIT."""

    watch: TrialWatch | None = None

    def commit(self) -> None:
        before_commit(self)
        super().commit()


class TrialCursor(PlainCursor):
    """A cursor whose statements outside of a transaction get one, where the server allows it."""

    def execute(self, query: Any, vars: Any = None) -> None:
        connection = self.connection
        text = _text(self, query)
        status = connection.info.transaction_status
        if _COMMITS.match(without_comments(text)):
            before_commit(connection)
        if not connection.autocommit or status != TRANSACTION_STATUS_IDLE or _is_harmless(text):
            self._send(query, vars, text)
            return
        with connection.cursor(cursor_factory=PlainCursor) as control:
            control.execute("BEGIN")
            try:
                self._send(query, vars, text)
            except psycopg2.Error as error:
                control.execute("ROLLBACK")
                if error.pgcode not in _NOT_IN_A_TRANSACTION:
                    raise
            else:
                before_commit(connection)
                control.execute("COMMIT")
                return
        watch = getattr(connection, "watch", None)
        if watch is not None:
            watch.check_outside_transaction(text, connection)
        super().execute(query, vars)

    def _send(self, query: Any, vars: Any, text: str) -> None:
        """Run a statement; where it is refused and that is settled by the watch, once more."""
        watch = getattr(self.connection, "watch", None)
        on_refusal = watch and watch.on_refusal
        if not on_refusal or not _MEETS_ROWS.match(without_comments(text)):
            super().execute(query, vars)
            return
        with self.connection.cursor(cursor_factory=PlainCursor) as control:
            while True:
                control.execute(f"SAVEPOINT {_SAVEPOINT}")
                try:
                    super().execute(query, vars)
                except psycopg2.Error as error:
                    if self.connection.closed:
                        raise
                    control.execute(f"ROLLBACK TO {_SAVEPOINT}")
                    if not on_refusal(control, error, text):
                        raise
                else:
                    if self.connection.info.transaction_status == TRANSACTION_STATUS_INTRANS:
                        control.execute(f"RELEASE {_SAVEPOINT}")
                    return


def before_commit(connection: Connection) -> None:
    """Call the watch of *connection*, if it has one, before a COMMIT."""
    watch = getattr(connection, "watch", None)
    if watch is not None:
        watch.before_commit(connection)


def _is_harmless(text: str) -> bool:
    return _SETTINGS.match(text) is not None or is_show(text)


def _text(cursor: PlainCursor, query: Any) -> str:
    if isinstance(query, bytes):
        return query.decode(errors="replace")
    return query if isinstance(query, str) else str(query.as_string(cursor))
