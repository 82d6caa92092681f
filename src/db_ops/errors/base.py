"""The base class of all errors: data, message, hint and exit code.

Every error says what it is about, what happened and which command comes next. None of them ever
holds a password. The command line turns an error into two lines and an exit code; a caller from
Python reads its fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import ClassVar, dataclass_transform

from db_ops.errors.invocation import as_typed
from db_ops.frozen_data import WithFields

# Where the URL is, if nothing else is named.
URL_VARIABLE = "DATABASE_URL"
_SHOWN = 5


class ExitCode(IntEnum):
    """What every command exits with."""

    DONE = 0
    FAILED = 1
    MISUSED = 2
    DIFFERENT = 3
    REFUSED = 4
    TRY_AGAIN = 5
    INTERRUPTED = 130
    TERMINATED = 143


@dataclass_transform(eq_default=False)
class DbOpsError(WithFields, Exception):
    """Base of all errors of `db_ops`.

    `what` and `then` are format strings over the fields. A hint names commands as they are typed
    at the door that this process was called through.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED
    what: ClassVar[str]
    then: ClassVar[str]

    @property
    def message(self) -> str:
        """Name the object and say what happened to it."""
        return self.what.format_map(self.described())

    @property
    def hint(self) -> str:
        """Name the next command, or the setting to change."""
        return as_typed(self.then.format_map(self.described()))

    @property
    def notes(self) -> tuple[str, ...]:
        """Say what else is known, a line each: what stands in the file, what the server added."""
        return ()

    def described(self) -> Mapping[str, object]:
        """Return the fields as the format strings see them: names joined, long lists cut."""
        return {
            name: enumerate_names(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
        }

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[type[DbOpsError], tuple[object, ...]]:
        # Exception would pickle positional arguments only, and ours are often keywords.
        return type(self), tuple(vars(self).values())


class SourceError(DbOpsError):
    """Base of what is wrong in a file of the project's own; `code` is what stands on the line.

    `imported_by` is the line, of a file that the command needs, that led there.
    """

    path: str
    reason: str
    line: int | None = None
    code: str = ""
    imported_by: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        shown = (f"{self.line} | {self.code}",) if self.code else ()
        return shown + ((f"imported by {self.imported_by}",) if self.imported_by else ())

    def described(self) -> Mapping[str, object]:
        return {**super().described(), "place": place_name(self.path, self.line)}


def place_name(path: str, line: int | None) -> str:
    """Return a file and its line as editors take them."""
    return f"{path}:{line}" if line else path


class Interrupted(DbOpsError):
    """A signal stopped the command; the open transaction was rolled back."""

    what = "{signal}: stopped, the running statement is rolled back; {done}"
    then = "see where the database stands: db-ops status"
    signal: str
    done: str
    exit_code = ExitCode.INTERRUPTED


class Terminated(Interrupted):
    """SIGTERM stopped the command."""

    exit_code = ExitCode.TERMINATED


class CommandRunning(DbOpsError):
    """Another thread of this program runs a command, and did not end in time."""

    exit_code = ExitCode.TRY_AGAIN
    what = "{command}: another thread of this program runs a command (waited {waited:.0f} s)"
    then = "call one after the other, or give it a process of its own: db-ops {command}"
    command: str
    waited: float


class OutputLost(DbOpsError):
    """The command is done, and what it had to say could not be written."""

    what = "stdout: the result could not be written: {reason}"
    then = "give stdout a file or pipe that can be written, then: db-ops status"
    reason: str


def enumerate_names(names: tuple[object, ...]) -> str:
    """Join the first names with commas, and say how many more there are."""
    rest = len(names) - _SHOWN
    return ", ".join(map(str, names[:_SHOWN])) + (f" and {rest} more" if rest > 0 else "")
