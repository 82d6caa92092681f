"""Patroni, three PostgreSQL nodes and etcd: a cluster whose primary changes, on loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.faults.support.service import Service, new_home, program, until
from tests.support.cluster import free_port
from tests.support.project import query

USER, PASSWORD = "postgres", "fail/over:s3cr%t"
BINARIES = Path("/usr/lib/postgresql/15/bin")
# The lease of the primary, and how often Patroni looks: as short as Patroni makes them.
_DYNAMIC = {
    "ttl": 8,
    "loop_wait": 1,
    "retry_timeout": 3,
    "maximum_lag_on_failover": 1048576,
    "synchronous_mode": False,
    "postgresql": {
        "use_pg_rewind": True,
        "use_slots": True,
        "parameters": {
            "fsync": "off",
            "max_connections": 60,
            "shared_buffers": "16MB",
            "wal_level": "replica",
            "max_wal_size": "128MB",
            "autovacuum": "off",
            "wal_retrieve_retry_interval": "300ms",
        },
    },
}


class Node:
    """One PostgreSQL and the Patroni that minds it."""

    def __init__(self, home: Path, name: str, etcd_port: int) -> None:
        self.name = name
        self.port, self.rest_port = free_port(), free_port()
        self.data = home / name
        node = {
            "scope": "db-ops-tests",
            "name": name,
            "restapi": dict.fromkeys(("listen", "connect_address"), self._at(self.rest_port)),
            "etcd3": {"host": self._at(etcd_port)},
            "bootstrap": {
                "dcs": _DYNAMIC,
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "data-checksums"],
                "pg_hba": [
                    "host replication all 127.0.0.1/32 scram-sha-256",
                    "host all all 127.0.0.1/32 scram-sha-256",
                ],
            },
            "postgresql": {
                "listen": self._at(self.port),
                "connect_address": self._at(self.port),
                "data_dir": str(self.data),
                "bin_dir": str(BINARIES),
                "pgpass": str(home / f"{name}.pgpass"),
                "authentication": {
                    role: {"username": USER, "password": PASSWORD}
                    for role in ("superuser", "replication", "rewind")
                },
                "parameters": {"unix_socket_directories": ""},
                "remove_data_directory_on_rewind_failure": True,
                "remove_data_directory_on_diverged_timelines": True,
            },
        }
        configuration = home / f"{name}.json"
        # JSON is YAML, too.
        configuration.write_text(json.dumps(node))
        self.patroni = Service(home, name, program("patroni", "patroni"), str(configuration))

    @staticmethod
    def _at(port: int) -> str:
        return f"127.0.0.1:{port}"

    def ask(self, path: str, method: str = "GET", **body: object) -> Any:
        """Ask Patroni's REST API; return what it answers, whatever the status."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.rest_port}{path}",
            method=method,
            data=json.dumps(body).encode() if body else None,
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                said = answer.read().decode()
        except urllib.error.HTTPError as error:
            said = error.read().decode()
        with suppress(json.JSONDecodeError):
            return json.loads(said)
        return said

    def kill(self) -> None:
        """`kill -9` Patroni and every process of its PostgreSQL."""
        self.patroni.kill()
        try:
            postmaster = int((self.data / "postmaster.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return
        for pid in (postmaster, *_children(postmaster)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not _is_alive(postmaster), lambda: "postgres outlives SIGKILL")


class PatroniCluster:
    """Three nodes; `primary` is who is it now."""

    def __init__(self) -> None:
        self.home = new_home("patroni")
        client, peer = free_port(), free_port()
        here = f"http://127.0.0.1:{client}"
        self.etcd = Service(
            self.home, "etcd", program("etcd", "etcd-server"),
            *("--data-dir", str(self.home / "etcd")),
            *("--listen-client-urls", here, "--advertise-client-urls", here),
            *("--listen-peer-urls", f"http://127.0.0.1:{peer}"),
            *("--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}"),
            *("--initial-cluster", f"default=http://127.0.0.1:{peer}"),
        )  # fmt: skip
        self.nodes: list[Node] = []
        try:
            until(lambda: bool(_get(f"{here}/health")), self.etcd.last_words)
            for name in ("one", "two", "three"):
                self.nodes.append(Node(self.home, name, client))
            self.wait_until_whole()
        except BaseException:
            self.remove()
            raise

    @property
    def primary(self) -> Node:
        """The node that says it is the primary."""
        return self._node(self.members("leader", "running")[0])

    def members(self, *wanted: str) -> list[str]:
        """Return the names of the members with one of the roles *wanted*, running."""
        for node in self.nodes:
            if node.patroni.process.poll() is None:
                with suppress(OSError):
                    members = node.ask("/cluster")["members"]
                    return [
                        member["name"]
                        for member in members
                        if member["role"] in wanted and member["state"] in ("running", "streaming")
                    ]
        return []

    def url(self, database: str, node: Node | None = None) -> str:
        """Return the URL of *database* at one *node*, or at whichever of them takes writes."""
        nodes = [node] if node else self.nodes
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in nodes)
        wanted = "" if node else "?target_session_attrs=read-write"
        return f"postgresql://{USER}:{quote(PASSWORD, safe='')}@{hosts}/{database}{wanted}"

    def query(self, database: str, statement: str, *arguments: object) -> list[tuple[object, ...]]:
        """Run one statement at the primary."""
        return query(self.url(database), statement, *arguments)

    def synchronous(self, wanted: bool) -> None:
        """Let a commit wait for a standby, or not, from now on."""
        self.wait_until_whole()
        self.primary.ask("/config", "PATCH", synchronous_mode=wanted)
        self.wait_until_whole(synchronous=wanted)

    def wait_until_whole(self, *, synchronous: bool | None = None) -> None:
        """Wait for a primary that takes writes, and two standbys that have all of it.

        Of *synchronous* ones, the primary has to know one, or none.
        """
        streaming = (
            "SELECT count(*) FILTER (WHERE state = 'streaming' AND replay_lsn >= %s::pg_lsn),"
            " count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')) FROM pg_stat_replication"
        )

        def is_whole() -> bool:
            ((position,),) = self.query("postgres", "SELECT pg_current_wal_lsn()::text")
            ((standbys, waited_for),) = self.query("postgres", streaming, position)
            known = len(self.members("replica", "sync_standby"))
            as_wanted = synchronous is None or (waited_for == 1) is synchronous
            if synchronous:
                as_wanted = as_wanted and len(self.members("sync_standby")) == 1
            return standbys == 2 and known == 2 and as_wanted and bool(self.primary)

        until(is_whole, self._state, timeout=180)

    def switch_over(self) -> None:
        """Let another node become the primary, as an administrator does, and wait for it."""
        before = self.primary
        said = before.ask("/switchover", "POST", leader=before.name)
        if "Successfully" not in str(said):
            pytest.fail(f"no switchover: {said}\n{self._state()}")

    def kill_primary(self) -> None:
        """`kill -9` the primary and its Patroni; return when another node is the primary."""
        before = self.primary
        before.kill()
        self._wait_for_another(before)

    def restart_killed(self) -> None:
        """Start what was killed, as machines that are replaced: empty."""
        for node in self.nodes:
            if node.patroni.process.poll() is not None:
                shutil.rmtree(node.data, ignore_errors=True)
                node.patroni.start()

    def remove(self) -> None:
        """End all of it, whatever state it is in, and remove its files."""
        for node in self.nodes:
            with suppress(Exception):
                node.kill()
        self.etcd.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def _wait_for_another(self, before: Node) -> None:
        def is_there() -> bool:
            return self.primary.name != before.name and bool(self.query("postgres", "SELECT 1"))

        until(is_there, self._state)

    def _node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    def _state(self) -> str:
        return "\n".join(one.patroni.last_words() for one in self.nodes)


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        said: str = answer.read().decode()
        return said


def _status(pid: int) -> list[str]:
    """Return a process's state, its parent, and what else the kernel tells."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["X", "0"]


def _is_alive(pid: int) -> bool:
    # Nobody may have waited for a dead one yet.
    return _status(pid)[0] not in "XZ"


def _children(parent: int) -> list[int]:
    """Return the processes whose parent is *parent*."""
    pids = [int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit()]
    return [pid for pid in pids if _status(pid)[1] == str(parent)]
