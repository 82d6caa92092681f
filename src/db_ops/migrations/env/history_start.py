"""Whether a revision failed because the history rests on a schema that no revision creates.

Such a history begins with a schema that something else made, such as `create_all` or a dump.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from db_ops.migrations.autogenerate.models import metadatas
from db_ops.migrations.env.diagnostics import diagnostics, reason_of, sqlstate

if TYPE_CHECKING:
    from db_ops.migrations.env.runner import Run

# Undefined table, undefined object (a type, an index, a constraint), invalid schema name.
_UNDEFINED = ("42P01", "42704", "3F000")
# Functions of the server that look a role up, the same in every language.
_ROLE_LOOKUPS = re.compile(r"get_role|DropRole\Z|regrolein\Z")
# What the server quotes is a name; the quotation marks are those of its language.
_QUOTED = re.compile('["«„“「『]\\s?([^"«»„“”「」『』]+?)\\s?["»“”」』]')
_CREATES = re.compile(r"\bcreate[_\s]+(?:unlogged\s+)?table\b|\bcreate_all\b", re.I)


def missing_base(run: Run, revision: str, error: BaseException) -> tuple[str, ...]:
    """Return what *revision* lacked that no revision before it mentions; empty if it lacked none.

    It counts only where the models have it, or where no revision has created a table yet: what
    nobody knows is a slip of the pen.
    """
    names = _undefined(error)
    if not names or run.direction != "upgrade":
        return ()
    before = run.graph.applied((revision,)) - {revision}
    earlier = "\n".join(_source(run, one) for one in before)
    if any(re.search(rf"\b{re.escape(name)}\b", earlier) for name in names):
        return ()
    known = set(_names_in_models(run.metadata))
    if known.isdisjoint(names) and _CREATES.search(f"{earlier}\n{_source(run, revision)}"):
        return ()
    return names


def missing_role(error: BaseException) -> str:
    """Return the name of a role that a statement needs and the server lacks, else an empty text.

    Roles are the server's, not the database's: no bootstrap of a schema could make them.
    """
    said = diagnostics(error)
    if said is None or not _ROLE_LOOKUPS.match(said.function or ""):
        return ""
    return next(iter(_undefined(error)), "")


def _undefined(error: BaseException) -> tuple[str, ...]:
    if type(error).__name__ == "NoSuchTableError":
        # Reflection, which asks the catalogs itself.
        return (str(error).rpartition(".")[2],)
    if sqlstate(error) not in _UNDEFINED:
        return ()
    names = tuple(name.rpartition(".")[2] for name in _QUOTED.findall(reason_of(error)))
    # `constraint "a" of relation "b"`: there is a `b`, so somebody has made what lacks it.
    return names if len(names) == 1 else ()


def _source(run: Run, revision: str) -> str:
    path = run.project.root / run.graph.nodes[revision].revision.path
    return path.read_text(errors="replace")


def _names_in_models(target_metadata: Any) -> Iterator[str]:
    for metadata in metadatas(target_metadata):
        for table in metadata.tables.values():
            yield table.name
            yield from filter(None, (table.schema,))
            parts: Iterable[Any] = (*table.indexes, *table.constraints)
            yield from (str(part.name) for part in parts if part.name)
            for column in table.columns:
                name = getattr(column.type, "name", None)
                if isinstance(name, str):
                    yield name
