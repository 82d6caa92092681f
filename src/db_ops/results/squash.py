"""The result of `squash`."""

from __future__ import annotations

from db_ops.errors import ExitCode
from db_ops.frozen_data import FrozenData
from db_ops.results.migrate import Result, Revision
from db_ops.results.verify import Difference


class DataStep(FrozenData):
    """A `line` of a revision file that writes rows, and the `code` from there on, cut."""

    path: str
    line: int
    code: str


class Squashed(Result):
    """The `replaced` revisions as one, `revision`, if that is `done`; else no file has changed.

    `differences` are in what the two build; `rows` is what the old ones leave in an empty database
    beside its schema, and `outside` what they change outside of it. `kept` tells whether the rows
    are in the new one, None where that is not decided. `data_steps` are lines of the old files that
    write rows, which are in the new one only as far as they leave some in an empty database.
    `irreversible` says why it has no downgrade, if it has none. `before` and `after` are how long
    the old revisions and the new one took in a scratch database, on a server of version `major`.
    `unfinished` says what the project's hooks did wrong, which were run on the new file.
    """

    revision: Revision | None
    replaced: tuple[Revision, ...]
    done: bool
    differences: tuple[Difference, ...]
    data_steps: tuple[DataStep, ...]
    rows: tuple[str, ...]
    outside: tuple[str, ...]
    kept: bool | None
    irreversible: str | None
    unfinished: str | None
    major: int
    before: float
    after: float

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.DONE if self.done else ExitCode.DIFFERENT
