"""Update the version table without compiling the statement for every revision.

Alembic builds and compiles one UPDATE of the version table per revision, with the identifiers in
its text, so that SQLAlchemy cannot keep the compiled form. With parameters it is compiled once; the
driver puts the values in, and the server reads the same statement. The settings of the next
revision's session travel with it, which saves a round trip.

What is private in Alembic and used here: `alembic.runtime.migration.HeadMaintainer` with its
`_update_version`, and `MigrationContext._version`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.runtime.migration import HeadMaintainer, MigrationContext


@contextmanager
def cached_version_updates() -> Iterator[None]:
    """Update the version table with cached statements, for a `with` block.

    It reaches other threads of the process as well, for whom nothing else changes.
    """
    from alembic.runtime import migration

    original, ours = _head_maintainers()
    migration.HeadMaintainer = ours  # type: ignore[misc]
    try:
        yield
    finally:
        migration.HeadMaintainer = original  # type: ignore[misc]


def _settings(context: MigrationContext) -> str:
    """Return the statements that the runner wants sent along, each with its semicolon."""
    environment = context.environment_context
    session = environment and environment.config.attributes.get("db_ops")
    return str(session.settings_after()) if session else ""


@cache
def _head_maintainers() -> tuple[type[HeadMaintainer], type[HeadMaintainer]]:
    """Return Alembic's own class and ours; once, so that no second call takes ours for theirs."""
    from alembic.runtime.migration import HeadMaintainer
    from alembic.util import CommandError
    from sqlalchemy import bindparam

    class ComposedOnce(HeadMaintainer):
        def __init__(self, context: MigrationContext, heads: tuple[str, ...]) -> None:
            super().__init__(context, heads)
            column = context._version.c.version_num
            update = context._version.update().values(version_num=bindparam("reached"))
            update = update.where(column == bindparam("left"))
            self._update = str(update.compile(dialect=context.dialect))

        def _update_version(self, from_: str, to_: str) -> None:
            connection = self.context.connection
            if connection is None or self.context.as_sql:
                super()._update_version(from_, to_)
                return
            assert to_ not in self.heads
            self.heads.remove(from_)
            self.heads.add(to_)
            parameters = {"left": from_, "reached": to_}
            done = connection.exec_driver_sql(_settings(self.context) + self._update, parameters)
            if done.rowcount != 1:
                raise CommandError(
                    f"Online migration expected to match one row when updating {from_!r} to {to_!r}"
                    f" in {self.context.version_table!r}; {done.rowcount} found"
                )

    return HeadMaintainer, ComposedOnce
