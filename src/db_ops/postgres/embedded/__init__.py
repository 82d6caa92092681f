"""The project's own PostgreSQL: no installation, no container, no password, no network port."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import IO

from db_ops.errors import EmbeddedServerBusy, EmbeddedServerFailed
from db_ops.postgres.embedded.account import Account, account_for, change_owner, make_folder
from db_ops.postgres.embedded.cluster import SUPERUSER, Cluster, cluster_error, try_lock
from db_ops.postgres.embedded.new_cluster import create_cluster
from db_ops.postgres.embedded.postmaster import read_postmaster
from db_ops.postgres.embedded.programs import (
    SHARED_FOLDER,
    Programs,
    find_programs,
    shared_folder,
)
from db_ops.results import OnEvent, ServerStarting, ignore

__all__ = ["EmbeddedServer"]

_PAUSE = 0.02


class EmbeddedServer:
    """The project's own PostgreSQL, kept in one folder and started on demand.

    The server outlives the process that starts it, and any number of processes may use this class
    at once. Only the user who owns the cluster, and root, can connect.

    Parameters
    ----------
    home: the folder, created when it is needed. The cluster in it is named for PostgreSQL's major
        version, so that an upgrade begins a new one and keeps the old one.
    start_timeout: seconds to wait for another process that starts or stops the server, and again
        for the server to take queries.
    major: the major version that the server must have; by default, the newest there is.
    cache: this user's folder for what may be deleted, where a new cluster is kept to be copied for
        the next home; root has one of its own. None keeps nothing.

    Every method may raise `EmbeddedServerFailed`, all but `stop` `EmbeddedServerUnavailable`.
    """

    def __init__(
        self,
        home: Path,
        *,
        start_timeout: float = 60.0,
        major: int | None = None,
        cache: Path | None = None,
    ) -> None:
        self._home = home.resolve()
        self._start_timeout = start_timeout
        self._major = major
        self._cache = cache

    @cached_property
    def directory(self) -> Path:
        """Where the cluster and its log really are: *home*, unless root's server cannot get there.

        Root's own folders are closed to the unprivileged user that the server runs as.
        """
        if self._account is None or self._account.can_enter(self._home):
            return self._home
        return SHARED_FOLDER / sha256(bytes(self._home)).hexdigest()[:12]

    def is_running(self) -> bool:
        """Tell whether the server takes queries, at the price of reading a file and one connect."""
        with self._explained():
            return self._cluster.running() is not None

    def ensure(self, on_event: OnEvent = ignore) -> bool:
        """Start the server unless it runs, creating it first if there is none; True if started.

        Raises `EmbeddedServerBusy` if another process, or the server itself, takes too long.
        """
        if self.is_running():
            return False
        with self._lock(self._start_timeout):
            if self.is_running():
                return False
            with self._explained():
                creating = not self._cluster.exists
            on_event(ServerStarting(str(self.directory), creating))
            with self._explained():
                programs = self._programs.reachable_by(self._account)
                if creating:
                    create_cluster(self._cluster, programs, self._cache)
                return self._cluster.start(programs, self._start_timeout)

    def stop(self, timeout: float = 30.0) -> bool:
        """Stop the server, ending every session; the data stays. True if this call stopped it.

        Servers of other major versions in the same folder are stopped too.
        """
        with self._explained():
            if not self._clusters():
                return False
        with self._lock(timeout), self._explained():
            stopped = [cluster.stop(timeout) for cluster in self._clusters()]
        return any(stopped)

    def connection_parameters(self) -> dict[str, str]:
        """Return libpq's keywords for the server that `ensure` has left running, but no database.

        The port is always among them: libpq would take another one from PGPORT.
        """
        with self._explained():
            postmaster = read_postmaster(self._cluster.data)
        if postmaster is None:
            raise EmbeddedServerFailed(str(self.directory), "not running", "start it: db-ops start")
        return {"host": postmaster.host, "port": str(postmaster.port), "user": SUPERUSER}

    @cached_property
    def _account(self) -> Account | None:
        return account_for(self._home)

    @cached_property
    def _programs(self) -> Programs:
        return find_programs(self._major)

    @property
    def _cluster(self) -> Cluster:
        return Cluster(self.directory / f"pg{self._programs.major}", self._account)

    def _clusters(self) -> list[Cluster]:
        try:
            folders = [path for path in self.directory.iterdir() if path.is_dir()]
        except FileNotFoundError:
            return []
        clusters = (Cluster(path, self._account) for path in folders if path.name[:2] == "pg")
        return [cluster for cluster in clusters if cluster.exists]

    @contextmanager
    def _lock(self, timeout: float) -> Iterator[None]:
        """Keep every other process from starting or stopping the server meanwhile."""
        deadline = time.monotonic() + timeout
        while (file := self._try_lock()) is None:
            if time.monotonic() > deadline:
                reason = f"another process holds {self._lock_file} (waited {timeout:.0f} s)"
                remedy = "let it finish, then run the same command again"
                raise EmbeddedServerBusy(str(self.directory), reason, remedy)
            time.sleep(_PAUSE)
        with file:
            yield

    @property
    def _lock_file(self) -> Path:
        return self._home / "lock"

    def _try_lock(self) -> IO[bytes] | None:
        with self._explained():
            self._make_folders()
            file = self._lock_file.open("ab")
            # Who deletes the folder takes the lock away with it, and others lock a new file.
            if try_lock(file) and _is_still(self._lock_file, file):
                change_owner(self._lock_file)
                return file
            file.close()
            return None

    def _make_folders(self) -> None:
        make_folder(self._home)
        if self.directory != self._home:
            shared_folder()
            make_folder(self.directory)
        ignored_by_git = self._home / ".gitignore"
        if not ignored_by_git.exists():
            ignored_by_git.write_text("*\n")
            change_owner(ignored_by_git)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            raise cluster_error(self.directory, reason, path=error.filename) from error


def _is_still(path: Path, file: IO[bytes]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
