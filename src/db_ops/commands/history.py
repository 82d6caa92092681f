"""List the revisions, and when and by whom each was applied."""

from __future__ import annotations

from collections.abc import Iterator

from db_ops.errors import RecordsUnavailable, UsageError
from db_ops.frozen_data import replace
from db_ops.postgres.history.rows import RecordedHistory
from db_ops.results import (
    History,
    HistoryEntry,
    OnEvent,
    Record,
    ignore,
)
from db_ops.settings import Settings
from db_ops.target.ahead import check_known
from db_ops.target.position import Position
from db_ops.target.target import Target, open_target
from db_ops.verification.file_checks import (
    APPLIED,
    file_state,
    missing_files,
)


def history(settings: Settings, *, record: bool = False, on_event: OnEvent = ignore) -> History:
    """Tell of every revision whether it is applied, when, by whom, and in what time.

    Takes no lock, writes nothing, and works without records. With *record*, the present state is
    recorded first, under the migration lock, as what counts from now on: the fingerprint of the
    catalogs, and the revision files as they are. Raises `RecordsUnavailable` where that cannot be
    done, `UnknownRevisions`.
    """
    target = open_target(settings, "history", on_event)
    accepted = _accept(target) if record else False
    current: tuple[str, ...] = ()
    recorded = RecordedHistory(problem="the database does not exist")
    with target.server.target_if_exists() as connection:
        if connection is not None:
            current = target.recorded_on(connection)
            recorded = target.read_records(connection)
    position = Position(target.graph, current, recorded)
    problem = recorded.problem
    if not position.is_known:
        problem = "which of these revisions are applied is not known: " + (
            problem or f"the records do not tell what {', '.join(position.unknown)} follows"
        )
    return History(
        location=target.location,
        exists=connection is not None,
        current=current,
        heads=target.graph.heads,
        entries=_history_entries(target, position),
        problem=problem,
        accepted=accepted,
        ahead=position.ahead,
    )


def _accept(target: Target) -> bool:
    """Record the database and the revision files as they are; False if nothing is applied."""
    with target.migration_lock() as locked:
        current = target.recorded_on(locked)
        check_known(target, current, locked, "a checkout that has them can record them")
        if not current:
            return False
        trouble: list[tuple[str, str]] = []
        records = target.records(locked, lambda *said: trouble.append(said))
        if records is None:
            raise UsageError("records are switched off", "unset DB_OPS_RECORDS, then run it again")
        recorded = target.read_records(locked)
        if records.accept(_records_to_accept(target, current, recorded)) is None:
            raise RecordsUnavailable(target.location, *trouble[0])
    return True


def _records_to_accept(
    target: Target, current: tuple[str, ...], recorded: RecordedHistory
) -> Iterator[Record]:
    """Yield what has to be recorded: files that are gone, files that were edited, and the heads."""
    graph, newest = target.graph, recorded.newest
    for row in newest.values():
        if row.action in APPLIED and row.revision not in graph.nodes:
            yield Record(row.revision, "forget", current)
    for name in sorted(graph.applied(current)):
        node = graph.nodes[name]
        known = file_state(target.project, target.checksums, node, newest.get(name)) == "unchanged"
        if name not in current and not known:
            yield _accepted(target, name, current)
    for name in current:
        yield _accepted(target, name, current)


def _accepted(target: Target, name: str, current: tuple[str, ...]) -> Record:
    node = target.graph.nodes[name]
    checksum = target.checksums.of(target.settings.root / node.revision.path)
    return Record(name, "accept", current, checksum, parents=node.parents)


def _history_entries(target: Target, position: Position) -> tuple[HistoryEntry, ...]:
    graph, recorded = target.graph, position.records
    strangers = dict.fromkeys(
        (
            *reversed(position.beyond),
            *(row.revision for row in missing_files(graph, position.recorded, recorded)),
        )
    )
    return (
        *(_entry(target, name, recorded, applied=True) for name in strangers),
        *(
            _entry(target, name, recorded, applied=name in position.applied)
            for name in reversed(graph.order)
        ),
    )


def _entry(target: Target, name: str, recorded: RecordedHistory, *, applied: bool) -> HistoryEntry:
    node = target.graph.nodes.get(name)
    revision = node.revision if node else None
    row, done = recorded.newest.get(name), recorded.done.get(name)
    entry = HistoryEntry(
        id=name,
        summary=revision.summary if revision else "",
        path=revision.path if revision else None,
        down=node.parents if node else recorded.parents.get(name, ()),
        applied=applied,
        file=file_state(target.project, target.checksums, node, row if applied else None),
    )
    if done is None:
        return entry
    told = ("action", "finished", "seconds", "role", "os_user", "command", "copied", "acting_role")
    return replace(entry, **{name: getattr(done, name) for name in told})
