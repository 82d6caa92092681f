"""Show events as progress, and end a command that a signal stops."""

from __future__ import annotations

import sys
import time

from db_ops.cli.format import format_megabytes, member_text, progress_text
from db_ops.cli.log import log_event
from db_ops.cli.progress.interruption import Interruption, exit_code
from db_ops.cli.progress.live_line import LiveLine, bar
from db_ops.cli.terminal import (
    erase,
    is_interactive,
    one_line,
    options,
    pause,
    print_line,
    seconds,
    short_path,
)
from db_ops.errors import ExitCode, Interrupted, Terminated
from db_ops.errors.base import enumerate_names
from db_ops.errors.invocation import as_typed
from db_ops.results import (
    BootstrapStarted,
    BranchCopied,
    BranchNotCopied,
    BranchNotKept,
    BuildAbandoned,
    Connected,
    ConnectionNotice,
    DatabaseCreated,
    DatabaseDropped,
    DatabaseSetAside,
    Event,
    FleetMember,
    FleetProgress,
    HookMissing,
    InvalidIndexDropped,
    InvalidIndexLeft,
    KeptForUndo,
    LeftOnServer,
    NotMarked,
    NotRecorded,
    ObjectsDropped,
    OtherTables,
    PhaseStarted,
    RevisionFinished,
    RevisionRetried,
    RevisionStarted,
    SeedStarted,
    SequenceBehind,
    ServerStarting,
    StatementBlocked,
    TableCopied,
    WaitingForLock,
    WaitingForServer,
)

# A revision that takes this many seconds is worth a line of its own when it is done.
_LONG = 1.0


class Progress:
    """Tells events on stderr as they come: in lines, each only once in a row, or in JSON.

    On a terminal, a line of its own shows what takes its time; *command* is what that is where no
    event says more, empty for one that leaves the terminal to another program. While entered, a
    signal ends the running statement; what that raises leaves as `Interrupted`. Events may come
    from any thread.
    """

    def __init__(self, command: str = "") -> None:
        self._interruption = Interruption()
        self._options = options.get()
        lines = self._options.log == "text" and not self._options.quiet
        watched = lines and is_interactive(sys.stderr)
        idle = f"      {command} running for" if command else ""
        self._live = LiveLine(sys.stderr, idle) if watched else None
        self._began = time.monotonic()
        self._last: str | None = None
        self._told: set[type[Event]] = set()
        self._notices: set[str] = set()
        self._done = "nothing was applied or reverted"

    def __enter__(self) -> Progress:
        self._interruption.__enter__()
        self._tokens = (
            (erase, erase.set(self._live.erase if self._live else None)),
            (pause, pause.set(self._live.pause if self._live else None)),
        )
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._interruption.__exit__()
        for variable, token in self._tokens:
            variable.reset(token)
        if self._live:
            self._live.close()
        received = self._interruption.behind(error)
        if received is not None:
            stopped = Terminated if exit_code(received) == ExitCode.TERMINATED else Interrupted
            raise stopped(received.name, self._done) from error

    def __call__(self, event: Event) -> None:
        self._note(event)
        if self._options.log == "json":
            log_event(event)
        elif not self._options.quiet:
            if self._live:
                _follow(event, self._live)
            self._tell(event)

    def _note(self, event: Event) -> None:
        if isinstance(event, Connected):
            self._interruption.cancels.append(event.cancel)
        elif isinstance(event, RevisionFinished) and not event.scratch:
            verb = "applied" if event.direction == "upgrade" else "reverted"
            last = event.step.revision.id
            self._done = f"{event.position} of {event.total} revisions {verb}, the last {last}"
        elif isinstance(event, ObjectsDropped):
            self._done = "what the role owned is dropped"
        elif isinstance(event, BuildAbandoned):
            self._done = "the database is as it was"

    def _tell(self, event: Event) -> None:
        if isinstance(event, RevisionStarted):
            self._told.clear()
        text = _announced(event, verbose=self._options.verbose)
        if not text or text == self._last or self._is_told(event):
            return
        since = f"[{time.monotonic() - self._began:7.2f} s] " if self._options.verbose else ""
        if self._live:
            with self._live.lock:
                self._live.erase()
                print_line(since + one_line(text), to_stderr=True)
        else:
            print_line(since + one_line(text), to_stderr=True)
        self._last = text

    def _is_told(self, event: Event) -> bool:
        """Tell whether a line for *event* would say again what the one before it said.

        Only how long it has lasted is new then, and on a terminal that is on the live line.
        """
        told = type(event) in self._told
        self._told.add(type(event))
        if self._options.verbose:
            return False
        if isinstance(event, ConnectionNotice):
            # Every connection of a command meets the same.
            told = event.text in self._notices
            self._notices.add(event.text)
            return told
        if isinstance(event, StatementBlocked):
            return told or self._live is not None
        if isinstance(event, FleetProgress):
            return self._live is not None
        return told and isinstance(event, WaitingForLock) and self._live is not None


