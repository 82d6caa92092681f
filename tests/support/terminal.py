"""A terminal for a command to run in: what it shows, and every byte that was written to it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyte

from tests.support.doors import in_a_shell, listen_to_interrupts


@dataclass
class Terminal:
    """A command on a pseudo-terminal of its own."""

    process: subprocess.Popen[bytes]
    descriptor: int
    screen: pyte.Screen
    stream: pyte.ByteStream
    written: bytearray = field(default_factory=bytearray)

    @property
    def lines(self) -> list[str]:
        """What the screen shows, without the empty lines at its end."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip().split("\n")

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def read(self, seconds: float = 0.1) -> bool:
        """Take in what comes within *seconds*; False once nobody writes any more."""
        ready, _, _ = select.select([self.descriptor], [], [], seconds)
        if not ready:
            return self.process.poll() is None
        try:
            chunk = os.read(self.descriptor, 65536)
        except OSError:  # Linux says so when the other side is closed.
            return False
        self.written += chunk
        self.stream.feed(chunk)
        return bool(chunk)

    def wait_for(self, text: str, timeout: float = 30) -> None:
        """Read until the screen shows *text*."""
        deadline = time.monotonic() + timeout
        while text not in self.text:
            assert self.read(), f"ended without {text!r}:\n{self.text}"
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.text}"

    def answer(self, text: str) -> None:
        """Type *text* and press Enter."""
        os.write(self.descriptor, f"{text}\n".encode())

    def end(self, timeout: float = 300) -> int:
        """Read until the command ends and return its exit code."""
        deadline = time.monotonic() + timeout
        while self.read():
            assert time.monotonic() < deadline, self.text
        return self.process.wait()


@contextmanager
def terminal(
    argv: list[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    columns: int = 80,
    lines: int = 24,
    stdout: int | None = None,
) -> Iterator[Terminal]:
    """Run *argv* on a terminal of that size; its stdout may go elsewhere."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env=in_a_shell({"TERM": "xterm-256color", **env}),
        stdin=theirs,
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=_take_the_terminal,
    )
    os.close(theirs)
    screen = pyte.Screen(columns, lines)
    try:
        yield Terminal(process, ours, screen, pyte.ByteStream(screen))
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(ours)


def _take_the_terminal() -> None:
    """Be what Ctrl-C on the terminal reaches, and let a shell have jobs."""
    listen_to_interrupts()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
