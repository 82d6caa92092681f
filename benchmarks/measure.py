"""Time several entrants in turn, so that whatever else the machine does meets all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

LEAST_RUNS = 3
_BUDGET = 30.0


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Entrant:
    """One way to do a job: `run` is timed, `prepare` and `settle` around it are not.

    `run` may return a remark on what it did. Where one call is too short for the clock, the mean of
    so many *calls* counts as one run.
    """

    name: str
    run: Callable[[], str | None]
    prepare: Callable[[], object] = _nothing
    settle: Callable[[], object] = _nothing
    ours: bool = False
    calls: int = 1


@dataclass
class Measured:
    """What was measured of one entrant, in seconds, or why nothing was."""

    name: str
    ours: bool
    seconds: list[float] = field(default_factory=list)
    remark: str = ""
    absent: str = ""

    @property
    def median(self) -> float:
        return median(self.seconds)


def side_by_side(entrants: Sequence[Entrant], runs: int) -> list[Measured]:
    """Run every entrant once untimed, then *runs* times in turn.

    One that has taken more than half a minute is let off after three runs. One that fails is not
    run again; what it said is kept.
    """
    measured = [Measured(entrant.name, entrant.ours) for entrant in entrants]
    for entrant, result in zip(entrants, measured, strict=True):
        result.remark = f"means of {entrant.calls} calls" if entrant.calls > 1 else ""
    for number in range(runs + 1):
        for entrant, result in zip(entrants, measured, strict=True):
            enough = len(result.seconds) >= LEAST_RUNS and sum(result.seconds) > _BUDGET
            if result.absent or enough:
                continue
            try:
                seconds, remark = _time(entrant)
            except Exception as error:
                result.absent = str(error) or type(error).__name__
                result.seconds.clear()
            else:
                if number:
                    result.seconds.append(seconds)
                    result.remark = remark or result.remark
    return measured


def _time(entrant: Entrant) -> tuple[float, str | None]:
    entrant.prepare()
    started = time.perf_counter()
    for _ in range(entrant.calls):
        remark = entrant.run()
    seconds = time.perf_counter() - started
    entrant.settle()
    return seconds / entrant.calls, remark
