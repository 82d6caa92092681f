"""Record the files, folders and environment variables that this process reads."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

from db_ops.settings.environment import recorded_variables

_WRITES = os.O_WRONLY | os.O_RDWR


@dataclass
class ProcessInputs:
    """Absolute paths that were opened for reading, there or not, and names of variables."""

    paths: set[str] = field(default_factory=set)
    variables: set[str] = field(default_factory=set)


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


@dataclass
class _Hook:
    """Adds the paths that this process opens for reading, if something is recorded."""

    into: ProcessInputs | None = None

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.into is None or event not in ("open", "os.listdir", "os.scandir"):
            return
        path, *how = arguments
        mode, flags = how if event == "open" else ("r", 0)
        if isinstance(mode, str) and not set(mode).isdisjoint("wax+"):
            return
        if isinstance(flags, int) and flags & _WRITES:
            return
        if isinstance(path, str | bytes | os.PathLike):
            # Thousands are opened: what is not the project's own must not cost more than this.
            self.into.paths.add(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100


@cache
def _hook() -> _Hook:
    # An audit hook stays until the process ends, so there is only one.
    hook = _Hook()
    sys.addaudithook(hook)
    return hook
