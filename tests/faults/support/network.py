"""A client's own network, and a router in between that may discard packets and tell nobody."""

from __future__ import annotations

import os
import shutil
import subprocess
from types import TracebackType

import pytest


class Route:
    """A way from a network namespace to this one, for a `with` block.

    The server listens at `server`; `wrapper` is what a command begins with that is to come from
    the namespace of the client.
    """

    def __init__(self) -> None:
        if os.geteuid() != 0 or shutil.which("ip") is None:
            pytest.skip("network namespaces take root, and Debian's iproute2")
        # Of the range for tests between networks, RFC 2544; workers run at once.
        number = os.getpid() % 512
        base = f"198.{18 + number // 256}.{number % 256}"
        self._name = f"db-ops-{os.getpid()}"
        self._link = f"dbops{os.getpid()}"[:15]
        self.server, self._router, self._gateway, self.client = (
            f"{base}.{last}" for last in (1, 2, 5, 6)
        )
        self.network = f"{base}.0/24"
        self._behind = f"{base}.4/30"

    @property
    def wrapper(self) -> tuple[str, ...]:
        return "ip", "netns", "exec", f"{self._name}-client"

    def discard(self, wanted: bool = True) -> None:
        """Discard whatever comes in either direction, or let it through again."""
        forward = f"echo {int(not wanted)} > /proc/sys/net/ipv4/ip_forward"
        _run("ip", "netns", "exec", f"{self._name}-router", "sh", "-c", forward)

    def __enter__(self) -> Route:
        router, client = f"{self._name}-router", f"{self._name}-client"
        try:
            for name in (router, client):
                _run("ip", "netns", "add", name)
                _run("ip", "-n", name, "link", "set", "lo", "up")
            self._veth(("name", self._link), ("name", "up0", "netns", router))
            self._veth(("name", "down0", "netns", router), ("name", "eth0", "netns", client))
            _run("ip", "address", "add", f"{self.server}/30", "dev", self._link)
            _run("ip", "link", "set", self._link, "up")
            for name, link, address in (
                (router, "up0", self._router),
                (router, "down0", self._gateway),
                (client, "eth0", self.client),
            ):
                _run("ip", "-n", name, "address", "add", f"{address}/30", "dev", link)
                _run("ip", "-n", name, "link", "set", link, "up")
            _run("ip", "-n", client, "route", "add", "default", "via", self._gateway)
            _run("ip", "route", "add", self._behind, "via", self._router)
            self.discard(False)
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._remove()

    def _veth(self, one: tuple[str, ...], other: tuple[str, ...]) -> None:
        _run("ip", "link", "add", *one, "type", "veth", "peer", *other)

    def _remove(self) -> None:
        # Its other end, and the route, go with it.
        subprocess.run(["ip", "link", "delete", self._link], capture_output=True, timeout=60)
        for name in ("router", "client"):
            argv = ["ip", "netns", "delete", f"{self._name}-{name}"]
            subprocess.run(argv, capture_output=True, timeout=60)


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
