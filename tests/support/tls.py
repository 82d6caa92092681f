"""A PostgreSQL that speaks TLS, with certificates of an authority made for the occasion.

The embedded server's programs are built without TLS, so this takes those of the system.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cached_property
from pathlib import Path

from tests.support.cluster import Cluster

_CANDIDATES = ("/usr/lib/postgresql/{version}/bin", "/usr/pgsql-{version}/bin")
NAME = "localhost"


def programs() -> Path | None:
    """Return the folder of an installed PostgreSQL's programs, None if there is none."""
    for version in range(18, 13, -1):
        for candidate in _CANDIDATES:
            folder = Path(candidate.format(version=version))
            if (folder / "postgres").is_file():
                return folder
    return None


class TlsCluster(Cluster):
    """A server whose certificate is for the name `localhost`, not for its address."""

    def __init__(self) -> None:
        super().__init__(programs(), hba=_PG_HBA)

    def start(self) -> None:
        if not (self.data / "server.crt").exists():
            self._make_certificates()
        self.settings["ssl"] = "on"
        super().start()

    @cached_property
    def authority(self) -> Path:
        """The certificate of the authority, as for `sslrootcert`."""
        return self.home / "authority.crt"

    @cached_property
    def another_authority(self) -> Path:
        """The certificate of an authority that has signed nothing here."""
        return self.home / "stranger.crt"

    def _make_certificates(self) -> None:
        for name in ("authority", "stranger"):
            self._openssl(
                "req", "-new", "-x509", "-days", "2", "-nodes", "-newkey", "ec",
                "-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", f"/CN={name}",
                "-keyout", f"{name}.key", "-out", f"{name}.crt",
            )  # fmt: skip
        self._openssl(
            "req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-subj", f"/CN={NAME}", "-keyout", "server.key", "-out", "server.csr",
        )  # fmt: skip
        self._openssl(
            "x509", "-req", "-days", "2", "-in", "server.csr", "-CA", "authority.crt",
            "-CAkey", "authority.key", "-CAcreateserial", "-out", "server.crt",
        )  # fmt: skip
        owner = self.data.stat()
        for name in ("server.key", "server.crt"):
            copy = self.data / name
            shutil.copy(self.home / name, copy)
            copy.chmod(0o600)
            if os.geteuid() == 0:
                os.chown(copy, owner.st_uid, owner.st_gid)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.home, check=True, capture_output=True)


_PG_HBA = """
local all all trust
hostssl all all 127.0.0.1/32 scram-sha-256
hostssl all all ::1/128 scram-sha-256
"""
