"""Tracebacks of errors, and the encoding of errors that processes exchange."""

from __future__ import annotations

import json
import traceback
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
    cause: BaseException = error
    while isinstance(cause, DbOpsError) and (cause.__cause__ or cause.__context__):
        cause = cause.__cause__ or cause.__context__ or cause
    if isinstance(cause, ChildTraceback):
        return str(cause)
    shown = traceback.TracebackException.from_exception(cause)
    theirs = [frame for frame in shown.stack if not frame.filename.startswith(_OURS)]
    if theirs:
        shown.stack = traceback.StackSummary.from_list(theirs)
    return mask_credentials("".join(shown.format()))


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
