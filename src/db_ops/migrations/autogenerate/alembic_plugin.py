"""A plugin of Alembic that leaves our records out of autogenerate, whatever env.py includes.

Alembic 1.18 and newer load it by the package's entry point `alembic.plugins`, for the plain
command as well. Older ones see the records where env.py includes all schemas: then none are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alembic.runtime.plugins import Plugin


def setup(plugin: Plugin) -> None:
    """Register the comparison; Alembic calls this once."""
    from alembic.util import DispatchPriority

    plugin.add_autogenerate_comparator(_without_records, "schema", priority=DispatchPriority.FIRST)


class _PluginModule(ModuleType):
    """What the entry point is: a module; for Alembic 1.18, which iterates over it, a collection."""

    setup = staticmethod(setup)

    def __iter__(self) -> Iterator[ModuleType]:
        yield self


PLUGIN = _PluginModule(__name__)


def is_loaded(autogenerate_plugins: Sequence[str] | None) -> bool:
    """Tell whether Alembic has loaded it, and uses it with this option of `context.configure`."""
    try:
        from alembic.runtime.plugins import Plugin
        from alembic.util import PriorityDispatcher
    except ImportError:
        return False
    used = PriorityDispatcher()
    Plugin.populate_autogenerate_priority_dispatch(
        used, list(autogenerate_plugins or ("alembic.autogenerate.*",))
    )
    return any(
        function is _without_records
        for several in used._registry.values()
        for function, _ in several
    )


def _without_records(context: Any, upgrade_ops: Any, schemas: set[str | None]) -> Any:
    from alembic.util import PriorityDispatchResult

    from db_ops.settings import RECORDS_SCHEMA

    if all(table.schema != RECORDS_SCHEMA for table in context.sorted_tables):
        schemas.discard(RECORDS_SCHEMA)
    return PriorityDispatchResult.CONTINUE
