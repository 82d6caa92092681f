"""Compare the schema of the database with the one that the migrations make up to a revision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, product
from typing import TYPE_CHECKING

from db_ops.builds.built_schema import read_built_schema, read_schema_on
from db_ops.builds.scratch import ScratchDatabases
from db_ops.errors import MigrationFailed
from db_ops.frozen_data import FrozenData, replace
from db_ops.migrations.autogenerate.scope import AutogenerateScope
from db_ops.migrations.env.run_env import load_models
from db_ops.postgres.catalog import default_schema
from db_ops.postgres.schema.compare import shape
from db_ops.postgres.schema.identifiers import unquoted_parts
from db_ops.postgres.schema.objects import Schema
from db_ops.results import Difference, Event, RevisionFinished
from db_ops.target.apply import apply_pending
from db_ops.target.target import Target
from db_ops.verification.baseline import Rules, read_rules
from db_ops.verification.report import ComparedSchemas, build_report
from db_ops.verification.untracked_tables import tables_of_service

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


@dataclass(frozen=True)
class RevisionComparison:
    """The schema of a database, to be compared with those that revisions make.

    What the rules of `verify` and the filters of env.py leave out does not count, nor do `others`:
    tables that neither models nor revisions create.
    """

    database: Schema
    rules: Rules
    scope: AutogenerateScope
    others: tuple[str, ...]

    @classmethod
    def of(cls, target: Target, connection: Connection) -> RevisionComparison:
        """Read the database that *connection* is to."""
        database = read_schema_on(target, connection)
        ours, unread = tables_of_service(target, default_schema(connection))
        there = (name for kind, name in database.objects if kind == "table")
        others = () if unread else (one for one in there if _plain(one) not in ours)
        rules = read_rules(target.settings.root, target.project.script_location)
        scope = load_models(target.project, target.scripts)[1]
        return cls(database, rules, scope, tuple(sorted(others)))

    def differences(self, built: Schema) -> tuple[Difference, ...]:
        """Return in what the database differs from what was *built* up to a revision."""
        schemas = ComparedSchemas(None, built, self.database)
        report = build_report(schemas, self.rules, behind=False, ahead=False, scope=self.scope)
        left_out = {f"table {name}" for name in self.others}
        # What the migrations themselves do not validate.
        left_out |= {
            f"{one.kind} {one.name}: validity"
            for one in built.objects.values()
            if one.attributes.get("validity") == "NOT VALID"
        }
        return tuple(_told(one) for one in report.differences if one.subject not in left_out)

    def place(self, heads: Iterable[str], built: Schema) -> Place:
        """Return the place *heads*, up to which *built* was built.

        A table that only one side has is as far away as all that falls with it, an index or a
        constraint that only has another name half as far as one that is not there.
        """
        differences = self.differences(built)
        parts = Counter(
            f"table {one.parent}"
            for schema in (built, self.database)
            for one in schema.objects.values()
        )
        distance = sum(2 + 2 * parts[one.subject or ""] for one in differences)
        distance -= 3 * (_unnamed(built, self.database) & _unnamed(self.database, built)).total()
        return Place(tuple(sorted(heads)), differences, distance)


class Place(FrozenData):
    """A state that the migrations pass through, by what is recorded then, and how far away it is.

    `distance` weighs the differences: what they stand for in all.
    """

    heads: tuple[str, ...]
    differences: tuple[Difference, ...]
    distance: int


def nearest_places(target: Target, comparison: RevisionComparison) -> tuple[Place, ...]:
    """Return which of the places that the migrations pass through are nearest to the database.

    Several where revisions change nothing that the catalogs hold. Each branch is walked once, from
    the best place in those before it: branches that have no table in common do not change what the
    others differ in. Raises `NoScratchDatabase`, `RebuildFailed`.
    """
    found: list[tuple[Place, ...]] = []
    start: tuple[str, ...] = ()
    try:
        with ScratchDatabases(target) as scratch:
            for head in target.graph.heads:
                places = tuple(_walk(target, scratch, comparison, start, head))
                nearest = min(one.distance for one in places)
                found.append(tuple(one for one in places if one.distance == nearest))
                start = found[-1][-1].heads
    except MigrationFailed as error:
        raise replace(error.of_rebuild(), location=target.location) from error
    graph, last = target.graph, found[-1][-1]
    return tuple(
        replace(last, heads=tuple(sorted(graph.tips(graph.applied(chain(*named))))))
        for named in product(*([place.heads for place in places] for places in found))
    )


def _walk(
    target: Target,
    scratch: ScratchDatabases,
    comparison: RevisionComparison,
    start: tuple[str, ...],
    head: str,
) -> Iterator[Place]:
    """Yield the places from *start* to *head*, one after each revision."""
    graph = target.graph
    with scratch.migrated_database(start) as (work, _):
        applied = set(graph.applied(work.recorded()))
        places = [comparison.place(graph.tips(applied), read_built_schema(work))]

        def on_event(event: Event) -> None:
            target.server.on_event(event)
            if isinstance(event, RevisionFinished) and not several:
                reached(event.step.revision.id)

        def reached(revision: str) -> None:
            applied.add(revision)
            places.append(comparison.place(graph.tips(applied), read_built_schema(work)))

        # Each table, and the schema that it is of, goes all the way before the next one.
        several = bool(target.project.tables)
        watched = work.at(replace(work.server, on_event=on_event))
        pending = graph.pending(applied, (head,))
        if several:
            for revision in pending:
                apply_pending(watched, graph.tips(applied), (revision.id,))
                reached(revision.id)
        else:
            apply_pending(watched, graph.tips(applied), (head,))
    yield from places


def _unnamed(schema: Schema, other: Schema) -> Counter[tuple[str, str | None, str]]:
    """Return the indexes and constraints that *other* does not have, without their names."""
    return Counter(
        (one.kind, one.parent, shape(one))
        for key, one in schema.objects.items()
        if one.kind in ("index", "constraint") and key not in other.objects
    )


def _plain(name: str) -> str:
    return ".".join(unquoted_parts(name))


def _told(difference: Difference) -> Difference:
    """Return *difference* without a remedy: which side is wrong is what is to be found out."""
    values = difference.values
    said = "differs from what the migrations make"
    if values.get("migrations") is None:
        said = "the migrations do not make it"
    elif values.get("database") is None:
        said = "the database does not have it"
    description = f"{difference.subject}: {said}"
    return Difference("revision", description, "", difference.subject, values)
