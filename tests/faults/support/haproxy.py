"""HAProxy in front of Patroni's nodes, as Patroni's documentation sets it up."""

from __future__ import annotations

import shutil
import socket

from tests.faults.support.machine import at_port
from tests.faults.support.patroni import PatroniCluster
from tests.faults.support.service import Service, new_home, program, until
from tests.support.cluster import free_port

# Patroni's example, which looks every three seconds. Here as often as Patroni itself does.
_CONFIGURATION = """
global
    maxconn 200

defaults
    mode tcp
    retries 2
    timeout client 30m
    timeout connect 4s
    timeout server 30m
    timeout check 5s

listen primary
    bind 127.0.0.1:{port}
    option httpchk OPTIONS /primary
    http-check expect status 200
    default-server inter 1s fall 3 rise 2 on-marked-down shutdown-sessions
{servers}
"""


class HAProxy:
    """A running HAProxy that leads to whichever node Patroni calls the primary."""

    def __init__(self, cluster: PatroniCluster) -> None:
        self.port = free_port()
        self.home = new_home("haproxy")
        configuration = self.home / "haproxy.cfg"
        servers = "\n".join(
            f"    server {node.name} 127.0.0.1:{node.port} check port {node.rest_port}"
            for node in cluster.nodes
        )
        configuration.write_text(_CONFIGURATION.format(port=self.port, servers=servers))
        self._service = Service(
            self.home, "haproxy", program("haproxy", "haproxy"), "-db", "-f", str(configuration)
        )
        until(self._listens, self._service.last_words, timeout=30)

    def url(self, url: str) -> str:
        """Return *url*, of one node, with HAProxy in between."""
        return at_port(url, self.port)

    def stop(self) -> None:
        """End it at once and remove its files."""
        self._service.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def _listens(self) -> bool:
        socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        return True
