"""Record the files, folders and environment variables that this process reads."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from db_ops.settings.environment import recorded_variables

_WRITES = os.O_WRONLY | os.O_TRUNC | os.O_EXCL
_ASKING = ("socket.connect", "subprocess.Popen", "os.system")


@dataclass
class ProcessInputs:
    """Absolute paths that were opened for reading, there or not, and names of variables.

    What this process has `made` before it read it, or has in a folder that it made, is none of
    them. It has `asked_others` if it connected to anything, or started a program.
    """

    paths: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    variables: set[str] = field(default_factory=set)
    asked_others: bool = False


@contextmanager
def recorded_inputs() -> Iterator[ProcessInputs]:
    """Record what is read in a `with` block; complete when the block has ended."""
    hook, own = _hook(), ProcessInputs()
    outer, hook.into = hook.into, own
    try:
        with recorded_variables(own.variables):
            yield own
    finally:
        hook.into = outer
        if outer is not None:
            outer.paths |= own.paths
            outer.made |= own.made
            outer.asked_others |= own.asked_others


@dataclass
class _Hook:
    """Adds the paths that this process opens for reading, if something is recorded."""

    into: ProcessInputs | None = None

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.into is None:
            return
        if event in _ASKING:
            self.into.asked_others = True
        elif event in ("open", "os.listdir", "os.scandir"):
            path, *how = arguments
            self._opened(path, event == "open" and _is_for_writing(*how))
        elif event == "os.mkdir":
            self._opened(arguments[0], True)
        elif event == "os.rename" and _absolute(arguments[0]) in self.into.made:
            self.into.made.add(_absolute(arguments[1]))

    def _opened(self, path: object, writes: bool) -> None:
        name = _absolute(path)
        if self.into is None or not name:
            return
        made = self.into.made
        if not writes:
            if not made or made.isdisjoint((name, *map(str, Path(name).parents))):
                self.into.paths.add(name)
        elif not os.path.lexists(name):
            made.add(name)


def _absolute(path: object) -> str:
    """Return an absolute path; empty for the number of a file that is open."""
    if not isinstance(path, str | bytes | os.PathLike):
        return ""
    # Thousands are opened: what is not the project's own must not cost more than this.
    return os.path.abspath(os.fsdecode(path))  # noqa: PTH100


def _is_for_writing(mode: object, flags: object) -> bool:
    """Tell whether a file is opened without regard to what is in it."""
    if isinstance(mode, str):
        return not set(mode).isdisjoint("wxa")
    return isinstance(flags, int) and bool(flags & _WRITES)


@cache
def _hook() -> _Hook:
    # An audit hook stays until the process ends, so there is only one.
    hook = _Hook()
    sys.addaudithook(hook)
    return hook
