"""Execute a command: read its options, print its result or error, return the exit code."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import Any

import db_ops
from db_ops.cli.declaration import Command, Options
from db_ops.cli.json_output import print_document, result_document
from db_ops.cli.log import log_end, log_form, show_error, show_note, shows_tracebacks
from db_ops.cli.terminal import (
    OutputOptions,
    discard_output,
    flush,
    open_closed_streams,
    options,
    stop_moving,
)
from db_ops.errors import DbOpsError, ExitCode, OutputLost, PackageUnsuitable, UsageError
from db_ops.errors.invocation import invocation
from db_ops.frozen_data import FrozenData, replace
from db_ops.results import Result


class CommonOptions(FrozenData):
    """The options that are given once for all commands of a line; see `db_ops.load`."""

    alembic_ini: str | None = None
    section: str | None = None
    x: tuple[str, ...] = ()
    flask_app: str | None = None


def execute(
    command: Command,
    read_options: Callable[[], Options],
    *,
    output: OutputOptions,
    given: CommonOptions,
) -> int:
    """Run *command* with what *read_options* returns, show what comes of it, return its exit code.

    `DB_OPS_DEBUG=1` lets the traceback of an error through. With `--json`, stdout carries the
    document of the result or the error and nothing else, whatever the project's code prints.
    """
    started = time.monotonic()
    token = options.set(output)
    try:
        open_closed_streams()
        done = _outcome(command, read_options, given)
        code = int(done.exit_code)
        if "true" in (os.environ.get("GITHUB_ACTIONS"), os.environ.get("GITLAB_CI")):
            from db_ops.cli.ci_annotations import annotate

            annotate(command.name, done)
        code = _flushed(code)
        if options.get().log == "json":
            log_end(command.name, code, time.monotonic() - started)
    except BrokenPipeError:
        # Nobody reads the output any more, as in `... | head`.
        discard_output(sys.stdout)
        return ExitCode.FAILED
    finally:
        options.reset(token)
    return code


def _outcome(
    command: Command, read_options: Callable[[], Options], given: CommonOptions
) -> Result | DbOpsError:
    """Run the command and show its result or its error."""
    try:
        with _reserved_stdout() if options.get().json else nullcontext():
            _settle_output()
            done = _run(command, read_options(), given)
        if options.get().json:
            print_document(result_document(done))
    except DbOpsError as error:
        show_failure(error, _traceback(error) if shows_tracebacks() else None)
        if isinstance(error.__cause__, _OF_ANOTHER_VERSION):
            for unsuitable in _unsuitable_packages():
                show_note(f"{unsuitable.message}: {unsuitable.hint}")
        return error
    except _OF_ANOTHER_VERSION:
        unsuitable_one = next(_unsuitable_packages(), None)
        if unsuitable_one is None:
            raise
        show_failure(unsuitable_one)
        return unsuitable_one
    return done


# What Python raises where a package lacks what a newer one has.
_OF_ANOTHER_VERSION = (ImportError, AttributeError, TypeError)


def _unsuitable_packages() -> Iterator[PackageUnsuitable]:
    from db_ops.errors.packages import unsuitable_packages

    return unsuitable_packages()


def _run(command: Command, read: Options, given: CommonOptions) -> Result:
    from db_ops.cli.progress.events import Progress
    from db_ops.cli.render.result import print_result

    with Progress("" if command.hands_over else command.name) as progress:
        load = _loader(given)
        if command.body is not None:
            done = command.body(load, read, progress)
        else:
            function = getattr(db_ops, command.name.replace("-", "_"))
            values = [read[one.parameter] for one in command.positionals]
            taken = {one.parameter for one in command.positionals}
            rest = {name: value for name, value in read.items() if name not in taken}
            done = function(load(), *values, **rest, on_event=progress)
        stop_moving()
        return print_result(done, options.get().json)


def _loader(given: CommonOptions) -> Callable[..., Any]:
    def load(**more: Any) -> Any:
        settings = db_ops.load(**vars(given), **more)
        invocation.set(replace(invocation.get(), alembic=settings.alembic_options()))
        if not options.get().quiet:
            for note in settings.notes:
                if note not in _NOTED:
                    _NOTED.add(note)
                    show_note(note)
        return settings

    return load


# A chain of commands says it once.
_NOTED: set[str] = set()


def _traceback(error: DbOpsError) -> str:
    from db_ops.errors.tracebacks import traceback_of

    return traceback_of(error)


def show_failure(error: DbOpsError, traceback: str | None = None) -> None:
    """Show *error* on stderr and, with `--json`, on stdout, if that can be written."""
    try:
        show_error(error, traceback)
    except OutputLost as lost:
        options.set(replace(options.get(), json=False))
        if not isinstance(error, OutputLost):
            show_error(lost)


def _flushed(code: int) -> int:
    try:
        flush()
    except OutputLost as error:
        options.set(replace(options.get(), json=False))
        show_error(error)
        return int(error.exit_code)
    return code


def _settle_output() -> None:
    now = options.get()
    if now.quiet and now.verbose:
        raise UsageError("--quiet and --verbose contradict each other", "leave one of them out")
    options.set(replace(now, log=log_form()))


@contextmanager
def _reserved_stdout() -> Iterator[None]:
    """Send to stderr, for a `with` block, what Python and child processes write to stdout."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        # Not a file: what a caller from Python has put there.
        with redirect_stdout(sys.stderr):
            yield
        return
    sys.stdout.flush()
    kept = os.dup(descriptor)
    os.dup2(sys.stderr.fileno(), descriptor)
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            # Stderr is full; what the project printed is given up.
            discard_output(sys.stdout)
        os.dup2(kept, descriptor)
        os.close(kept)


def output_of(given: Mapping[str, Any]) -> OutputOptions:
    """Take what every command has out of *given*."""
    json, quiet, verbose = (bool(given.get(name)) for name in ("json", "quiet", "verbose"))
    return OutputOptions(json, quiet, verbose)
