"""Tell whoever keeps records which step Alembic has just taken, inside the step's transaction."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from db_ops.migrations.checksum import file_checksum

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext, MigrationInfo
    from psycopg2.extensions import connection as DriverConnection


class Recorder(Protocol):
    """Keeps records of the steps that it is told of."""

    def write(
        self,
        migrating: DriverConnection,
        revision: str,
        action: str,
        heads: Iterable[str],
        checksum: str | None,
        seconds: float | None,
    ) -> None:
        """Record a step in the open transaction of *migrating*, or leave that as it was.

        *heads* are what the version table holds once the step is committed.
        """


@dataclass
class Recording:
    """What Alembic calls, as `on_version_apply`, for each step that it takes."""

    recorder: Recorder
    _since: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """Take the time from now on."""
        self._since = time.monotonic()

    def __call__(
        self, *, ctx: MigrationContext, step: MigrationInfo, heads: set[str], run_args: object
    ) -> None:
        seconds = time.monotonic() - self._since
        if ctx.connection is None or ctx.as_sql:
            return
        driver: Any = ctx.connection.connection.driver_connection
        for revision in step.up_revision_ids:
            path = _path(step, revision)
            self.recorder.write(
                driver,
                revision,
                _action(step),
                heads,
                file_checksum(path) if path else None,
                None if step.is_stamp else seconds,
            )
        self.begin()


def _action(step: MigrationInfo) -> str:
    if step.is_stamp:
        return "stamp" if step.is_upgrade else "unstamp"
    return "upgrade" if step.is_upgrade else "downgrade"


def _path(step: MigrationInfo, revision: str) -> Path | None:
    from alembic.util import CommandError

    try:
        script = step.revision_map.get_revision(revision)
    except CommandError:
        return None
    path = getattr(script, "path", None)
    return Path(path) if path else None
