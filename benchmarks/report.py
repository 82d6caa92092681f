"""The result of a run: what was measured, where, and against what; as JSON and back."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from benchmarks.jobs import Job, Target
from benchmarks.measure import Measured
from benchmarks.workshop import Workshop


@dataclass(frozen=True)
class Outcome:
    """One job as it went. A ratio is a quotient of medians."""

    name: str
    title: str
    baseline: str
    measured: tuple[Measured, ...]
    targets: tuple[Target, ...] = ()

    def find(self, entrant: str) -> Measured | None:
        """Return the entrant of that name, if it was measured."""
        found = [result for result in self.measured if result.name == entrant and result.seconds]
        return found[0] if found else None

    def ratio(self, entrant: str, against: str) -> float | None:
        """Return how many times as long *entrant* takes as *against*, if both were measured."""
        one, other = self.find(entrant), self.find(against)
        return one.median / other.median if one and other else None

    def floor(self, target: Target) -> float | None:
        """Return the ratio that *target* cannot get below, if its parts were measured."""
        parts = [self.ratio(part, target.against) for part in target.floor]
        known = [part for part in parts if part is not None]
        return sum(known) if parts and len(known) == len(parts) else None


def as_text(ratio: float) -> str:
    """Return *ratio* with two significant digits."""
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.2g}"


def as_time(seconds: float) -> str:
    """Return *seconds* with three significant digits and a unit."""
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


@dataclass(frozen=True)
class Report:
    """One run of the benchmark."""

    command: str
    date: str
    cores: int
    load: float
    versions: dict[str, str]
    absent: dict[str, str]
    outcomes: tuple[Outcome, ...] = field(default=())

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        outcomes = tuple(
            Outcome(
                **{
                    **outcome,
                    "measured": tuple(Measured(**one) for one in outcome["measured"]),
                    "targets": tuple(map(_target, outcome["targets"])),
                }
            )
            for outcome in values.pop("outcomes")
        )
        return cls(**values, outcomes=outcomes)


def _target(values: dict[str, Any]) -> Target:
    return Target(**{**values, "floor": tuple(values["floor"])})


def outcome(job: Job, measured: Sequence[Measured]) -> Outcome:
    """Return the outcome of *job*, times rounded to what the clock is good for."""
    for result in measured:
        result.seconds = [round(seconds, 6) for seconds in result.seconds]
    return Outcome(job.name, job.title, job.baseline, tuple(measured), job.targets)


def report(workshop: Workshop, command: str, load: float, outcomes: Sequence[Outcome]) -> Report:
    """Return the report of a run that ends now; *load* is the machine's before it began."""
    return Report(
        command=command,
        date=datetime.now(UTC).date().isoformat(),
        cores=os.cpu_count() or 1,
        load=load,
        versions={"PostgreSQL": workshop.server.version, **workshop.tools.versions},
        absent=workshop.tools.absent,
        outcomes=tuple(outcomes),
    )
