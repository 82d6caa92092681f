"""The command line: one declaration of the commands for every entry point.

The only room that prints and exits. `collection` holds the Invoke tasks for a project's `tasks.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from db_ops.cli.invoke_tasks import collection

__all__ = ["collection"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        # `db-ops` does without Invoke.
        if name == "collection":
            from db_ops.cli.invoke_tasks import collection

            return collection
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
