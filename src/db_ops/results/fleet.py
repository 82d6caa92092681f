"""The result of `fleet`, and the event for each of its databases."""

from __future__ import annotations

from collections.abc import Mapping

from db_ops.errors import ExitCode
from db_ops.frozen_data import FrozenData
from db_ops.results.migrate import Result


class FleetMember(FrozenData):
    """What came of one database, or schema, of a fleet.

    `outcome` is `done`, `different` or `failed`; `state` says it in a word: `at head`, `applied`,
    `behind`, `ahead`, `missing`, `changed`, ... `steps` is how many revisions were applied or
    reverted, `detail` what there is to say besides. `error` is the type of what failed, `repeat`
    the command that does the same for this one alone.
    """

    name: str
    location: str
    outcome: str
    state: str
    revisions: tuple[str, ...] = ()
    steps: int = 0
    seconds: float = 0.0
    detail: str | None = None
    error: str | None = None
    message: str | None = None
    hint: str | None = None
    repeat: str | None = None


class FleetProgress(FrozenData):
    """How far a run over a fleet is; `left` are the seconds that the rest will take, at this rate.

    `slowest` is the database that took the most `slowest_seconds` so far.
    """

    command: str
    done: int
    total: int
    failed: int
    rate: float
    left: float
    slowest: str
    slowest_seconds: float


class FleetReport(Result):
    """What `fleet` did with its `total` databases; `states` counts them, `not_run` those left out.

    `failed` and `different` name those with which something is wrong, and what; no more is kept of
    the others. `stopped` says why some were not run: a canary failed, or too many have. `shard` is
    the part of the fleet that was meant, if it was not all of it.
    """

    command: str
    total: int
    states: Mapping[str, int]
    revisions: Mapping[str, int]
    steps_taken: int
    seconds: float
    failed: tuple[FleetMember, ...] = ()
    different: tuple[FleetMember, ...] = ()
    not_run: int = 0
    stopped: str | None = None
    shard: str | None = None
    slowest: str | None = None
    slowest_seconds: float = 0.0

    @property
    def exit_code(self) -> ExitCode:
        if self.failed or self.not_run:
            return ExitCode.FAILED
        return ExitCode.DIFFERENT if self.different else ExitCode.DONE
