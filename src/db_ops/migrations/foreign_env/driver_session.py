"""A connection of another driver, seen by those who watch the transactions of psycopg2's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from sqlalchemy import Connection

_IN_TRANSACTION = 2  # psycopg2's TRANSACTION_STATUS_INTRANS


class TransactionWatch(Protocol):
    """Notes, or refuses, what a session is about to commit outside of its database."""

    def before_commit(self, session: Any) -> None: ...

    def check_outside_transaction(self, statement: str, session: Any) -> None: ...


def watch_transactions(connection: Connection, ours: Any, watch: TransactionWatch) -> None:
    """Call *watch* before *connection* commits, and before what it runs in no transaction.

    *ours* is a psycopg2 connection, whose words for parameters are used.
    """
    from sqlalchemy import event

    def before_commit(connection: Connection) -> None:
        watch.before_commit(_DriverSession(connection, ours))

    def before_statement(connection: Connection, cursor: Any, statement: str, *rest: Any) -> None:
        if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
            watch.check_outside_transaction(statement, _DriverSession(connection, ours))

    event.listen(connection, "commit", before_commit)
    event.listen(connection, "before_cursor_execute", before_statement)


@dataclass
class _DriverSession:
    """As much of psycopg2's interface as a watch uses, within an open transaction."""

    connection: Connection
    ours: Any

    @property
    def info(self) -> Any:
        version = self.ours.info.server_version
        return SimpleNamespace(transaction_status=_IN_TRANSACTION, server_version=version)

    def cursor(self, **options: Any) -> _DriverCursor:
        return _DriverCursor(self)

    def rollback(self) -> None:
        """Leave that to SQLAlchemy: what is raised now ends the transaction."""


class _DriverCursor:
    """A cursor whose rows have the types that psycopg2 gives them: drivers disagree on these."""

    def __init__(self, session: _DriverSession) -> None:
        self._session = session
        self._rows: list[tuple[Any, ...]] = []

    def __enter__(self) -> _DriverCursor:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def execute(self, query: Any, parameters: Any = None) -> None:
        with self._session.ours.cursor() as cursor:
            text = cursor.mogrify(query, parameters).decode()
        result = self._session.connection.exec_driver_sql(
            f"SELECT row_to_json(q)::text FROM ({text}) q",
            execution_options={"no_parameters": True},
        )
        self._rows = [tuple(_values(row[0])) for row in result.fetchall()]

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows[0] if self._rows else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._rows

    def __iter__(self) -> Any:
        return iter(self._rows)


def _values(row: str) -> list[Any]:
    """Return the columns of a row in their order, two of one name included."""
    pairs = json.JSONDecoder(object_pairs_hook=_Pairs).decode(row)
    return [_plain(value) for _, value in pairs]


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object."""


def _plain(value: Any) -> Any:
    if isinstance(value, _Pairs):
        return {name: _plain(one) for name, one in value}
    return [_plain(one) for one in value] if isinstance(value, list) else value
