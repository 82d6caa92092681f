"""Which lines and branches of `db_ops` each test reaches, in whichever process of its own.

`scripts.quick_tests` has every interpreter run this file as it starts, and loads it as a plugin of
pytest. What `sys.monitoring` (Python 3.12) has seen once costs nothing any more.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from pathlib import Path
from types import CodeType
from typing import Any
from uuid import uuid4

FOLDER = "REACH_FOLDER"
TEST = "REACH_TEST"
_SOURCES = str(Path(__file__).parents[2] / "src" / "db_ops")
Point = tuple[str, int, int, int]


class Reach:
    """What this process has reached since it was forked, or since its test began."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.points: set[Point] = set()
        self.monitoring = sys.monitoring
        self.monitoring.use_tool_id(self.monitoring.COVERAGE_ID, "reach")
        events = self.monitoring.events
        for event, callback in (
            (events.PY_START, self._enter),
            (events.LINE, self._line),
            (events.BRANCH, self._branch),
        ):
            self.monitoring.register_callback(self.monitoring.COVERAGE_ID, event, callback)
        self.monitoring.set_events(self.monitoring.COVERAGE_ID, events.PY_START)
        atexit.register(self.write)
        os.register_at_fork(after_in_child=self.begin)
        leave = os._exit

        def write_and_leave(code: int) -> None:
            self.write()
            leave(code)

        os._exit = write_and_leave  # type: ignore[assignment]  # it does not return either

    def begin(self) -> None:
        """Forget what was reached."""
        self.points.clear()
        self.monitoring.restart_events()

    def write(self) -> None:
        """Add what was reached to that of the test that the environment names, and forget it."""
        test, points = os.environ.get(TEST), sorted(self.points)
        self.begin()
        if test and points:
            name = self.folder / f"{os.getpid()}-{uuid4().hex}.json"
            # A process of another user's may not.
            if os.access(self.folder, os.W_OK):
                # Whole or not at all: tests kill processes.
                part = name.with_suffix(".part")
                part.write_text(json.dumps({"test": test, "points": points}))
                part.rename(name)

    def _enter(self, code: CodeType, offset: int) -> Any:
        if code.co_filename.startswith(_SOURCES):
            events = self.monitoring.events
            local = events.PY_START | events.LINE | events.BRANCH
            self.monitoring.set_local_events(self.monitoring.COVERAGE_ID, code, local)
        return self.monitoring.DISABLE

    def _line(self, code: CodeType, line: int) -> Any:
        self.points.add((code.co_filename, line, 0, 0))
        return self.monitoring.DISABLE

    def _branch(self, code: CodeType, offset: int, to: int) -> None:
        self.points.add((code.co_filename, code.co_firstlineno, offset, to))


def _of_this_process() -> Reach | None:
    # Once as the interpreter starts and once as a plugin: two modules.
    if FOLDER in os.environ and not hasattr(sys, "reach"):
        sys.reach = Reach(Path(os.environ[FOLDER]))  # type: ignore[attr-defined]  # ours
    return getattr(sys, "reach", None)


_reach = _of_this_process()


def pytest_runtest_logstart(nodeid: str) -> None:
    """Begin with each test."""
    if _reach:
        _reach.begin()
        os.environ[TEST] = nodeid


def pytest_runtest_logfinish() -> None:
    """Write what it has reached."""
    if _reach:
        _reach.write()
        os.environ.pop(TEST, None)
