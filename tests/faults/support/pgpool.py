"""Pgpool-II, the real one, in front of a primary and its standby."""

from __future__ import annotations

import shutil
from urllib.parse import unquote, urlsplit

import psycopg2

from tests.faults.support.machine import at_port
from tests.faults.support.service import Service, new_home, program, until
from tests.support.cluster import free_port

_CONFIGURATION = """
backend_clustering_mode = 'streaming_replication'
listen_addresses = '127.0.0.1'
port = {port}
pcp_listen_addresses = '127.0.0.1'
pcp_port = {pcp_port}
socket_dir = '{home}'
pcp_socket_dir = '{home}'
wd_ipc_socket_dir = '{home}'
pid_file_name = '{home}/pgpool.pid'
logdir = '{home}'
pool_passwd = ''
enable_pool_hba = off
allow_clear_text_frontend_auth = on
num_init_children = 12
max_pool = 2
sr_check_period = 1
sr_check_user = '{user}'
sr_check_password = '{password}'
sr_check_database = 'postgres'
failover_on_backend_error = off
{backends}
{settings}
"""


class Pgpool:
    """A running Pgpool-II with *settings*, for the servers of *urls*, the primary first."""

    def __init__(self, *urls: str, **settings: str) -> None:
        self.port = free_port()
        self.home = new_home("pgpool")
        primary = urlsplit(urls[0])
        servers = map(urlsplit, urls)
        # Whatever is balanced is meant for the last one.
        backends = "\n".join(
            f"backend_hostname{number} = '127.0.0.1'\nbackend_port{number} = {server.port}\n"
            f"backend_weight{number} = {int(number == len(urls) - 1)}"
            for number, server in enumerate(servers)
        )
        configuration = self.home / "pgpool.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                port=self.port,
                pcp_port=free_port(),
                home=self.home,
                user=unquote(primary.username or ""),
                password=unquote(primary.password or "").replace("'", "''"),
                backends=backends,
                settings="\n".join(f"{name} = {value}" for name, value in settings.items()),
            )
        )
        self._service = Service(
            self.home, "pgpool", program("pgpool", "pgpool2"),
            "-n", "-f", str(configuration), "-F", "/dev/null", "-a", "/dev/null",
        )  # fmt: skip
        until(lambda: self._lets_in(urls[0]), self._service.last_words, timeout=60)

    def url(self, url: str) -> str:
        """Return *url*, of the primary, with Pgpool-II in between."""
        return at_port(url, self.port)

    def stop(self) -> None:
        """End it at once and remove its files."""
        self._service.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def _lets_in(self, url: str) -> bool:
        psycopg2.connect(self.url(url)).close()
        return True
