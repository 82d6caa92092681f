"""What makes a function a command: run every time, errors in two lines, a true exit code."""

from __future__ import annotations

import gc
import os
from typing import Any

from invoke.exceptions import Exit
from invoke.tasks import Task

from db_ops.cli.terminal import show_error
from db_ops.errors import DbOpsError

# Nearly all that a command allocates lives as long as the process: a thousand imported revision
# files, SQLAlchemy's schema objects. Python would look through it 400 times for garbage.
_ALLOCATIONS_BETWEEN_COLLECTIONS = 70_000


class Command(Task[Any]):
    """An Invoke task whose body returns a result.

    A `DbOpsError` becomes two lines on stderr; the process exits with the code of the error or of
    the result. `DB_OPS_DEBUG=1` lets the traceback through.
    """

    def __eq__(self, other: object) -> bool:
        # Invoke merges equal calls of one command line. Ours run each time they are named:
        # `init delete-db init` is three commands.
        return False

    __hash__ = Task.__hash__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        gc.set_threshold(_ALLOCATIONS_BETWEEN_COLLECTIONS)
        try:
            result: Any = super().__call__(*args, **kwargs)
        except DbOpsError as error:
            if os.environ.get("DB_OPS_DEBUG") == "1":
                raise
            show_error(error)
            raise Exit(code=error.exit_code) from None
        if result.exit_code:
            raise Exit(code=result.exit_code)
        return result
