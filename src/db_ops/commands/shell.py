"""Open a shell on the database: psql or pgcli."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from psycopg2.extensions import make_dsn

from db_ops.errors import ClientMissing, ShellFailed
from db_ops.postgres.embedded.programs import find_client
from db_ops.results import OnEvent, ShellEnded, ignore
from db_ops.settings import DatabaseUrl, Settings
from db_ops.target.open_server import open_server


def shell(
    settings: Settings, *, command: str | None = None, on_event: OnEvent = ignore
) -> ShellEnded:
    """Run psql on the database until it ends; with *command*, it runs that SQL and ends.

    On a terminal, without *command*, pgcli where it is installed. Otherwise psql stops at the first
    error and reads no `.psqlrc`. It is given the password in its environment, and no argument that
    holds a secret. Starts the embedded server if it is the one. Raises `DatabaseMissing`,
    `ClientMissing`, and `ShellFailed` if it ends with another exit code than 0.
    """
    server = open_server(settings, "shell", on_event)
    # What is wrong with server and database is said in our words.
    with server.target() as connection:
        major = connection.info.server_version // 10_000
    interactive = command is None and sys.stdin.isatty()
    program = (interactive and shutil.which("pgcli")) or find_client("psql", major)
    if program is None:
        raise ClientMissing(server.location, "psql")
    script = () if interactive else ("-X", "-v", "ON_ERROR_STOP=1")
    asked = ("-c", command) if command is not None else ()
    with _connection(server.url) as (dsn, environment):
        code = _run((program, *script, *asked, dsn), environment)
    if code:
        raise ShellFailed(server.location, Path(program).name, code)
    return ShellEnded(server.location, Path(program).name)


@contextmanager
def _connection(url: DatabaseUrl) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the connection string and the environment of a client, with all secrets in the latter.

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


def _run(arguments: tuple[str, ...], environment: Mapping[str, str]) -> int:
    with (
        _interrupts_left_to_the_client(),
        subprocess.Popen(arguments, env=os.environ | environment) as client,
    ):
        try:
            return client.wait()
        except BaseException:
            client.terminate()
            raise


@contextmanager
def _interrupts_left_to_the_client() -> Iterator[None]:
    """Do nothing on Ctrl-C in a `with` block: in a client it ends a query, and not the session."""
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
