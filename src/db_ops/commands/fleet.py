"""Run a command on all databases of a fleet: each under its own lock, in one report."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import Executor
from contextlib import ExitStack, suppress
from typing import Any

from db_ops.commands.fleet_data import plain_settings
from db_ops.commands.fleet_pool import CallingProcess, FleetPool
from db_ops.commands.fleet_run import FleetRun
from db_ops.commands.fleet_worker import import_libraries, keep_opened
from db_ops.errors import DbOpsError, Refused, UsageError
from db_ops.frozen_data import replace
from db_ops.migrations.project import Project
from db_ops.postgres.connection.server import Server
from db_ops.postgres.history import AT_ONCE
from db_ops.results import FleetReport, OnEvent, ignore
from db_ops.settings import Settings
from db_ops.target.fleet_base import open_server_of, opened_as
from db_ops.target.fleet_members import Member, fleet_of, members
from db_ops.target.open_server import server_of
from db_ops.target.target import Target

COMMANDS = ("upgrade", "downgrade", "status", "verify", "init", "history")
_WRITES = ("upgrade", "downgrade", "init")


def fleet(
    settings: Settings,
    command: str,
    *,
    revision: str | None = None,
    steps: int | None = 1,
    confirm: str | None = None,
    only: tuple[str, ...] = (),
    shard: tuple[int, int] | None = None,
    canary: int = 0,
    max_failures: int | None = None,
    jobs: int | None = None,
    connections_per_server: int | None = None,
    executor: Executor | None = None,
    on_event: OnEvent = ignore,
) -> FleetReport:
    """Do what the *command* does on each database that `[tool.db_ops.fleet]` names.

    *command* is `upgrade`, `downgrade`, `status`, `verify` (as with `--quick`), `init` or
    `history`. What fails for one database is told in the report, and the others go on, unless one
    of the first *canary* fails, or *max_failures* have. *shard* is (3, 16) for the third of sixteen
    parts. *only* some databases are worked on if they are named.

    Each database is worked on by one of *jobs* processes, or by *executor*, whose workers are given
    plain data without a secret: they read the settings of the project where they run. To revert
    revisions where data is protected, *confirm* is the number of databases.

    Raises `UsageError`, `FleetSourceFailed`, `Refused`, what `open_target` raises, and what asking
    for the databases does.
    """
    fleet_settings = fleet_of(settings)
    options = _options(command, revision, steps)
    jobs = jobs or fleet_settings.jobs or 2 * (os.cpu_count() or 1)
    # What the project reads of its environment, it may read once in a process.
    alone = bool(fleet_settings.environment)
    with ExitStack() as stack:

        def pool(size: int) -> Executor:
            one = FleetPool(size, settings.root, alone=alone)
            stack.push(lambda kind, *_: one.shutdown(cancel_futures=kind is not None))
            return one

        ours = None
        if executor is None and alone:
            # Before anything of the project is imported here.
            import_libraries()
            ours = pool(jobs)
        server, project = open_server_of(settings, f"fleet {command}", on_event)
        found = _chosen(server, project, only, shard)
        if command == "downgrade":
            options["confirmed"] = _is_confirmed(server, confirm, len(found))
        limit = connections_per_server or fleet_settings.connections_per_server
        plain = plain_settings(settings, server.url, with_url=executor is None)
        pending = int(command in _WRITES)
        if not alone:
            target = opened_as(server, project, next(iter(found), None))
            project = target.project
            pending = _pending(target, command, found)
        if executor is not None:
            _refuse_secrets(found)
        elif ours is None:
            jobs = max(1, min(jobs, len(found)))
            keep_opened(target, plain, loads=pending > 0)
            ours = pool(jobs) if jobs > 1 else CallingProcess()
        run = FleetRun(
            location=server.url.server,
            command=command,
            options=options,
            settings=plain,
            executor=executor or ours or CallingProcess(),
            jobs=jobs,
            per_server=max(1, limit // _connections(project, command, pending)) if limit else jobs,
            max_failures=max_failures,
            on_event=on_event,
            alone=alone,
        )
        return run.report(found, canary, None if shard is None else "{}/{}".format(*shard))


def _connections(project: Project, command: str, pending: int) -> int:
    """Return how many connections the work on one database takes at most.

    One is in the revisions, one looks what blocks them, and one has the lock where those cannot
    run in its session.
    """
    if command not in _WRITES:
        return 1
    shares = project.is_ours and pending <= AT_ONCE and command != "init"
    return 2 if shares else 3


def _pending(target: Target, command: str, found: list[Member]) -> int:
    """Return how far the first database is from the head; others will not be there either."""
    if command not in _WRITES or not found:
        return 0
    if command == "downgrade":
        return 1
    # What is wrong with it is told when its turn comes.
    with suppress(DbOpsError):
        settings = found[0].settings(target.settings, target.server.url)
        first = replace(target, server=server_of(settings, "fleet", ignore).without_waiting())
        return len(target.graph.pending(first.recorded()))
    return 0


def _options(command: str, revision: str | None, steps: int | None) -> dict[str, Any]:
    if command not in COMMANDS:
        problem = f"fleet: {command!r} is none of {', '.join(COMMANDS)}"
        raise UsageError(problem, "see the options: db-ops fleet --help")
    if command == "upgrade":
        return {"revision": revision}
    return {"steps": steps} if command == "downgrade" else {}


def _chosen(
    server: Server, project: Project, only: tuple[str, ...], shard: tuple[int, int] | None
) -> list[Member]:
    """Return the databases that are meant. Raises `UsageError` for a name that is none of them."""
    every: Iterable[Member] = members(server, project)
    if shard is not None:
        every = (one for one in every if one.is_in_shard(*shard))
    if not only:
        return list(every)
    wanted = set(only)
    found = [one for one in every if one.name in wanted]
    if missing := wanted - {one.name for one in found}:
        problem = f"fleet: --only {min(missing)}: no such database in [tool.db_ops.fleet]"
        raise UsageError(problem, "see what is there: db-ops fleet status -v")
    return found


def _refuse_secrets(found: list[Member]) -> None:
    for one in found:
        if one.holds_secret:
            raise UsageError(
                f"fleet: the URL of {one.name} holds a secret, which is not sent to other machines",
                "write $NAME for its password; NAME is a variable that is set where the work is",
            )


def _is_confirmed(server: Server, confirm: str | None, count: int) -> bool:
    """Tell whether to revert where data is protected. Raises `Refused`."""
    if confirm is not None and confirm != str(count):
        reason = f"--confirm names {confirm!r}, there are {count} databases"
    elif confirm is None and not server.settings.is_disposable:
        reason = f"the environment is {server.settings.environment_for_people}"
    else:
        return confirm is not None
    raise Refused(server.url.server, str(count), "fleet downgrade", reason)
