"""Read `postmaster.pid` and tell whether that server answers.

A process number proves nothing: after a crash, a reboot or a container's restart it may be
anybody's. Only somebody who accepts a connection where `postmaster.pid` points is alive.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

_PATIENCE = 5.0
_NOBODY_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED)
# The shortest limit of any system (macOS: 104 bytes with the final zero), and the longest name.
_LONGEST_FOLDER = 103 - len("/.s.PGSQL.65535")


@dataclass(frozen=True)
class Postmaster:
    """A server as its `postmaster.pid` tells it; `host` is the folder of its socket, or an address.

    It may be long dead: ask `answers`.
    """

    pid: int
    port: int
    host: str
    ready: bool

    def answers(self) -> bool:
        connection = self._dial()
        if connection is not None:
            connection.close()
        return connection is not None

    def process(self) -> int | None:
        """Return the process to send signals to, None if it is gone, 0 if it is out of our sight.

        The kernel knows who listens, and by which number we know that process; the number in the
        file may come from another container, and be somebody else's here.
        """
        connection = self._dial()
        if connection is None:
            return None
        with connection:
            if sys.platform == "linux":
                credentials = struct.Struct("3i")
                peer = connection.getsockopt(
                    socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size
                )
                return int(credentials.unpack(peer)[0])
            return self.pid

    def _dial(self) -> socket.socket | None:
        if is_folder(self.host):
            connection = socket.socket(socket.AF_UNIX)
            address: str | tuple[str, int] = str(socket_path(Path(self.host), self.port))
        else:
            connection = socket.socket(socket.AF_INET)
            address = (self.host, self.port)
        connection.settimeout(_PATIENCE)
        try:
            connection.connect(address)
        except BlockingIOError:  # alive, with a full queue
            pass
        except OSError as error:
            connection.close()
            if error.errno in _NOBODY_THERE:
                return None
            raise
        return connection


def read_postmaster(data: Path) -> Postmaster | None:
    """Return the server that last ran on *data*; None if it stopped in good order."""
    try:
        lines = os.fsdecode((data / "postmaster.pid").read_bytes()).split("\n")
        pid, written_for, _, port, folder, address = lines[:6]
        host = folder or address
        if not host:  # it does not listen yet
            return None
        if is_folder(host) and Path(written_for) != data:
            # The folder was moved, or copied: never go on to the original's socket.
            if not fits_socket(data):
                return None
            host = str(data)
        return Postmaster(int(pid), int(port), host, "".join(lines[7:8]).strip() == "ready")
    except FileNotFoundError:
        return None
    except ValueError:  # it is being written
        return None


def socket_path(folder: Path, port: int) -> Path:
    return folder / f".s.PGSQL.{port}"


def fits_socket(folder: Path) -> bool:
    """Tell whether libpq can be told of a socket in *folder*; it splits hosts at commas."""
    return len(os.fsencode(folder)) <= _LONGEST_FOLDER and "," not in str(folder)


def is_folder(host: str) -> bool:
    return host.startswith("/")
