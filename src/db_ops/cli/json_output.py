"""Results, errors and events as JSON documents; `db_ops/schemas` holds their JSON Schemas."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from db_ops.cli.terminal import replace_unencodable, write
from db_ops.errors import DbOpsError
from db_ops.errors.invocation import as_typed
from db_ops.frozen_data import as_dict
from db_ops.results import Event, Result

# Fields of results that say what to run next; all others are data.
_HOLD_COMMANDS = frozenset(
    ("advice", "hint", "next_command", "remaining", "remedies", "remedy", "repeat")
)


def result_document(result: Result) -> dict[str, Any]:
    """Return what `--json` prints for *result*."""
    return {
        "result": type(result).__name__.lower(),
        "exit_code": int(result.exit_code),
        **_typed(as_dict(result)),
    }


def error_document(error: DbOpsError) -> dict[str, Any]:
    """Return what `--json` prints for *error*; `details` are its fields."""
    return {
        "result": "error",
        "exit_code": int(error.exit_code),
        "error": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "details": dict(vars(error)),
    }


def event_document(event: Event) -> dict[str, Any]:
    """Return the fields of *event*, and its name."""
    return {"event": type(event).__name__, **as_dict(event)}


def print_document(document: Mapping[str, Any], *, to_stderr: bool = False) -> None:
    """Print *document* in one line; escaped where the stream is not UTF-8."""
    stream = sys.stderr if to_stderr else sys.stdout
    ascii_only = (stream.encoding or "utf-8").lower().replace("-", "") != "utf8"
    text = json.dumps(document, ensure_ascii=ascii_only, default=_plain)
    # What is left are lone surrogates, of which JSON has the same escapes.
    write(replace_unencodable(text, stream), to_stderr=to_stderr)


def _typed(value: Any, name: str = "") -> Any:
    """Return *value* with the commands in it as they have to be typed."""
    if isinstance(value, dict):
        return {key: _typed(one, str(key)) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_typed(one, name) for one in value]
    return as_typed(value) if isinstance(value, str) and name in _HOLD_COMMANDS else value


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
