"""Open a shell on the database: psql or pgcli."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from db_ops.errors import ClientMissing, ShellFailed
from db_ops.postgres.catalog import major_version
from db_ops.postgres.client import run_client
from db_ops.postgres.embedded.programs import find_client
from db_ops.results import OnEvent, ShellEnded, ignore
from db_ops.settings import Settings
from db_ops.target.open_project import open_project
from db_ops.target.open_server import server_of


def shell(
    settings: Settings, *, command: str | None = None, on_event: OnEvent = ignore
) -> ShellEnded:
    """Run psql on the database until it ends; with *command*, it runs that SQL and ends.

    It connects as the application does, also where migrations do not.
    On a terminal, without *command*, pgcli where it is installed. Otherwise psql stops at the first
    error and reads no `.psqlrc`. It is given the password in its environment, and no argument that
    holds a secret. Starts the embedded server if it is the one. Raises `DatabaseMissing`,
    `ClientMissing`, and `ShellFailed` if it ends with another exit code than 0.
    """
    server = server_of(open_project(settings)[0].of_application(), "shell", on_event)
    # What is wrong with server and database is said in our words.
    with server.target() as connection:
        major = major_version(connection)
    interactive = command is None and sys.stdin.isatty()
    program = (interactive and shutil.which("pgcli")) or find_client("psql", major)
    if program is None:
        raise ClientMissing(server.location, "psql")
    script = () if interactive else ("-X", "-v", "ON_ERROR_STOP=1")
    asked = ("-c", command) if command is not None else ()
    code = run_client(server.url, program, *script, *asked)
    if code:
        raise ShellFailed(server.location, Path(program).name, code)
    return ShellEnded(server.location, Path(program).name)
