"""The results of `dump` and `load`."""

from __future__ import annotations

from db_ops.frozen_data import field
from db_ops.results.migrate import Result, Revision, Undo


class Dumped(Result):
    """The database was written to `file`, of `bytes`, by `program`; it is at `heads`."""

    file: str
    bytes: int
    heads: tuple[str, ...]
    program: str
    seconds: float


class Loaded(Result):
    """The database was replaced by what is in `file`, which is at `heads`.

    `pending`, `unknown` and `ahead` are those of `Status`. `existed` is False where there was no
    database to replace, `tables` how many it has now.
    """

    file: str
    existed: bool
    heads: tuple[str, ...]
    tables: int
    pending: tuple[Revision, ...]
    unknown: tuple[str, ...]
    ahead: tuple[str, ...]
    program: str
    seconds: float
    undo: Undo | None = field(default=None, kw_only=True)
