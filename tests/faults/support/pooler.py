"""PgBouncer, the real one, in front of a server."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.faults.support.machine import at_port
from tests.support.cluster import free_port

_CONFIGURATION = """
[databases]
{aliases}* = host={host} port={server_port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = {mode}
default_pool_size = {size}
server_login_retry = 4
query_wait_timeout = {patience}
"""
# Seconds for which a client may wait for a session; 120 unless configured.
PATIENCE = 10
# Debian keeps it out of an ordinary user's PATH.
_PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))


class Pooler:
    """A running PgBouncer in *mode*, for every database of the server of *url*.

    It holds at most *size* sessions for each database. *aliases* are further names of databases.
    """

    def __init__(
        self, url: str, mode: str, size: int = 8, aliases: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        program = shutil.which("pgbouncer", path=_PLACES)
        if program is None:
            pytest.fail("pgbouncer is not installed: apt-get install pgbouncer")
        server = urlsplit(url)
        self.port = free_port()
        self.home = Path(tempfile.mkdtemp(prefix="db_ops-pooler-"))
        self.home.chmod(0o755)
        users, configuration = self.home / "users.txt", self.home / "pgbouncer.ini"
        credentials = (unquote(server.username or ""), unquote(server.password or ""))
        quoted = ('"' + word.replace('"', '""') + '"' for word in credentials)
        users.write_text(" ".join(quoted) + "\n")
        configuration.write_text(
            _CONFIGURATION.format(
                aliases="".join(
                    f"{alias} = dbname={name} host={server.hostname} port={server.port}\n"
                    for alias, name in aliases.items()
                ),
                host=server.hostname,
                server_port=server.port or 5432,
                port=self.port,
                users=users,
                mode=mode,
                size=size,
                patience=PATIENCE,
            )
        )
        self._log = self.home / "pgbouncer.log"
        as_nobody: dict[str, Any] = {}
        if os.geteuid() == 0:  # It refuses to run as root.
            nobody = pwd.getpwnam("nobody")
            as_nobody = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": ()}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [program, str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                **as_nobody,
            )
        self._wait()

    def url(self, url: str) -> str:
        """Return *url*, an URL of the server, with the pooler in between."""
        return at_port(url, self.port)

    def stop(self) -> None:
        """Stop it at once and remove its files."""
        self.process.kill()
        self.process.wait(10)
        shutil.rmtree(self.home, ignore_errors=True)

    def _wait(self) -> None:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.process.kill()
                    pytest.fail(f"pgbouncer does not start: {self._log.read_text()}")
                time.sleep(0.02)
