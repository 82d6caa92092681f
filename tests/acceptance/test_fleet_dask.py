"""`db_ops.fleet` on Dask: a scheduler, two workers and the client, each a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from tests.conftest import drop
from tests.support.cluster import free_port
from tests.support.doors import in_a_shell, run
from tests.support.project import Project
from tests.test_fleet import Fleet

# As a user's script would have it.
CLIENT = """
import json, sys
import db_ops
from distributed import Client

with Client(sys.argv[1]) as client:
    client.wait_for_workers(2)
    executor = client.get_executor()
    submit, sent = executor.submit, []
    executor.submit = lambda work, task: (sent.append(task), submit(work, task))[1]
    reports = [
        db_ops.fleet(db_ops.load(), command, executor=executor, jobs=4)
        for command in ("upgrade", "status")
    ]
    ran = client.run(lambda: len(sys.modules["db_ops.commands.fleet_worker"]._opened))
    told = [dict(vars(one), failed=[one.message for one in one.failed]) for one in reports]
    print(json.dumps({"reports": told, "sent": sent, "ran": ran}, default=str))
"""


@pytest.fixture
def fleet(migrated: Project, server_url: str) -> Iterator[Fleet]:
    """Twelve tenants that lack a revision."""
    made = Fleet(migrated, server_url)
    made.add(*(f"{number:02}" for number in range(12)))
    migrated.table("0004", "four")
    yield made
    for name in made.names:
        drop(server_url, name)


@pytest.fixture
def scheduler(fleet: Fleet) -> Iterator[str]:
    """The address of a scheduler with two workers, whose environment has the URL."""
    address = f"tcp://127.0.0.1:{free_port()}"
    dask = [sys.executable, "-m", "dask"]
    local = ["--no-dashboard", "--host", "127.0.0.1"]
    worker = [*dask, "worker", address, "--nthreads", "1", "--no-nanny", *local]
    commands = [
        [*dask, "scheduler", "--port", address.rpartition(":")[2], *local],
        *([*worker, "--local-directory", str(fleet.project.root.parent)] for _ in range(2)),
    ]
    with ExitStack() as stack:
        for argv in commands:
            process = subprocess.Popen(
                argv,
                cwd=fleet.project.root,
                env=in_a_shell(fleet.project.env),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
        yield address


def test_dask_workers_upgrade_the_fleet(fleet: Fleet, scheduler: str) -> None:
    started = time.monotonic()
    argv = [sys.executable, "-c", CLIENT, scheduler]
    outcome = run(argv, cwd=fleet.project.root, env=fleet.project.env).succeeded()
    told = json.loads(outcome.out.splitlines()[-1])
    upgraded, looked = told["reports"]
    assert (upgraded["states"], upgraded["failed"]) == ({"applied": 12}, [])
    assert looked["states"] == {"at head": 12}
    assert all(fleet.at(f"{number:02}") == "0004" for number in range(12))
    # Both have worked, and have opened the project once.
    assert sorted(told["ran"].values()) == [1, 1]
    password = urlsplit(fleet.project.url).password
    assert password
    assert password not in json.dumps(told["sent"])
    assert time.monotonic() - started < 120
