"""Progress as text, and the end of a command that a signal stops."""

from __future__ import annotations

from db_ops.cli.interruption import Interruption, exit_code
from db_ops.cli.terminal import say, seconds, short
from db_ops.errors import ExitCode, Interrupted, Terminated
from db_ops.results import (
    BuildAbandoned,
    Connected,
    DatabaseCreated,
    DatabaseDropped,
    Event,
    InvalidIndexDropped,
    InvalidIndexLeft,
    NotMarked,
    NotRecorded,
    RevisionFinished,
    RevisionRetried,
    RevisionStarted,
    ServerStarting,
    WaitingForLock,
    WaitingForServer,
)

# A revision that takes this many seconds is worth a line of its own when it is done.
_LONG = 1.0


class Progress:
    """Prints events on stderr as they come, each only once in a row.

    While entered, a signal ends the running statement; what that raises leaves as `Interrupted`.
    """

    def __init__(self) -> None:
        self._interruption = Interruption()
        self._last: str | None = None
        self._done = "nothing was applied or reverted"

    def __enter__(self) -> Progress:
        self._interruption.__enter__()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._interruption.__exit__()
        received = self._interruption.behind(error)
        if received is not None:
            stopped = Terminated if exit_code(received) == ExitCode.TERMINATED else Interrupted
            raise stopped(received.name, self._done) from error

    def __call__(self, event: Event) -> None:
        if isinstance(event, Connected):
            self._interruption.cancels.append(event.cancel)
        elif isinstance(event, RevisionFinished):
            verb = "applied" if event.direction == "upgrade" else "reverted"
            last = event.step.revision.id
            self._done = f"{event.position} of {event.total} revisions {verb}, the last {last}"
        elif isinstance(event, BuildAbandoned):
            self._done = "the database is as it was"
        text = _announced(event)
        if text and text != self._last:
            say(text, to_stderr=True)
            self._last = text


def _announced(event: Event) -> str:
    match event:
        case RevisionStarted(revision, direction, position, total):
            verb = "apply" if direction == "upgrade" else "revert"
            return f"  {verb} {position}/{total}  {revision.id}  {revision.summary}"
        case RevisionFinished(step) if step.seconds >= _LONG:
            return f"      done in {seconds(step.seconds)}"
        case ServerStarting(directory, creating):
            what = "creating and starting" if creating else "starting"
            return f"{what} the embedded server in {short(directory)}"
        case WaitingForServer(location, reason):
            return f"{location}: waiting, {reason}"
        case WaitingForLock(location, holder, remedy, _):
            return f"{location}: waiting for {holder}; to end it: {remedy}"
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
        case DatabaseDropped(location):
            return f"{location}: dropped"
        case BuildAbandoned(location):
            return f"{location}: left as it was"
        case NotMarked(location, reason):
            return f"{location}: not marked with its environment, {reason}"
        case NotRecorded(location, reason, remedy):
            return f"{location}: not recorded, {reason}; {remedy}"
        case _:
            return ""
