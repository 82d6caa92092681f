"""How this process was called, and how hints spell commands accordingly.

Errors and results write a command as `db-ops COMMAND`, or `inv db.COMMAND`, and as `alembic
COMMAND`. Who shows one passes it through `as_typed`.
"""

from __future__ import annotations

import re
from contextvars import ContextVar

from db_ops.frozen_data import FrozenData

_OURS = r"\b(?:inv db\.|db-ops )(?=[a-z]|--help\b)"
_ALEMBIC = (
    r"\balembic (?=(?:branches|check|current|downgrade|edit|heads|history|merge|revision|show"
    r"|stamp|upgrade)\b)"
)


class Invocation(FrozenData):
    """What is typed before the name of a command.

    `options` are those that were given for every command of the line. `alembic` are the options
    without which the plain `alembic` command would read another configuration. `prefix` is what
    Invoke puts before the name: that of our collection, as the project's tasks mount it.
    """

    program: str = "db-ops"
    options: tuple[str, ...] = ()
    prefix: str = ""
    alembic: tuple[str, ...] = ()


# A caller from Python is told of the command that every installation has.
invocation: ContextVar[Invocation] = ContextVar("invocation", default=Invocation())  # noqa: B039  # frozen


def as_typed(text: str) -> str:
    """Return *text* with the commands in it as this process would be called for them."""
    import shlex

    now = invocation.get()
    ours = " ".join((now.program, *map(shlex.quote, now.options), now.prefix))
    text = re.sub(_OURS, lambda _: ours, text)
    alembic = " ".join(("alembic", *map(shlex.quote, now.alembic), ""))
    return re.sub(_ALEMBIC, lambda _: alembic, text)
