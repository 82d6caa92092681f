"""Record each step that Alembic takes, inside the transaction of that step."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from db_ops.results import Record

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext, MigrationInfo
    from alembic.script.revision import Revision as AlembicRevision
    from psycopg2.extensions import connection as DriverConnection


class StepRecorder(Protocol):
    """Records steps in the history table."""

    def checksum(self, path: Path) -> str | None:
        """Return the checksum of a revision file, None if there is none."""

    def turn_off(self, reason: str, remedy: str) -> None:
        """Record nothing from now on, and tell why, and what would change that."""

    def shares_transaction(self, migrating: object) -> bool:
        """Tell whether to record the next step in the transaction of the connection *migrating*."""

    def write(self, migrating: DriverConnection, record: Record) -> None:
        """Record a step in the open transaction of *migrating*, or leave that as it was."""

    def add(self, record: Record) -> None:
        """Record a step that is committed."""


@dataclass
class StepRecording:
    """The `on_version_apply` callback for the steps of one attempt.

    A step that is not recorded in its own transaction waits until it is known to be committed.
    """

    recorder: StepRecorder
    _since: float = field(default_factory=time.monotonic)
    _waiting: list[Record] = field(default_factory=list)

    def begin(self) -> None:
        """Record the waiting steps, which are committed now, and restart the clock."""
        for step in self._waiting:
            self.recorder.add(step)
        self._waiting.clear()
        self._since = time.monotonic()

    def __call__(
        self, *, ctx: MigrationContext, step: MigrationInfo, heads: set[str], run_args: object
    ) -> None:
        seconds = None if step.is_stamp else time.monotonic() - self._since
        if ctx.connection is None or ctx.as_sql:
            return
        # Alembic takes a step when the one before is committed.
        self.begin()
        driver: Any = ctx.connection.connection.driver_connection
        for revision in step.up_revision_ids:
            script = _script(step, revision)
            path = getattr(script, "path", None)
            checksum = self.recorder.checksum(Path(path)) if path else None
            # Private in Alembic: what a revision follows and depends on, labels resolved.
            parents = tuple(script._all_down_revisions) if script else None
            now = tuple(sorted(heads))
            record = Record(revision, _action(step), now, checksum, seconds, parents)
            if self.recorder.shares_transaction(driver):
                self.recorder.write(driver, record)
            else:
                self._waiting.append(record)
        self._since = time.monotonic()


def _action(step: MigrationInfo) -> str:
    if step.is_stamp:
        return "stamp" if step.is_upgrade else "unstamp"
    return "upgrade" if step.is_upgrade else "downgrade"


def _script(step: MigrationInfo, revision: str) -> AlembicRevision | None:
    from alembic.util import CommandError

    try:
        return step.revision_map.get_revision(revision)
    except CommandError:
        return None
