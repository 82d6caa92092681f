"""The result of `branches`."""

from __future__ import annotations

from db_ops.frozen_data import FrozenData
from db_ops.results.migrate import Result


class BranchDatabase(FrozenData):
    """The database of a branch; one of a detached HEAD has a colon and its working tree for it.

    `working_tree` is where the branch is checked out, if it is; `made` when its database was copied
    or created (UTC, ISO 8601). `is_gone` tells that the branch, of this `repository`, is no more.
    """

    database: str
    branch: str
    working_tree: str | None
    repository: str
    bytes: int
    made: str | None
    is_current: bool
    is_gone: bool


class Branches(Result):
    """The databases of branches, the default one first, and the names of those dropped."""

    databases: tuple[BranchDatabase, ...]
    dropped: tuple[str, ...]
