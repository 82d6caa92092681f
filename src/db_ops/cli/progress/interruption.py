"""Ctrl-C and SIGTERM during a statement: cancel it on the server at once, then stop.

Python runs a signal handler only between bytecodes, so a handler alone would wait for the statement
to end. The byte that the interpreter writes on a signal wakes a thread, which cancels instead. An
interruptible wait callback of psycopg2 would do too, but it forbids COPY.

A signal that is ignored when the process starts, as in a shell's background, stays ignored.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from db_ops.errors import ExitCode

_PATIENCE = 5.0


class _Sigterm(KeyboardInterrupt):
    """SIGTERM, on the way that a Ctrl-C takes: past every `except Exception`."""


class Interruption:
    """While entered, a first signal calls `cancels` and a second one leaves the process at once.

    Only the main thread may install signal handlers; entered in another one, this does nothing.
    """

    def __init__(self) -> None:
        self.cancels: list[Callable[[], None]] = []
        self.signal: signal.Signals | None = None
        self._entered = False
        self._canceller: threading.Thread | None = None

    def __enter__(self) -> Interruption:
        if threading.current_thread() is not threading.main_thread():
            return self
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._handler_before = signal.getsignal(signal.SIGTERM)
        if self._handler_before is not signal.SIG_IGN:
            signal.signal(signal.SIGTERM, _raise_sigterm)
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._watch, name="db_ops-signals", daemon=True)
        self._thread.start()
        self._entered = True
        return self

    def __exit__(self, *exception: object) -> None:
        if self._entered:
            signal.set_wakeup_fd(self._wakeup_before)
            signal.signal(signal.SIGTERM, self._handler_before)
            self._writer.close()
            self._thread.join(_PATIENCE)
            # A thread inside libpq while the interpreter ends could bring the process down. To
            # cancel takes a connection, which a server that has gone away lets wait.
            if self._canceller is not None:
                self._canceller.join(_PATIENCE)

    def behind(self, error: BaseException | None) -> signal.Signals | None:
        """Return the signal that led to *error*, if one did.

        The handler may be quicker than the thread that notes the signal, or slower than the
        statement's own error.
        """
        if isinstance(error, _Sigterm):
            return signal.SIGTERM
        if isinstance(error, KeyboardInterrupt):
            return signal.SIGINT
        return self.signal if error is not None else None

    def _watch(self) -> None:
        with self._reader:
            while numbers := self._reader.recv(16):
                for number in numbers:
                    if number in (signal.SIGINT, signal.SIGTERM):
                        self._stop(signal.Signals(number))

    def _stop(self, received: signal.Signals) -> None:
        if self.signal is not None:
            os._exit(exit_code(received))
        self.signal = received
        # Not in this thread, which a second signal may need before an answer comes.
        self._canceller = threading.Thread(target=self._cancel, name="db_ops-cancel", daemon=True)
        self._canceller.start()

    def _cancel(self) -> None:
        for cancel in self.cancels:
            # A connection that is closed by now has nothing to cancel.
            with suppress(Exception):
                cancel()


def exit_code(received: signal.Signals) -> ExitCode:
    """Return what a process exits with that this signal stopped."""
    return ExitCode.TERMINATED if received == signal.SIGTERM else ExitCode.INTERRUPTED


def _raise_sigterm(number: int, frame: FrameType | None) -> None:
    raise _Sigterm
