"""What `--against` finds: whether the release that is running survives pending revisions."""

from __future__ import annotations

from db_ops.frozen_data import FrozenData
from db_ops.results.migrate import Revision


class ReleaseFinding(FrozenData):
    """One thing that a release meets after the pending revisions, and the steps that avoid it.

    `subject` is a table or `table.column`, `path` and `line` are where the models of the release
    declare it, `revision` is what does it. It is `certain` if one of the `operations`, which were
    run, failed or read another type; else it depends on the values that the release writes.
    """

    subject: str
    what: str
    instead: str
    operations: tuple[str, ...]
    certain: bool
    revision: Revision | None
    path: str | None = None
    line: int | None = None
    code: str = ""


class ReleaseCheck(FrozenData):
    """The models of `reference`, at `commit`, run against the schema after the `pending` revisions.

    `recorded` is where the migrations of that release end. `findings` are what it does not survive,
    `warnings` what it will not once a newer release writes new values. `tables` and `statements`
    were run; `unchecked` says what could not be.
    """

    reference: str
    commit: str
    recorded: tuple[str, ...]
    pending: tuple[str, ...]
    tables: int = 0
    statements: int = 0
    findings: tuple[ReleaseFinding, ...] = ()
    warnings: tuple[ReleaseFinding, ...] = ()
    unchecked: tuple[str, ...] = ()
