"""A terminal line that is rewritten while an operation runs."""

from __future__ import annotations

import os
import threading
import time
from typing import TextIO

from db_ops.cli.terminal import one_line, replace_unencodable, size

_FIRST_AFTER, _AGAIN_AFTER = 0.5, 0.2  # seconds
_ERASE = "\r\x1b[2K"
_WIDTH = 20


class LiveLine:
    """Shows what goes on, for how long, and what it waits for; cut at the terminal's width.

    What is quick is never shown. Where nothing is said to go on, it shows *idle* and the time since
    `start`. Other lines are printed while `lock` is held, after `erase`.
    """

    def __init__(self, stream: TextIO, idle: str = "") -> None:
        self.lock = threading.RLock()
        # A fork in the middle of a write would find the stream locked for ever.
        free = {"after_in_parent": self.lock.release, "after_in_child": self.lock.release}
        os.register_at_fork(before=self.lock.acquire, **free)
        self._stream = stream
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._idle = idle
        self._text = self._detail = ""
        self._began = self._started = time.monotonic()
        self._shown = False

    def start(self) -> None:
        """Show that the command runs, until something begins."""
        self.begin(self._idle)

    def begin(self, text: str, detail: str = "") -> None:
        """Show *text* from now on, and the seconds since; the same text goes on."""
        with self.lock:
            if text != self._text:
                self._text, self._began = text, time.monotonic()
            self._detail = detail
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="db_ops-live", daemon=True)
                self._thread.start()

    def add(self, detail: str) -> None:
        """Show *detail* behind what goes on, until something else does."""
        with self.lock:
            self._detail = detail

    def end(self) -> None:
        """Take away what goes on; what is left is that the command runs."""
        with self.lock:
            self._text, self._detail, self._began = self._idle, "", self._started
            self.erase()

    def pause(self) -> None:
        """Take the line away until something begins."""
        with self.lock:
            self._text = self._detail = ""
            self.erase()

    def erase(self) -> None:
        """Take the line away; it comes back while what it shows goes on."""
        with self.lock:
            if self._shown:
                self._stream.write(_ERASE)
                self._stream.flush()
                self._shown = False

    def close(self) -> None:
        """End the line and the thread behind it."""
        self.pause()
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_AGAIN_AFTER):
            with self.lock:
                elapsed = time.monotonic() - self._began
                if self._text and elapsed >= _FIRST_AFTER:
                    self._write(f"{self._text} {elapsed:.0f} s{self._detail}")

    def _write(self, text: str) -> None:
        from rich.cells import cell_len, set_cell_size

        # A full last column would make some terminals begin a new line.
        text, room = one_line(text), size(self._stream)[0] - 1
        if cell_len(text) > room:
            text = set_cell_size(text, max(room - 3, 0)) + "..."
        self._stream.write(_ERASE + replace_unencodable(text, self._stream))
        self._stream.flush()
        self._shown = True


def bar(position: int | None, total: int | None) -> str:
    """Return how far a step is that is done next, drawn; nothing where that is not known."""
    if not position or not total or total < 2:
        return ""
    filled = _WIDTH * (position - 1) // total
    return f" [{'=' * filled}{' ' * (_WIDTH - filled)}]"
