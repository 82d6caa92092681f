"""Record a revision's number without composing the statement for it anew.

Alembic builds and compiles one UPDATE of the version table per revision, with the identifiers in
its text, so that SQLAlchemy cannot keep the compiled form. With parameters it compiles it once; the
driver puts the values in, and the server reads the same statement.

What is private in Alembic and used here: `alembic.runtime.migration.HeadMaintainer` with its
`_update_version`, `MigrationContext._version` and `DefaultImpl._exec`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.runtime.migration import HeadMaintainer, MigrationContext


@contextmanager
def composing_once() -> Iterator[None]:
    """Let Alembic record revisions that way, for a `with` block around `run_migrations`.

    It reaches other threads of the process as well, for whom nothing else changes.
    """
    from alembic.runtime import migration

    original, ours = _head_maintainers()
    migration.HeadMaintainer = ours  # type: ignore[misc]
    try:
        yield
    finally:
        migration.HeadMaintainer = original  # type: ignore[misc]


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
            self._update = (
                context._version.update()
                .values(version_num=bindparam("reached"))
                .where(column == bindparam("left"))
            )

        def _update_version(self, from_: str, to_: str) -> None:
            if self.context.as_sql:
                super()._update_version(from_, to_)
                return
            assert to_ not in self.heads
            self.heads.remove(from_)
            self.heads.add(to_)
            done = self.context.impl._exec(self._update, params={"left": from_, "reached": to_})
            if done is not None and done.rowcount != 1:
                raise CommandError(
                    f"Online migration expected to match one row when updating {from_!r} to {to_!r}"
                    f" in {self.context.version_table!r}; {done.rowcount} found"
                )

    return HeadMaintainer, ComposedOnce
