"""One command at a time in each process, whichever thread calls it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

from db_ops.errors import CommandRunning
from db_ops.settings import Settings

# A command may call another one.
_running = threading.RLock()


def one_at_a_time(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let *command* wait, no longer than for another process, until no other thread runs one.

    env.py runs under patches of Alembic, SQLAlchemy and the environment, which are the process's,
    as the working folder and Alembic's own `context` are. Raises `CommandRunning`.
    """

    @wraps(command)
    def run(settings: Settings, *arguments: Any, **options: Any) -> Any:
        timeout = settings.migration_lock_timeout
        if not _running.acquire(timeout=timeout):
            raise CommandRunning(command.__name__.replace("_", "-"), timeout)
        try:
            return command(settings, *arguments, **options)
        finally:
            _running.release()

    return run
