"""The results of `stamp`."""

from __future__ import annotations

from db_ops.errors import ExitCode
from db_ops.results.migrate import Result
from db_ops.results.verify import Difference


class Stamped(Result):
    """Whether `revisions` are recorded (`done`), and in what the schema differs from theirs.

    `before` is what was recorded, `heads` what is recorded now. `others` are tables that neither
    models nor migrations make, which do not count. `unchecked` says why nothing was compared.
    """

    before: tuple[str, ...]
    heads: tuple[str, ...]
    revisions: tuple[str, ...]
    done: bool
    differences: tuple[Difference, ...]
    others: tuple[str, ...]
    unchecked: str | None

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.DONE if self.done else ExitCode.DIFFERENT


class RevisionsFound(Result):
    """What the tables are at: each of `nearest` is what `stamp` would record.

    Several where revisions change nothing that the catalogs hold, as those that only change rows.
    The schema is theirs if there are no `differences`, else it comes nearest to theirs. `recorded`
    is what the version table says, `others` as in `Stamped`. `compared` revisions were run; where
    they have `branches`, not every state that they can be in was.
    """

    recorded: tuple[str, ...]
    nearest: tuple[tuple[str, ...], ...]
    differences: tuple[Difference, ...]
    others: tuple[str, ...]
    compared: int
    branches: bool

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.DIFFERENT if self.differences else ExitCode.DONE
