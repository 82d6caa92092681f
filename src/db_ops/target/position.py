"""The position of a database in the revision graph of a checkout that may lack its revisions."""

from __future__ import annotations

from functools import cached_property

from db_ops.frozen_data import FrozenData, field
from db_ops.migrations.revisions.graph import Graph
from db_ops.postgres.history.rows import RecordedHistory
from db_ops.results import Revision


class Position(FrozenData):
    """A database that the version table says to be at `recorded`, seen from the files of `graph`.

    Of the revisions that no file has, the `records` say what they follow. Where that leads back to
    files, it is known what is applied; `is_known` is False where it does not.
    """

    graph: Graph
    recorded: tuple[str, ...]
    records: RecordedHistory = field(default_factory=RecordedHistory)

    @cached_property
    def unknown(self) -> tuple[str, ...]:
        """Those of `recorded` that no file has."""
        return self.graph.unknown(self.recorded)

    @property
    def squashed(self) -> dict[str, str]:
        """Those of `unknown` that were squashed away, and the revision that each is part of now."""
        return {name: into for name in self.unknown if (into := self.graph.squashed.get(name))}

    @cached_property
    def _beyond(self) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
        """Walk from the unknown revisions: those passed, the files reached, and if all led there.

        A history that was squashed begins anew: what it replaced was let go of in the records.
        """
        nodes, parents = self.graph.nodes, self.records.parents
        passed: set[str] = set()
        reached: set[str] = set()
        waiting, led = list(self.unknown), True
        while waiting:
            name = waiting.pop()
            if name in nodes:
                reached.add(name)
            elif name not in passed:
                passed.add(name)
                led = led and name in parents
                waiting.extend(parents.get(name, ()))
        if passed:
            newest = self.records.newest.values()
            reached |= {row.revision for row in newest if row.action == "forget"} & nodes.keys()
        known = (*reached, *(name for name in self.recorded if name in nodes))
        order = {row.revision: row.number for row in self.records.rows}
        names = sorted(passed, key=lambda name: (order.get(name, 0), name))
        return tuple(names), known, led and bool(known)

    @property
    def is_known(self) -> bool:
        """Tell whether it is certain which of the files' revisions are applied."""
        return not self.unknown or (self._beyond[2] and not self.squashed)

    @property
    def known(self) -> tuple[str, ...]:
        """What stands for `recorded` among the files: the newest revisions known to be applied."""
        return self._beyond[1] if self.unknown else self.recorded

    @cached_property
    def applied(self) -> frozenset[str]:
        """The revisions with a file that are applied; only those that are certain to be."""
        return self.graph.applied(self.known)

    @cached_property
    def pending(self) -> tuple[Revision, ...]:
        """The revisions with a file that are not applied; none where that is not known."""
        return self.graph.pending(self.known) if self.is_known else ()

    @cached_property
    def ahead(self) -> tuple[str, ...]:
        """The revisions, oldest first, by which the database is ahead of this checkout.

        None unless everything that this checkout has is applied.
        """
        if not self.unknown or not self.is_known or self.pending:
            return ()
        return self._beyond[0]

    @property
    def beyond(self) -> tuple[str, ...]:
        """The revisions without a file that are known to be applied, oldest first."""
        return self._beyond[0] if self.unknown else ()