def _follow(event: Event, live: LiveLine) -> None:
    match event:
        case RevisionStarted(_, _, position, total):
            live.begin("      running for", bar(position, total))
        case SeedStarted():
            live.begin("      running for")
        case PhaseStarted(phase, position, total):
            of = "" if position is None else f", {position} of {total}{bar(position, total)}"
            live.begin(f"      {phase} for", of)
        case StatementBlocked(_, blocker):
            live.add(f", waits for {blocker}")
        case RevisionRetried():
            live.begin("      waiting before the next attempt for")
        case WaitingForLock(_, holder):
            live.begin("      waiting for", f", for {holder}")
        case WaitingForServer(_, reason):
            live.begin("      waiting for", f", {reason}")
        case ServerStarting():
            live.begin("      for")
        case TableCopied(table, position, total, done, loading):
            of = "" if total is None else f" of {total}"
            size = "" if done is None else f", {format_megabytes(done)}"
            live.begin(
                f"      {'loading' if loading else 'dumping'} for",
                f", table {position}{of}: {table}{size}{bar(position, total)}",
            )
        case FleetProgress():
            live.begin(f"      fleet {event.command} for", f", {progress_text(event)}")
        case Connected() | ConnectionNotice() | FleetMember():
            pass
        case _:
            live.end()


def _announced(event: Event, *, verbose: bool) -> str:
    match event:
        case RevisionStarted(revision, direction, position, total, scratch):
            verb = "apply" if direction == "upgrade" else "revert"
            place = " in a scratch database" if scratch else ""
            return f"  {verb} {position}/{total}{place}  {revision.id}  {revision.summary}"
        case BootstrapStarted(function, scratch):
            return f"  bootstrap{' in a scratch database' if scratch else ''}  {function}"
        case SeedStarted(seed):
            return f"  seed  {seed}"
        case SequenceBehind(location, sequence, column, highest, remedy):
            return f"{location}: {sequence} lags behind {column}, {highest}; {remedy}"
        case HookMissing(path, hook):
            return f"{path}: post_write_hooks: {hook} is not installed here and will not run"
        case RevisionFinished(step) if verbose or step.seconds >= _LONG:
            return f"      done in {seconds(step.seconds)}"
        case ServerStarting(directory, creating):
            what = "creating and starting" if creating else "starting"
            return f"{what} the embedded server in {short_path(directory)}"
        case ConnectionNotice(location, text):
            return f"{location}: {text}"
        case WaitingForServer(location, reason):
            return f"{location}: waiting, {reason}"
        case WaitingForLock(location, holder, remedy, _):
            return f"{location}: waiting for {holder}; to end it: {remedy}"
        case StatementBlocked(_, blocker):
            return f"      waits for {blocker}"
        case InvalidIndexDropped(location, index):
            return f"{location}: dropped {index}, left INVALID by a failed build, to build it again"
        case InvalidIndexLeft(location, index):
            return (
                f"{location}: {index} is INVALID and serves no query; "
                f"to build it again: REINDEX INDEX CONCURRENTLY {index}"
            )
        case RevisionRetried(revision, reason, attempt, attempts):
            return (
                f"      {revision} meets a lock ({reason}), attempt {attempt} of {attempts} follows"
            )
        case DatabaseCreated(location):
            return f"{location}: created"
        case BranchCopied(location, branch, database, size):
            what = f"{database}, the database of {branch}, {format_megabytes(size)}"
            return f"{location}: copying {what}"
        case BranchNotCopied(location, branch, database, revisions):
            what = f"{database}, the database of {branch}, is at {enumerate_names(revisions)}"
            return f"{location}: not a copy: {what}, which this checkout lacks"
        case BranchNotKept(location, branch):
            return f"{location}: git cannot write its configuration: renaming {branch} will lose it"
        case DatabaseDropped(location):
            return f"{location}: dropped"
        case DatabaseSetAside(location, snapshot):
            return (
                f"{location}: cannot be built beside the present database, so that is kept as the "
                f"snapshot {snapshot!r} until the rebuild has worked"
            )
        case ObjectsDropped(location):
            from db_ops.cli.render.soft_reset import soft_reset_text

            return f"{location}: {soft_reset_text(event)}"
        case BuildAbandoned(location):
            return f"{location}: left as it was"
        case KeptForUndo(location):
            undo = as_typed("db-ops undo")
            return f"{location}: what was there before is kept; to bring it back: {undo}"
        case NotMarked(location, reason):
            return f"{location}: not marked with its environment, {reason}"
        case NotRecorded(location, reason, remedy):
            return f"{location}: not recorded, {reason}; {remedy}"
        case OtherTables(location, tables):
            named = enumerate_names(tables)
            return f"{location}: other tables are there and are left alone: {named}"
        case FleetMember() if verbose or event.outcome == "failed":
            return f"  {member_text(event)}"
        case FleetProgress():
            return f"  {progress_text(event)}"
        case LeftOnServer(location, what):
            return f"{location}: a trial has left something on the server: {what}"
        case _:
            return ""
