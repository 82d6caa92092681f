"""Answer an env.py that asks the database something before it configures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from db_ops.errors import DbOpsError
from db_ops.postgres.answers import digest_of_answers
from db_ops.postgres.catalog import is_empty
from db_ops.postgres.connection.server import Server
from db_ops.postgres.own_databases import scratch_database
from db_ops.settings import DatabaseUrl, Settings

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_COMMAND = "env.py"


@dataclass(frozen=True)
class EnvAnswers:
    """Opens read-only sessions in the database of *settings*, or in one that is as empty.

    Where that does not exist yet, the maintenance database answers if there is nothing in it, else
    a scratch database, which only development and test may make.
    """

    settings: Settings

    @contextmanager
    def __call__(self, url: DatabaseUrl | None) -> Iterator[tuple[Connection | None, str]]:
        """Open a session for a `with` block; *url* is where env.py connects to, if known."""
        found = self.settings.url or url
        if found is None:
            yield None, "no database is named"
            return
        if self.settings.database_per_branch:
            from db_ops.settings.branch_database import url_on_branch

            found = url_on_branch(self.settings, found)
        with ExitStack() as stack:
            try:
                session, by = self._open(Server(found, self.settings, _COMMAND), stack)
            except DbOpsError as error:
                session, by = None, error.message
            yield session, by

    def digest(self, url: DatabaseUrl | None, questions: Iterable[str]) -> str | None:
        with self(url) as (session, _):
            return None if session is None else digest_of_answers(session, questions)

    def _open(self, server: Server, stack: ExitStack) -> tuple[Connection | None, str]:
        with server.target_if_exists() as connection:
            exists = connection is not None
        if exists:
            return self._read_only(server, stack), server.location
        maintenance = stack.enter_context(server.maintenance())
        if is_empty(maintenance):
            self._forbid_writing(maintenance)
            return maintenance, "an empty database, for want of its own"
        if not self.settings.is_disposable:
            return None, f"{server.location} does not exist"
        name = stack.enter_context(scratch_database(server, maintenance))
        there = Server(server.url.scratch_at(name), self.settings, _COMMAND)
        return self._read_only(there, stack), "an empty database, for want of its own"

    def _read_only(self, server: Server, stack: ExitStack) -> Connection:
        session = stack.enter_context(closing(server.connect()))
        self._forbid_writing(session)
        return session

    def _forbid_writing(self, session: Connection) -> None:
        milliseconds = round(self.settings.lock_timeout * 1000)
        with session.cursor() as cursor:
            cursor.execute(
                f"SET lock_timeout = {milliseconds}; SET default_transaction_read_only = on"
            )
