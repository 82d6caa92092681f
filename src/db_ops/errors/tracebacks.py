"""Tracebacks of errors, and the encoding of errors that processes exchange."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from pathlib import Path

import db_ops.errors
from db_ops.errors.base import DbOpsError
from db_ops.errors.masking import mask_credentials

_OURS = str(Path(__file__).parents[1])


class ChildTraceback(Exception):
    """Stands, as the cause of an error, for what led to it in another process."""


def traceback_of(error: DbOpsError) -> str:
    """Return the traceback of what the project raised, without passwords and without our frames.

    Of an error that nothing led to, its own.
    """
    chain = tuple(chained_errors(error))
    cause = next((one for one in chain if not isinstance(one, DbOpsError)), chain[-1])
    if isinstance(cause, ChildTraceback):
        return str(cause)
    shown = traceback.TracebackException.from_exception(cause)
    theirs = [frame for frame in shown.stack if not frame.filename.startswith(_OURS)]
    if theirs:
        shown.stack = traceback.StackSummary.from_list(theirs)
    return mask_credentials("".join(shown.format()))


def chained_errors(error: BaseException, *, hidden: bool = False) -> Iterator[BaseException]:
    """Yield *error*, what it came from, and the parts of a group, each once.

    With *hidden*, what `from None` hides too. A program may raise an error from itself.
    """
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
        shown = hidden or not one.__suppress_context__
        waiting += [one.__cause__, one.__context__ if shown else None]


def encode(error: DbOpsError) -> bytes:
    """Return *error* as text that another process makes the same error of."""
    told = {
        "error": type(error).__name__,
        "details": vars(error),
        "traceback": traceback_of(error),
    }
    return json.dumps(told, default=str).encode()


def decode(text: bytes) -> DbOpsError:
    """Return the error that `encode` was given, caused by a `ChildTraceback`."""
    told = json.loads(text)
    fields = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in told["details"].items()
    }
    error: DbOpsError = getattr(db_ops.errors, told["error"])(**fields)
    error.__cause__ = ChildTraceback(told["traceback"])
    return error
