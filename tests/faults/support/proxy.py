"""A TCP proxy whose cable can be pulled."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit

from tests.faults.support.machine import at_port

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
# What a server sends that replays its log after a crash.
_FIELDS = (
    b"SFATAL",
    b"VFATAL",
    b"C57P03",
    b"Mthe database system is not yet accepting connections",
    b"\0",
)
_NOT_YET = b"E" + struct.pack("!i", 4 + len(b"\0".join(_FIELDS))) + b"\0".join(_FIELDS)


class Proxy:
    """Forwards every connection to a server, for a `with` block.

    `hangs_up` makes it close new connections at once, as a container's port proxy does while
    nobody listens behind it. `cut_after` pulls the cable once, after so many bytes of answers.
    `not_yet` says of the next clients which are told that the server is not ready.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.hangs_up = False
        self.cut_after: int | None = None
        self.answered = 0
        self.hung_up = 0
        self.not_yet: Iterator[bool] = iter(())
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def url(self, url: str) -> str:
        """Return *url*, an URL of the server, with the proxy in between."""
        return at_port(url, self.port)

    def lead_to(self, url: str) -> None:
        """Lead new connections to the server of *url*; those that are open stay where they are."""
        server = urlsplit(url)
        self._server = (server.hostname or "", server.port or 5432)

    def cut(self, *, reset: bool = False) -> int:
        """End every connection, on both sides, and return how many ends that were.

        With *reset*, they end as after the crash of a machine: with RST instead of FIN.
        """
        with self._lock:
            ends = list(self._open)
        for end in ends:
            # Its reader wakes up and closes it.
            with suppress(OSError):
                if reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                end.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
        return len(ends)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.hangs_up = True
        # Closing alone would not wake `accept`.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(5)
        self.cut()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.hangs_up:
                self.hung_up += 1
                client.close()
                continue
            if next(self.not_yet, False):
                with client, suppress(OSError):
                    # Eight bytes ask for encryption.
                    while len(client.recv(65536)) == 8:
                        client.sendall(b"N")
                    client.sendall(_NOT_YET)
                continue
            try:
                server = socket.create_connection(self._server, timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._lock:
                self._open |= {client, server}
            for ends in ((client, server, False), (server, client, True)):
                thread = threading.Thread(target=self._forward, args=ends, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _forward(self, source: socket.socket, sink: socket.socket, from_server: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if from_server and self._exhausted(len(data)):
                    self.cut()
                    break
                sink.sendall(data)
        # Neither end outlives the other; each is closed by its own reader.
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RD)
        with self._lock:
            self._open.discard(source)
        source.close()

    def _exhausted(self, size: int) -> bool:
        with self._lock:
            self.answered += size
            if self.cut_after is None or self.answered <= self.cut_after:
                return False
            self.cut_after = None
            return True
