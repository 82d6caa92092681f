"""Render and print results as text."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from db_ops.cli.terminal import one_line, options, print_line, seconds
from db_ops.cli.truncation import fit_to_screen
from db_ops.results import Deleted, Downgraded, Migrated, Result

if TYPE_CHECKING:
    from db_ops.cli.format import Line
    from db_ops.results import Script

R = TypeVar("R", bound=Result)

# What a caller who asks for quiet need not be told: that it was done is in the exit code.
_OMITTED_IF_QUIET = (Migrated, Downgraded, Deleted)
_RARE_OMITTED_IF_QUIET = (
    "Dumped",
    "Loaded",
    "Restored",
    "Seeded",
    "ServerStarted",
    "ServerStopped",
    "SnapshotTaken",
    "Undone",
)
# Where the lines of a result are made: imported only for it.
_RENDERERS = {
    "Branches": ("branches", "branches_lines"),
    "Cache": ("server", "cache_lines"),
    "ConnectionUrl": ("server", "connection_url_lines"),
    "Deleted": ("migrated", "deleted_lines"),
    "Diagnosis": ("project", "diagnosis_lines"),
    "Diagram": ("project", "diagram_lines"),
    "Downgraded": ("migrated", "downgraded_lines"),
    "Dumped": ("dump", "dumped_lines"),
    "FleetReport": ("fleet", "fleet_lines"),
    "History": ("history", "history_lines"),
    "Initialised": ("migrated", "initialised_lines"),
    "Loaded": ("dump", "loaded_lines"),
    "Migrated": ("migrated", "migrated_lines"),
    "MigrationCreated": ("project", "migration_created_lines"),
    "MigrationRebased": ("project", "migration_rebased_lines"),
    "Planned": ("plan", "plan_lines"),
    "QuicklyVerified": ("history", "quickly_verified_lines"),
    "Recreated": ("migrated", "recreated_lines"),
    "Restored": ("snapshot", "restored_lines"),
    "RevisionsFound": ("stamp", "revisions_found_lines"),
    "Scaffolded": ("project", "scaffolded_lines"),
    "Script": ("plan", "script_lines"),
    "Seeded": ("seed", "seeded_lines"),
    "ServerStarted": ("server", "server_started_lines"),
    "ServerStopped": ("server", "server_stopped_lines"),
    "ShellEnded": ("server", "shell_ended_lines"),
    "SnapshotTaken": ("snapshot", "snapshot_taken_lines"),
    "Snapshots": ("snapshot", "snapshots_lines"),
    "Squashed": ("squash", "squashed_lines"),
    "Stamped": ("stamp", "stamped_lines"),
    "Status": ("history", "status_lines"),
    "UndoList": ("undo", "undo_list_lines"),
    "Undone": ("undo", "undone_lines"),
    "Verified": ("verify", "verified_lines"),
}


def print_result(result: R, as_json: bool) -> R:
    """Print *result* on stdout and return it; as JSON, `Command` does, once all else is done."""
    if as_json:
        return result
    if type(result).__name__ == "Script":
        _show_script(result)  # type: ignore[arg-type]  # the name says it; the type is not imported
    elif not (options.get().quiet and _is_omitted_if_quiet(result)):
        for text, style in fit_to_screen(list(_all_lines(result))):
            print_line(one_line(text), style)
    return result


def _is_omitted_if_quiet(result: Result) -> bool:
    return isinstance(result, _OMITTED_IF_QUIET) or type(result).__name__ in _RARE_OMITTED_IF_QUIET


def _show_script(script: Script) -> None:
    """Print SQL as it is: no line of it may be cut or escaped."""
    print_line(script.sql.rstrip("\n"))
    for note in script.notes:
        print_line(f"note: {one_line(note)}", "yellow", to_stderr=True)


def result_lines(result: Result) -> list[str]:
    """Return what `print_result` prints, in full and without colours."""
    return [one_line(text) for text, _ in _lines(result)]


def _all_lines(result: Result) -> Iterator[Line]:
    yield from _lines(result)
    if options.get().verbose:
        for step in getattr(result, "steps", ()):
            yield f"  {seconds(step.seconds):>9}  {step.revision.id}  {step.revision.summary}", ""
        if type(result).__name__ == "Verified":
            yield from import_module("db_ops.cli.render.verify").verified_details(result)


def _lines(result: Result) -> Iterator[Line]:
    module, function = _RENDERERS[type(result).__name__]
    lines: Iterator[Line] = getattr(import_module(f"db_ops.cli.render.{module}"), function)(result)
    return lines
