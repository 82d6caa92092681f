"""A PostgreSQL of the tests' own: TCP on loopback, passwords, everything that can be provoked."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import psycopg2

from db_ops.postgres.embedded import EmbeddedServer
from db_ops.postgres.embedded.programs import Programs

ADMIN = "db_ops_admin"
PASSWORD = "s3cr%t@:/#?& ünd mehr"
_PG_HBA = """
local all all trust
host all all 127.0.0.1/32 scram-sha-256
"""
_SETTINGS = {
    # With hundreds of databases it would start a process every 100 ms.
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "max_prepared_transactions": "10",
    "wal_level": "logical",
    "password_encryption": "scram-sha-256",
}


# The folder of another PostgreSQL's programs, to run the tests against its version.
BINARIES = "DB_OPS_TEST_BINARIES"


class Cluster:
    """A running server; `url` is its superuser's, over TCP with a password."""

    def __init__(self, binaries: Path | None = None, hba: str = _PG_HBA) -> None:
        self.settings: dict[str, str] = {}
        self.home = Path(tempfile.mkdtemp(prefix="db_ops-tests-"))
        self.home.chmod(0o755)
        embedded = EmbeddedServer(self.home / "server")
        named = binaries or os.environ.get(BINARIES)
        if named:
            vars(embedded)["_programs"] = _installed(Path(named))
        embedded.ensure()
        connection = psycopg2.connect(**embedded.connection_parameters(), dbname="postgres")
        connection.autocommit = True
        with connection.cursor() as cursor:
            if connection.info.server_version >= 160000:
                self.settings["scram_iterations"] = "1"
            verifier = _scram_verifier(PASSWORD)
            cursor.execute(f"CREATE ROLE {ADMIN} SUPERUSER LOGIN PASSWORD %s", (verifier,))
            cursor.execute("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
            self.binaries = Path(cursor.fetchone()[0])
            cursor.execute("SELECT current_setting('data_directory')")
            self.data = Path(cursor.fetchone()[0])
        connection.close()
        embedded.stop()
        (self.data / "pg_hba.conf").write_text(hba)
        self.port = free_port()
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://{ADMIN}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        owner = self.data.stat()
        settings = {
            **_SETTINGS,
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            **self.settings,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.home / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.data, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **({"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}),
                cwd="/",
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg2.connect(self.url).close()
                return
            except psycopg2.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)


def _scram_verifier(password: str) -> str:
    """Return what the server keeps of *password*, of one iteration: each connection pays for them.

    Source: RFC 5803.
    """

    def text(value: bytes) -> str:
        return base64.b64encode(value).decode()

    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256$1:{text(salt)}${text(stored)}:{text(server_key)}"


def _installed(folder: Path) -> Programs:
    said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True)
    return Programs(folder, int(said.stdout.split()[2].partition(".")[0]))


def free_port() -> int:
    """Return a TCP port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
