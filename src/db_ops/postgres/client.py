"""Run the client programs of PostgreSQL on a database, with its secrets in no argument."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from psycopg2.extensions import make_dsn

from db_ops.settings import DatabaseUrl
from db_ops.settings.environment import variables


def run_client(url: DatabaseUrl, *arguments: str) -> int:
    """Run a program, whose last argument is to be a connection string, and return its exit code.

    Ctrl-C is left to it: there it ends a query, and not the session.
    """
    with (
        _connection(url) as (dsn, secrets),
        _without_interrupts(),
        subprocess.Popen((*arguments, dsn), env={**variables(), **secrets}) as client,
    ):
        try:
            return client.wait()
        except BaseException:
            client.terminate()
            raise


@contextmanager
def _connection(url: DatabaseUrl) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield a connection string, and the variables that hold what is secret of the connection.

    Source: libpq documentation, "Environment Variables" and "The Connection Service File".
    """
    secrets = dict(url.secrets)
    shown = {name: value for name, value in url.parameters.items() if name not in secrets}
    password = secrets.pop("password", "")
    environment = {"PGPASSWORD": password} if password else {}
    if not secrets:
        yield make_dsn(**shown), environment
        return
    # Not every parameter has a variable.
    with tempfile.NamedTemporaryFile("w", prefix="db_ops-", encoding="utf-8") as file:
        file.write("[db_ops]\n" + "".join(f"{name}={value}\n" for name, value in secrets.items()))
        file.flush()
        yield make_dsn(**shown, service="db_ops"), environment | {"PGSERVICEFILE": file.name}


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Do nothing on Ctrl-C in a `with` block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wakeup = signal.set_wakeup_fd(-1)
    # Ignored, it would be ignored in the client, too.
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        signal.set_wakeup_fd(wakeup)
