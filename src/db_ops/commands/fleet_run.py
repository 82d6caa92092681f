"""Hand the databases of a fleet out to workers, and collect what came of each."""

from __future__ import annotations

import shlex
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from typing import Any

from db_ops.commands.fleet_pool import ProcessLost
from db_ops.commands.fleet_worker import work
from db_ops.errors import WorkerLost
from db_ops.frozen_data import replace
from db_ops.results import FleetMember, FleetProgress, FleetReport, OnEvent
from db_ops.settings import DatabaseUrl
from db_ops.target.fleet_members import Member

_PROGRESS_EVERY = 2.0
_LARGEST_BATCH = 20


@dataclass
class FleetRun:
    """One run of a command over a fleet; of those with which nothing is wrong, no more is kept than
    their number.

    `jobs` batches are out at once, `per_server` of them for one server. Where each is worked on
    `alone`, by a process of its own, a batch is one.
    """

    location: str
    command: str
    options: Mapping[str, Any]
    settings: Mapping[str, Any]
    executor: Executor
    jobs: int
    per_server: int
    max_failures: int | None
    on_event: OnEvent
    alone: bool = False
    states: Counter[str] = field(default_factory=Counter)
    revisions: Counter[str] = field(default_factory=Counter)
    failed: list[FleetMember] = field(default_factory=list)
    different: list[FleetMember] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    steps: int = 0
    done: int = 0
    total: int = 0
    started: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)

    def report(self, found: list[Member], canary: int, shard: str | None) -> FleetReport:
        """Work on the canaries, then on the rest of *found*, and return what came of it."""
        self.total = len(found)
        self._work(found[:canary], 1)
        stopped = f"{len(self.failed)} of the first {canary} failed"
        if not (canary and self.failed):
            self._work(found[canary:], self._batch(self.total - canary))
            stopped = f"{len(self.failed)} failed"
        not_run = self.total - self.done
        return FleetReport(
            location=self.location,
            command=self.command,
            total=self.total,
            states=dict(self.states),
            revisions=dict(self.revisions),
            steps_taken=self.steps,
            seconds=time.monotonic() - self.started,
            failed=tuple(self.failed),
            different=tuple(self.different),
            not_run=not_run,
            stopped=stopped if not_run else None,
            shard=shard,
            slowest=self.slowest[1] or None,
            slowest_seconds=self.slowest[0],
        )

    def _batch(self, count: int) -> int:
        """Return how many databases a worker is given at once."""
        if self.max_failures is not None or self.alone:
            return 1
        return max(1, min(_LARGEST_BATCH, count // (self.jobs * 8)))

    def _is_full(self) -> bool:
        return self.max_failures is not None and len(self.failed) >= self.max_failures

    def _work(self, found: list[Member], size: int) -> None:
        waiting = _by_server(found)
        busy: Counter[str] = Counter()
        running: dict[Future[Any], tuple[str, list[Member]]] = {}
        while waiting or running:
            if self._is_full():
                waiting.clear()
            for server, members in tuple(waiting.items()):
                while members and busy[server] < self.per_server and len(running) < self.jobs:
                    batch = [members.popleft() for _ in range(min(size, len(members)))]
                    running[self._submit(batch)] = server, batch
                    busy[server] += 1
                if not members:
                    del waiting[server]
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                server, batch = running.pop(future)
                busy[server] -= 1
                for one in self._outcomes(future, batch):
                    self._note(one)

    def _submit(self, batch: list[Member]) -> Future[Any]:
        task = {
            "settings": self.settings,
            "command": self.command,
            "options": self.options,
            "members": [(one.text, one.schema, one.only_schema) for one in batch],
        }
        try:
            return self.executor.submit(work, task)
        except Exception as error:
            failed: Future[Any] = Future()
            failed.set_exception(error)
            return failed

    def _outcomes(self, future: Future[Any], batch: list[Member]) -> Iterator[FleetMember]:
        error = future.exception()
        if error is None:
            for one in future.result():
                yield FleetMember(**{**one, "revisions": tuple(one["revisions"])})
            return
        is_ours = isinstance(error, ProcessLost)
        reason = str(error) if is_ours else f"{type(error).__name__}: {error}"
        for member in batch:
            lost = WorkerLost(member.name, reason, self._repeat(member.name))
            yield FleetMember(
                member.name,
                member.database,
                "failed",
                "failed",
                error=type(lost).__name__,
                message=lost.message,
            )

    def _repeat(self, name: str) -> str:
        options = ""
        if self.options.get("revision"):
            options += f" -r {shlex.quote(self.options['revision'])}"
        if self.command == "downgrade":
            steps = self.options["steps"]
            options += f" -s {'base' if steps is None else steps}"
            options += " --confirm 1" if self.options["confirmed"] else ""
        return f"db-ops fleet {self.command}{options} --only {shlex.quote(name)}"

    def _note(self, one: FleetMember) -> None:
        self.done += 1
        self.steps += one.steps
        self.states[one.state] += 1
        self.slowest = max(self.slowest, (one.seconds, one.name))
        if one.outcome != "failed":
            self.revisions[", ".join(one.revisions) or "base"] += 1
        if one.outcome != "done":
            one = replace(one, repeat=self._repeat(one.name))
            (self.failed if one.outcome == "failed" else self.different).append(one)
        self.on_event(one)
        now = time.monotonic()
        if now - self.told > _PROGRESS_EVERY:
            self.told = now
            rate = self.done / (now - self.started)
            left = (self.total - self.done) / rate
            slowest = self.slowest[::-1]
            counts = self.done, self.total, len(self.failed)
            self.on_event(FleetProgress(self.command, *counts, rate, left, *slowest))


def _by_server(found: list[Member]) -> dict[str, deque[Member]]:
    waiting: dict[str, deque[Member]] = {}
    for one in found:
        server = DatabaseUrl.parse(one.text).server if "://" in one.text else ""
        waiting.setdefault(server, deque()).append(one)
    return waiting
