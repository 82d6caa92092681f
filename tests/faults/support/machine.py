"""A PostgreSQL of one test's own, copied in a moment, that may be stopped, filled or promoted."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg2

from tests.support.cluster import ADMIN, PASSWORD, Cluster, free_port
from tests.support.project import query

_SETTINGS = {
    "fsync": "off",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "30",
    "wal_level": "replica",
    "hot_standby": "on",
}


class Machine:
    """A data folder, an address, and the server that runs there or does not."""

    def __init__(self, original: Cluster, settings: Mapping[str, str] | None = None) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="db_ops-faults-"))
        self.home.chmod(0o755)
        self.data = self.home / "data"
        self.log = self.home / "server.log"
        self.binaries = original.binaries
        self.settings = {**_SETTINGS, **(settings or {})}
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        owner = original.data.stat()
        self._as_owner: dict[str, Any] = {"cwd": "/"}
        if os.geteuid() == 0:
            os.chown(self.home, owner.st_uid, owner.st_gid)
            self._as_owner |= {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": ()}

    @classmethod
    def copy_of(cls, original: Cluster, **settings: str) -> Machine:
        """Return a machine, not yet started, with a copy of a stopped cluster's data."""
        machine = cls(original, settings)
        subprocess.run(["cp", "-a", original.data, machine.data], check=True, timeout=60)
        with (machine.data / "pg_hba.conf").open("a") as rules:
            rules.write("host replication all 127.0.0.1/32 scram-sha-256\n")
        return machine

    @classmethod
    def standby_of(cls, original: Cluster, primary: Machine) -> Machine:
        """Return a machine, not yet started, that will stream from the running *primary*."""
        machine = cls(original)
        machine._run(
            "pg_basebackup", "--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream",
            "--pgdata", str(machine.data), "--dbname", primary.url("postgres"),
        )  # fmt: skip
        return machine

    def url(self, database: str, user: str = ADMIN, password: str = PASSWORD) -> str:
        """Return the URL of *database* here."""
        credentials = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"postgresql://{credentials}@127.0.0.1:{self.port}/{database}"

    def query(self, statement: str, *arguments: object) -> list[tuple[object, ...]]:
        """Run one statement on the maintenance database."""
        return query(self.url("postgres"), statement, *arguments)

    def start(self) -> Machine:
        """Start the server and wait until its port is open: not yet until it lets anybody in."""
        options = {**self.settings, "port": str(self.port)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    self.binaries / "postgres",
                    *("-D", self.data),
                    *(word for item in options.items() for word in ("-c", "=".join(item))),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._as_owner,
            )
        self._until(self._listens, "open its port")
        return self

    def ready(self) -> Machine:
        """Wait until the server lets its superuser in."""
        self._until(self._lets_in, "become ready")
        return self

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop the server (SIGINT: a fast shutdown, SIGQUIT: a crash) and wait for its end."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)

    def shut_down_politely(self) -> None:
        """Let the server go down once all sessions have ended; new ones are refused at once."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def promote(self) -> None:
        """Make the standby a primary, and wait until it is one."""
        self._run("pg_ctl", "promote", "--pgdata", str(self.data), "--wait")
        self._until(lambda: self.query("SELECT pg_is_in_recovery()") == [(False,)], "be primary")

    def catch_up(self, primary: Machine) -> None:
        """Wait until this standby has replayed what *primary* has written by now."""
        ((position,),) = primary.query("SELECT pg_current_wal_lsn()::text")
        replayed = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        self._until(lambda: self.query(replayed, position) == [(True,)], "catch up")

    def remove(self) -> None:
        """Stop the server, whatever state it is in, and remove its files."""
        try:
            self.stop()
        finally:
            if self.process is not None and self.process.poll() is None:
                self.process.kill()
                self.process.wait(30)
            shutil.rmtree(self.home, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self.binaries / program, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            **self._as_owner,
        )
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}{self._last_words()}"

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except OSError:
            return False
        return True

    def _lets_in(self) -> bool:
        try:
            self.query("SELECT 1")
        except psycopg2.OperationalError:
            return False
        return True

    def _until(self, reached: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 30
        while not reached():
            ended = self.process is not None and self.process.poll() is not None
            assert not ended, f"the server ended: {self._last_words()}"
            assert time.monotonic() < deadline, f"the server did not {what}: {self._last_words()}"
            time.sleep(0.03)

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""


def at_port(url: str, port: int) -> str:
    """Return *url* with another port of this machine in it."""
    credentials = urlsplit(url).netloc.rpartition("@")[0]
    return urlunsplit(urlsplit(url)._replace(netloc=f"{credentials}@127.0.0.1:{port}"))


def at_any_of(url: str, *machines: Machine) -> str:
    """Return *url* with several hosts in it, of which libpq takes the one that accepts writes."""
    credentials = urlsplit(url).netloc.rpartition("@")[0]
    hosts = ",".join(f"127.0.0.1:{machine.port}" for machine in machines)
    netloc = f"{credentials}@{hosts}"
    return urlunsplit(
        urlsplit(url)._replace(netloc=netloc, query="target_session_attrs=read-write")
    )
