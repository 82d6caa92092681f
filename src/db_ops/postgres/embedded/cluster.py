"""One data directory: starting and stopping the server on it.

A server is started with a file lock on `PG_VERSION` that all its processes inherit. The kernel lets
go of it when the last of them is gone, including those that outlive a killed postmaster for a
while. A second server on the same files would destroy them, and PostgreSQL itself does not notice
one that runs in another container.
"""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from db_ops.errors import EmbeddedServerBusy, EmbeddedServerFailed
from db_ops.postgres.embedded.account import Account, change_owner, run_as
from db_ops.postgres.embedded.postmaster import (
    Postmaster,
    fits_socket,
    read_postmaster,
    socket_path,
)
from db_ops.postgres.embedded.programs import Programs

SUPERUSER = "postgres"
_VERSION = "PG_VERSION"
_PAUSE = 0.02
_FICLONE = 0x40049409  # Python names it from 3.12 on
_LARGEST_LOG = 10_000_000
_COMPLAINT = re.compile(r"\b(?:PANIC|FATAL|error): +(.+)")
_DISK_IS_FULL = ("No space left", "quota exceeded", "wrote only")


@dataclass(frozen=True)
class Cluster:
    """The cluster in the folder `data`, its server run as `account` (None: as ourselves)."""

    data: Path
    account: Account | None

    @property
    def directory(self) -> Path:
        return self.data.parent

    @property
    def log(self) -> Path:
        return self.data.with_name(f"{self.data.name}.log")

    @property
    def exists(self) -> bool:
        # Path.exists() would be False as well where we may not look, in some versions of Python.
        try:
            self._version_file.stat()
        except FileNotFoundError:
            return False
        return True

    @property
    def _version_file(self) -> Path:
        return self.data / _VERSION

    def running(self) -> Postmaster | None:
        """Return the server if it takes queries."""
        postmaster = read_postmaster(self.data)
        return postmaster if postmaster and postmaster.ready and postmaster.answers() else None

    def start(self, programs: Programs, timeout: float) -> bool:
        """Start the server, or wait for one that is starting; True if this call started it."""
        deadline = time.monotonic() + timeout
        while (lock := self._lock()) is None:
            if self.running():
                return False
            if time.monotonic() > deadline:
                raise self._busy(f"its processes take no queries (waited {timeout:.0f} s)")
            time.sleep(_PAUSE)
        with lock:
            self._launch(programs, lock, deadline)
        return True

    def stop(self, timeout: float) -> bool:
        """End every session and stop the server; False if none was running."""
        if self._is_idle():
            return False
        deadline = time.monotonic() + timeout
        if not _wait(lambda: self._is_answering() or self._is_idle(), deadline):
            raise self._busy(f"its processes do not answer (waited {timeout:.0f} s)")
        self._signal(signal.SIGINT)  # PostgreSQL's "fast" shutdown
        if not _wait(self._is_idle, deadline):
            self._signal(signal.SIGQUIT)  # its "immediate" shutdown; the next start recovers
            if not _wait(self._is_idle, time.monotonic() + timeout):
                raise self._busy(f"does not stop (waited {2 * timeout:.0f} s)")
        if not fits_socket(self.data):
            with suppress(OSError):
                self._socket_folder().rmdir()
        return True

    def _busy(self, reason: str) -> EmbeddedServerBusy:
        postmaster = read_postmaster(self.data)
        process = f", or end process {postmaster.pid}" if postmaster else ""
        remedy = f"run the same command again{process}; its log is {self.log}"
        return EmbeddedServerBusy(str(self.directory), reason, remedy)

    def _is_idle(self) -> bool:
        """Tell that no process uses the cluster. Some network file systems forget the lock."""
        if self._is_answering():
            return False
        lock = self._lock()
        if lock is not None:
            lock.close()
        return lock is not None

    def _is_answering(self) -> bool:
        postmaster = read_postmaster(self.data)
        return postmaster is not None and postmaster.answers()

    def _lock(self) -> IO[bytes] | None:
        """Return `PG_VERSION`, locked; None while a process of the server has it locked."""
        file = self._version_file.open("r+b")
        if try_lock(file):
            return file
        file.close()
        return None

    def _launch(self, programs: Programs, lock: IO[bytes], deadline: float) -> None:
        settings = {"logging_collector": "off", **self._listening()}
        if programs.major >= 18 and self._clones_files():
            settings["file_copy_method"] = "clone"
        command = [programs.path("postgres"), "-D", str(self.data)]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self._open_log() as log:
            beginning = log.tell()
            server = subprocess.Popen(
                command, stdout=log, stderr=log, **_outliving_us(lock), **run_as(self.account)
            )
        ready = _wait(lambda: bool(self.running()) or server.poll() is not None, deadline)
        if server.poll() is not None:
            reason = complaints(self.log.read_bytes()[beginning:])[-1]
            if server.returncode < 0:
                reason = f"killed by {signal.Signals(-server.returncode).name}"
            raise cluster_error(self.directory, f"postgres: {reason}")
        server.returncode = 0  # it outlives us by design, and Popen need not warn of that
        if not ready:
            raise self._busy("not ready yet, perhaps it is still recovering")

    def _clones_files(self) -> bool:
        """Tell whether the file system lets a copy share the blocks, as XFS and Btrfs on Linux."""
        with self._version_file.open("rb") as file, suppress(OSError):
            with tempfile.TemporaryFile(dir=self.data) as copy:
                fcntl.ioctl(copy, _FICLONE, file.fileno())
            return True
        return False

    def _listening(self) -> dict[str, str]:
        """Return the settings for a socket of our own, and no network port where that works."""
        folder = self._socket_folder()
        # A server whose folder was deleted under it unlinks its socket when it notices, within a
        # minute. A number of the folder's own keeps it from unlinking that of its successor.
        port = 1024 + self.data.stat().st_ino % 64000
        self._remove_traces(folder, port)
        return {
            "listen_addresses": "",
            "unix_socket_directories": str(folder),
            "unix_socket_permissions": "0700",
            "port": str(port),
        }

    def _remove_traces(self, folder: Path, port: int) -> None:
        """Remove what names a killed server, whose number another process may have by now.

        Only for the holder of the lock, which proves that nothing of that server is alive.
        """
        stale = socket_path(folder, port)
        for path in (self.data / "postmaster.pid", stale, Path(f"{stale}.lock")):
            path.unlink(missing_ok=True)

    def _socket_folder(self) -> Path:
        """Return the data directory, which is the server's alone, or a stand-in if libpq cannot."""
        if fits_socket(self.data):
            return self.data
        uid = self.account.uid if self.account else os.geteuid()
        name = f"db_ops-{uid}-{sha256(os.fsencode(self.data)).hexdigest()[:12]}"
        folder = Path(tempfile.gettempdir(), name)
        if not fits_socket(folder) or (self.account and not self.account.can_enter(folder)):
            folder = Path("/tmp", name)
        if not folder.exists():
            folder.mkdir(mode=0o700)
            self.give_to_account(folder)
        if folder.is_symlink() or folder.stat().st_uid != uid:
            raise cluster_error(
                self.directory, f"{folder}, where its socket must be, belongs to somebody else"
            )
        return folder

    def _open_log(self) -> IO[bytes]:
        if self.log.exists() and self.log.stat().st_size > _LARGEST_LOG:
            self.log.replace(self.log.with_name(f"{self.log.name}.old"))
        self.log.touch(mode=0o600)  # it quotes the statements that fail
        change_owner(self.log)
        return self.log.open("ab")

    def _signal(self, number: signal.Signals) -> None:
        postmaster = read_postmaster(self.data)
        process = postmaster.process() if postmaster else None
        if process == 0:
            remedy = "stop it where it was started"
            raise EmbeddedServerFailed(str(self.directory), "runs in another container", remedy)
        if process is not None:
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def give_to_account(self, path: Path) -> None:
        """Make the server's user the owner of *path*."""
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)


