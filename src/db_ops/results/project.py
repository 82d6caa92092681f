"""The results of `doctor` and `new`."""

from __future__ import annotations

from db_ops.errors import ExitCode
from db_ops.frozen_data import FrozenData
from db_ops.results.migrate import Result


class Finding(FrozenData):
    """One thing that `doctor` has looked at, under a `topic`.

    `source` is where it comes from. With `advice`, something is to be done, or to be known.
    """

    topic: str
    name: str
    value: str
    source: str | None = None
    advice: str | None = None
    is_problem: bool = False


class Diagnosis(Result):
    """What `doctor` found, in the order in which it looked; it changed nothing."""

    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> ExitCode:
        problem = any(finding.is_problem for finding in self.findings)
        return ExitCode.DIFFERENT if problem else ExitCode.DONE


class Scaffolded(Result):
    """The files of a new project that `new` wrote, and what is left for its people to do."""

    written: tuple[str, ...]
    remaining: tuple[str, ...]
