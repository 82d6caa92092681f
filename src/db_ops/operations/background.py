"""The work that waits until a command has answered: the spare, and dropping what was replaced.

A process of its own does it, detached and niced. Its settings come through its standard input,
because they may hold a password.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from db_ops.errors import DbOpsError
from db_ops.operations.building import Builder
from db_ops.operations.target import Target, open_target
from db_ops.postgres.own_databases import sweep
from db_ops.results import ignore
from db_ops.settings import DatabaseUrl, Settings

_PATIENCE = 1.0
# The door that the command came through may have made more modules known.
_PROGRAM = "import sys; sys.path[:] = {path}; from db_ops.operations.background import main; main()"


def prepare_in_background(target: Target) -> None:
    """Start a process that makes the next spare and drops what was replaced; do not wait for it.

    A process that cannot be started is no failure: the next command finds no spare.
    """
    with suppress(OSError):
        process = _start(target)
        # It outlives us by design, and Popen need not warn of that.
        process.returncode = 0


def _start(target: Target) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM.format(path=sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=target.settings.root,
        start_new_session=True,
    )
    assert process.stdin is not None
    with process.stdin as pipe:
        pipe.write(_encoded(target).encode())
    return process


def main() -> None:
    """Do the work for the settings on standard input; what fails is left to the next time."""
    settings = _decoded(sys.stdin.read())
    with suppress(AttributeError):  # not on Windows
        os.nice(19)
    with suppress(DbOpsError):
        target = open_target(settings, "spare", ignore)
        with target.server.maintenance() as connection:
            builder = Builder.of(target, connection)
            if builder is not None:
                builder.make_spare()
            sweep(connection)


def _encoded(target: Target) -> str:
    # The server as it was found: an embedded one that was stopped must not be started again.
    url = target.server.url
    plain: dict[str, Any] = {
        **vars(target.settings),
        "alembic_ini": str(target.settings.alembic_ini),
        "user_cache": str(target.settings.user_cache or ""),
        "url": {"parameters": dict(url.parameters), "label": url.label},
    }
    return json.dumps(plain)


def _decoded(text: str) -> Settings:
    plain: dict[str, Any] = json.loads(text)
    cache = plain.pop("user_cache")
    settings = Settings(
        alembic_ini=Path(plain.pop("alembic_ini")),
        url=DatabaseUrl(**plain.pop("url")),
        user_cache=Path(cache) if cache else None,
        **plain,
    )
    return replace(settings, wait_timeout=_PATIENCE)
