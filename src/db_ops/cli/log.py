"""Errors and notes on stderr, and events as log lines."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from db_ops.cli.json_output import error_document, event_document, print_document
from db_ops.cli.terminal import one_line, options, print_line
from db_ops.errors import DbOpsError, InvalidSettings
from db_ops.results import Connected, Event, PhaseStarted

# How a signal reaches a connection is no data, and what only takes time nothing that happens.
NOT_LOGGED = (Connected, PhaseStarted)
_FORMS = ("text", "json")
_OFF = ("", "0", "false", "no", "off")


def log_form() -> str:
    """Return the form that `DB_OPS_LOG` asks for, also in `.env`. Raises `InvalidSettings`."""
    form = _variable("DB_OPS_LOG") or "text"
    if form not in _FORMS:
        raise InvalidSettings({"DB_OPS_LOG": f"{form!r} is neither text nor json"})
    return form


def shows_tracebacks() -> bool:
    """Tell whether `DB_OPS_DEBUG` asks for the traceback of an error, also in `.env`."""
    return _variable("DB_OPS_DEBUG").lower() not in _OFF


def _variable(name: str) -> str:
    from db_ops.settings import own_variables

    return own_variables(Path.cwd()).get(name, "")


def show_note(text: str) -> None:
    """Print on stderr what is no error, and may be a mistake."""
    if options.get().log == "json":
        _log("info", {"event": "Noted", "text": text})
    else:
        print_line(f"note: {one_line(text)}", "yellow", to_stderr=True)


def show_error(error: DbOpsError, traceback: str | None = None) -> None:
    """Print *error* on stderr, what happened and what to do; with `--json` on stdout as well."""
    if options.get().log == "json":
        document = error_document(error)
        document.pop("result")
        if traceback is not None:
            document["traceback"] = traceback
        _log("error", {"event": "Failed", **document})
    else:
        for line in (traceback or "").splitlines():
            print_line(line, to_stderr=True)
        print_line(f"error: {one_line(error.message)}", "bold red", to_stderr=True)
        for note in error.notes:
            print_line(f"  {one_line(note)}", to_stderr=True)
        print_line(f"hint: {one_line(error.hint)}", to_stderr=True)
    if options.get().json:
        print_document(error_document(error))


def log_event(event: Event) -> None:
    """Print *event* on stderr as one JSON line."""
    if not isinstance(event, NOT_LOGGED):
        _log("info", event_document(event))


def log_end(command: str, exit_code: int, seconds: float) -> None:
    """Print as the last line of the log how a command ended."""
    end = {"event": "Ended", "command": command, "exit_code": exit_code, "seconds": seconds}
    _log("error" if exit_code else "info", end)


def _log(level: str, document: Mapping[str, Any]) -> None:
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    print_document({"time": time, "level": level, **document}, to_stderr=True)
