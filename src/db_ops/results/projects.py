"""What was found in a project, and written into a new one."""

from __future__ import annotations

from dataclasses import dataclass

from db_ops.errors import ExitCode
from db_ops.results.outcomes import Result


@dataclass(frozen=True)
class Finding:
    """One thing that `doctor` has looked at, under a `topic`.

    `source` is where it comes from. With `advice`, something is to be done, or to be known.
    """

    topic: str
    name: str
    value: str
    source: str | None = None
    advice: str | None = None
    is_problem: bool = False


@dataclass(frozen=True)
class Diagnosis(Result):
    """What `doctor` found, in the order in which it looked; it changed nothing."""

    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> ExitCode:
        problem = any(finding.is_problem for finding in self.findings)
        return ExitCode.DIFFERENT if problem else ExitCode.DONE


@dataclass(frozen=True)
class Scaffolded(Result):
    """The files of a new project that `new` wrote, and what is left for its people to do."""

    written: tuple[str, ...]
    remaining: tuple[str, ...]
