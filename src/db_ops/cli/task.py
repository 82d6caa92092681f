"""What makes a function a command: run every time, errors in two lines, a true exit code."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import replace
from typing import Any

from invoke.exceptions import Exit
from invoke.parser.argument import Argument
from invoke.tasks import Task

from db_ops.cli.documents import print_document, result_document
from db_ops.cli.speaking import log_end, log_form, show_error
from db_ops.cli.terminal import Options, options
from db_ops.errors import DbOpsError, ExitCode, UsageError
from db_ops.results import Result

# The words of --help for what many commands take.
JSON = {"json": "Print the result as one JSON document."}
CONFIRM = {"confirm": "The exact name of the database, to override the guard."}
_FOR_ALL = {
    ("quiet", "q"): "Print what was asked for, and errors; nothing else.",
    ("verbose", "v"): "Print all there is to say, and when.",
}


class Command(Task[Any]):
    """An Invoke task whose body returns a result.

    A `DbOpsError` becomes two lines on stderr, and what is to be known beside between them; the
    process exits with the code of the error or of the result. `DB_OPS_DEBUG=1` shows before them
    the traceback of what led there, the project's own. With `--json`, stdout carries the document
    of the result or the error and nothing else, whatever the project's code prints.
    """

    def __eq__(self, other: object) -> bool:
        # Invoke merges equal calls of one command line. Ours run each time they are named:
        # `init delete-db init` is three commands.
        return False

    __hash__ = Task.__hash__

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Add `--quiet` and `--verbose` to what the function takes."""
        added = [
            Argument(names=names, kind=bool, default=False, help=text)
            for names, text in _FOR_ALL.items()
        ]
        taken = super().get_arguments(ignore_unknown_help)
        letters = {short for _, short in _FOR_ALL}
        for argument in taken:
            # Invoke gives out letters as they come: `--quick` would have that of `--quiet`.
            argument.names = tuple(name for name in argument.names if name not in letters)
        return [*taken, *added]

    def __call__(self, *args: Any, quiet: bool = False, verbose: bool = False, **given: Any) -> Any:
        started = time.monotonic()
        token = options.set(Options(bool(given.get("json")), quiet, verbose))
        try:
            with _unread_output():
                done = self._outcome(*args, **given)
                code = done.exit_code
                name = self.name.replace("_", "-")
                if "true" in (os.environ.get("GITHUB_ACTIONS"), os.environ.get("GITLAB_CI")):
                    from db_ops.cli.annotations import annotate

                    annotate(name, done)
                if options.get().log == "json":
                    log_end(name, code, time.monotonic() - started)
        finally:
            options.reset(token)
        if code:
            raise Exit(code=code)
        return done

    def _outcome(self, *args: Any, **given: Any) -> Result | DbOpsError:
        """Run the body and tell its result, unless that has told itself, or its error."""
        try:
            with _reserved_stdout() if options.get().json else nullcontext():
                _settle_options()
                done: Result = super().__call__(*args, **given)
        except DbOpsError as error:
            show_error(error, _traceback(error) if os.environ.get("DB_OPS_DEBUG") == "1" else None)
            return error
        if options.get().json:
            print_document(result_document(done))
        return done


def _traceback(error: DbOpsError) -> str:
    from db_ops.errors.tracebacks import traceback_of

    return traceback_of(error)


def _settle_options() -> None:
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
        sys.stdout.flush()
        os.dup2(kept, descriptor)
        os.close(kept)


@contextmanager
def _unread_output() -> Iterator[None]:
    """End quietly if nobody reads the output any more, as in `... | head`."""
    try:
        yield
    except BrokenPipeError:
        # Or the interpreter would stumble again, over what is still in the buffer.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise Exit(code=ExitCode.FAILED) from None
