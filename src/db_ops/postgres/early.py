"""An attempt to connect that is made while something else is done."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import make_dsn


class EarlyAttempt:
    """One attempt, on a thread of its own; who never asks for its outcome need not wait for it."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self.parameters = dict(parameters)
        self._outcome: Connection | Exception | None = None
        # A daemon: a server that does not answer must not keep the process from ending.
        self._thread = threading.Thread(target=self._attempt, name="db_ops-connect", daemon=True)
        self._thread.start()

    def finish(self) -> Connection:
        """Return the connection. Raises what `psycopg2.connect` raised."""
        self._thread.join()
        outcome, self._outcome = self._outcome, None
        if isinstance(outcome, Exception):
            raise outcome
        assert outcome is not None
        return outcome

    def _attempt(self) -> None:
        try:
            self._outcome = psycopg2.connect(make_dsn(**self.parameters))
        except Exception as error:
            self._outcome = error