def cluster_error(directory: Path, reason: str, *, path: object = None) -> EmbeddedServerFailed:
    """Return the error, with the remedy that *reason* calls for, which may be about *path*."""
    if any(text in reason for text in _DISK_IS_FULL):
        remedy = f"free space on the disk of {directory}, or set DATABASE_URL"
    elif "ermission denied" in reason or "ead-only" in reason:
        remedy = f"give this user write access to {path or directory}, or set DATABASE_URL"
    elif "not permitted" in reason:
        remedy = f"run the command as the user who owns {directory}, or set DATABASE_URL"
    else:
        remedy = f"see the log in {directory}, or set DATABASE_URL"
    return EmbeddedServerFailed(str(directory), reason, remedy)


def try_lock(file: IO[bytes]) -> bool:
    """Lock *file* until it is closed everywhere; False if somebody else has it."""
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _outliving_us(lock: IO[bytes]) -> dict[str, Any]:
    """Return how to start a server that no signal to our terminal reaches, and that keeps *lock*.

    It inherits no other file: a caller that reads our output must see its end when we end.
    """
    return {"start_new_session": True, "pass_fds": (lock.fileno(),)}


def complaints(output: bytes) -> list[str]:
    """Return what *output* says that went wrong, or else its last line."""
    text = output.decode(errors="replace")
    lines = [line for line in text.splitlines() if line.strip()]
    return _COMPLAINT.findall(text) or lines[-1:] or ["ended without a message"]


def _wait(condition: Callable[[], bool], deadline: float) -> bool:
    """Wait until *condition* holds; False if it does not before *deadline*."""
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True
