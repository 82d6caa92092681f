"""The commands: guard, compose, return a result. Each has a room, `db_ops` their names.

What a command does not need is not imported: many of them come here only to find nothing to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from db_ops.operations.raw_alembic import connect_for_alembic

__all__ = ["connect_for_alembic"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from db_ops.operations import raw_alembic

        return getattr(raw_alembic, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
