"""Say what a release does not survive, and which steps it would survive."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from db_ops.generation.release_changes import (
    KINDS,
    Name,
    ReleaseSchemas,
    differs,
    has_constraint,
    has_label,
    is_narrower,
    is_new,
    lacks_label,
    new_constraints,
    unfilled,
)
from db_ops.postgres.relation_facts import RelationFacts, find_relation
from db_ops.results import ReleaseFinding, Revision

_NOT_FILLED = "23502"
_WRITES = ("INSERT", "UPDATE")
_AFTER = "in a revision after that runs everywhere"


@dataclass
class ReleaseFindings:
    """The findings for one release; `places` are where its models declare tables and columns."""

    schemas: ReleaseSchemas
    places: Mapping[Name, Mapping[str, Sequence[Any]]] = field(default_factory=dict)

    def of(self, said: Mapping[str, Any]) -> Iterator[ReleaseFinding]:
        """Yield the findings for one table of which `ReleaseStatements.after` has *said* what."""
        schema, table = said["name"]
        name: Name = (schema, table)
        before = find_relation(self.schemas.old, *name)
        assert before is not None
        after = find_relation(self.schemas.new, *name)
        operations = tuple(said.get("operations", ()))
        if after is None:
            yield self._gone_table(name, before, operations)
            return
        for column in said["gone"]:
            yield self._gone_column(name, before, column, operations)
        failures = [one for one in said["failures"] if not _is_of_reading(one)]
        yield from self._types(name, before, after, said)
        yield from self._unfilled(name, before, after, failures)
        yield from self._labels(name, failures)
        yield from self._constraints(name, before, after, failures)
        yield from self._others(name, before, after, failures)

    def added_labels(self) -> Iterator[ReleaseFinding]:
        """Yield the columns that a newer release may write values to which this one cannot read."""
        for name, before, after in self.schemas.tables():
            for column in sorted(self.schemas.known[name] & after.columns.keys()):
                known = self.schemas.enums.get((name, column))
                labels = after.columns[column].labels
                added = [one for one in labels if one not in before.columns[column].labels]
                added = [one for one in added if known is not None and one not in known]
                if not added or not before.columns[column].labels:
                    continue
                yield self._finding(
                    name,
                    column,
                    f"once a newer release writes {_listed(added)}, reading it raises LookupError:"
                    " the enum of the models has no such value",
                    "release first what reads the new values, and what writes them after that"
                    " runs everywhere",
                    ("SELECT",),
                    partial(has_label, column, added[0]),
                    certain=False,
                )

    def _gone_table(
        self, name: Name, before: RelationFacts, operations: tuple[str, ...]
    ) -> ReleaseFinding:
        moved = self.schemas.now(before)
        what = "the table is gone"
        instead = f"release first what no longer reads or writes it, and drop it {_AFTER}"
        if moved is not None:
            what = f"the table is called {moved.display} now"
            view = f"CREATE VIEW {before.display} AS SELECT * FROM {moved.display}"
            instead = (
                f"leave a view of the old name in the same revision ({view}), and drop it once no"
                " release uses that name"
            )
        return self._finding(name, "", what, instead, operations, lambda r: r is None)

    def _gone_column(
        self, name: Name, before: RelationFacts, column: str, operations: tuple[str, ...]
    ) -> ReleaseFinding:
        number = before.columns[column].number
        moved = self.schemas.now(before)
        renamed = moved and moved.column_at(number)
        if renamed:
            what = f"the column is called {renamed} now"
            instead = (
                f"add {renamed} beside it, let a release write both, copy the values, let the next"
                f" one read {renamed} alone, and drop {column} after that runs everywhere"
            )
        else:
            what = "the column is gone"
            instead = (
                "release first what no longer reads or writes it (if it is NOT NULL without a"
                f" default, drop NOT NULL before), and drop it {_AFTER}"
            )
        return self._finding(
            name, column, what, instead, operations, lambda r: r is None or column not in r.columns
        )

    def _types(
        self, name: Name, before: RelationFacts, after: RelationFacts, said: Mapping[str, Any]
    ) -> Iterator[ReleaseFinding]:
        beside = (
            "add a column of the new type beside it, let a release write both, copy the values, let"
            " the next one read the new column alone, and drop the old one after that"
        )
        unreadable, types = said["unreadable"], said["types"]
        for column in sorted(self.schemas.known[name] & after.columns.keys()):
            old, new = before.columns[column].type, after.columns[column].type
            changed = f"{old} is {new} now: " if old != new else ""
            what, instead = "", beside
            operations: tuple[str, ...] = ("SELECT",)
            if column in unreadable:
                what = f"{changed}reading it fails: {unreadable[column]}"
            elif column in types:
                was, now = types[column]
                what = f"{changed}it reads {' or '.join(now)}, and {' or '.join(was)} before"
            elif is_narrower(old, new):
                what, operations = f"{changed}values that do not fit are refused or cut", _WRITES
                instead = f"release first what keeps to it, and narrow it {_AFTER}"
            if what:
                yield self._finding(
                    name,
                    column,
                    what,
                    instead,
                    operations,
                    differs(before, column, "type"),
                    certain=column in unreadable or column in types,
                )

    def _unfilled(
        self,
        name: Name,
        before: RelationFacts,
        after: RelationFacts,
        failures: Sequence[Mapping[str, str]],
    ) -> Iterator[ReleaseFinding]:
        failed = {one["column"] for one in failures if one["sqlstate"] == _NOT_FILLED}
        added = after.columns.keys() - before.columns.keys()
        if failed & added:
            # The server names one of them.
            failed |= set(unfilled(before, after))
        for column in sorted(failed & after.columns.keys()):
            number = after.columns[column].number
            if column in added and before.oid == after.oid and before.column_at(number):
                continue  # it has another name, which is told
            if column in added:
                what = (
                    "the new column is NOT NULL without a default, and its INSERTs do not fill it"
                )
                instead = (
                    "add it with a server default, or nullable; SET NOT NULL, and drop the default,"
                    " in a revision after the release that fills it runs everywhere"
                )
            elif not before.columns[column].required:
                what = "the column is NOT NULL now, and its INSERTs may leave it empty"
                instead = (
                    "release first what always fills it, or give it a server default; SET NOT NULL"
                    " in a revision after that runs everywhere"
                )
            elif before.columns[column].default and not after.columns[column].default:
                what = "its default is gone, and its INSERTs rely on that"
                instead = f"release first what fills it itself, and drop the default {_AFTER}"
            else:
                continue
            facts = differs(before, column, "required", "default")
            certain = "may leave" not in what
            yield self._finding(name, column, what, instead, ("INSERT",), facts, certain=certain)

    def _labels(
        self, name: Name, failures: Sequence[Mapping[str, str]]
    ) -> Iterator[ReleaseFinding]:
        lost: dict[str, list[str]] = {}
        for one in failures:
            if "label" in one:
                lost.setdefault(one["column"], []).append(one["label"])
        for column, labels in lost.items():
            yield self._finding(
                name,
                column,
                f"the type has {_listed(labels)} no longer, which the models write",
                f"release first what no longer writes it, and take it away {_AFTER}",
                _WRITES,
                partial(lacks_label, column, labels[0]),
            )

    def _constraints(
        self,
        name: Name,
        before: RelationFacts,
        after: RelationFacts,
        failures: Sequence[Mapping[str, str]],
    ) -> Iterator[ReleaseFinding]:
        failed: dict[str, list[str]] = {}
        for failure in failures:
            if failure["constraint"]:
                failed.setdefault(failure["constraint"], []).append(failure["operation"])
        possible = new_constraints(before, after, self.schemas.known[name])
        for one in after.constraints:
            proven = one.name in failed and is_new(one, before, after)
            if not proven and one not in possible:
                continue
            names = [column for column in after.names(one) if column in self.schemas.known[name]]
            # Another value of a column that it writes might do.
            certain = proven and not names
            verb = "refuses" if certain else "may refuse"
            yield self._finding(
                name,
                names[0] if len(names) == 1 else "",
                f"the new {KINDS[one.kind]} {one.name} {verb} what it writes: {one.definition}",
                f"release first what keeps to it, and add it {_AFTER}",
                tuple(dict.fromkeys(failed.get(one.name, ()))) or _WRITES,
                partial(has_constraint, one.name),
                certain=certain,
            )

    def _others(
        self,
        name: Name,
        before: RelationFacts,
        after: RelationFacts,
        failures: Sequence[Mapping[str, str]],
    ) -> Iterator[ReleaseFinding]:
        retyped = [
            column
            for column in sorted(self.schemas.known[name] & after.columns.keys())
            if before.columns[column].type != after.columns[column].type
        ]
        told: dict[str, list[str]] = {}
        for one in failures:
            kind = one["sqlstate"][:2]
            of_rows = kind == "23" or (kind == "22" and not retyped)
            if not of_rows and "label" not in one:
                told.setdefault(one["message"], []).append(one["operation"])
        for message, operations in told.items():
            yield self._finding(
                name,
                retyped[0] if len(retyped) == 1 else "",
                f"{operations[0]} fails: {message}",
                f"release first what does without it, and change this {_AFTER}",
                tuple(dict.fromkeys(operations)),
                lambda r: r != before,
            )

    def _finding(
        self,
        name: Name,
        column: str,
        what: str,
        instead: str,
        operations: tuple[str, ...],
        is_done: Callable[[RelationFacts | None], object],
        *,
        certain: bool = True,
    ) -> ReleaseFinding:
        table = name[1] if name[0] in (None, "public") else f"{name[0]}.{name[1]}"
        places = self.places.get(name, {})
        path, line, code = places.get(column) or places.get("") or (None, None, "")
        subject = f"{table}.{column}" if column else table
        by = self._revision(name, is_done)
        return ReleaseFinding(subject, what, instead, operations, certain, by, path, line, code)

    def _revision(
        self, name: Name, is_done: Callable[[RelationFacts | None], object]
    ) -> Revision | None:
        """Return the revision after which it is so until the end."""
        found = None
        for revision, relations in reversed(self.schemas.steps):
            if not is_done(find_relation(relations, *name)):
                break
            found = revision
        return found


def _is_of_reading(failure: Mapping[str, str]) -> bool:
    return failure["operation"] == "SELECT" and not failure["sqlstate"]


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(repr(one) for one in labels)
