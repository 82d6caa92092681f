"""Render `history`, `verify --quick` and `status` as text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from db_ops.cli.format import Line, ahead_text, position_text, revision_names
from db_ops.cli.terminal import seconds
from db_ops.errors.invocation import as_typed
from db_ops.results import Drift, History, HistoryEntry, Pending, QuicklyVerified, Status

_DONE = {
    "upgrade": "applied",
    "downgrade": "reverted",
    "stamp": "stamped",
    "unstamp": "stamp removed",
    "accept": "edited file accepted",
    "forget": "missing file accepted",
}


def history_lines(result: History) -> Iterator[Line]:
    if result.accepted:
        yield f"{result.location}: the present state is recorded", "green"
    yield f"{result.location}: {position_text(result.current, result.ahead)}", "bold"
    if result.problem:
        yield f"note: {result.problem}", "yellow"
    following = [entry.id for entry in result.entries[1:]] + [""]
    for entry, next_id in zip(result.entries, following, strict=True):
        mark = "*" if entry.id in result.current else "|" if entry.applied else " "
        yield f"{mark} {entry.id}  {entry.summary}{_follows(entry, next_id)}", ""
        told = _recorded(entry)
        if told:
            yield f"{'|' if entry.applied else ' '}     {told}", _style(entry)


def quickly_verified_lines(result: QuicklyVerified) -> Iterator[Line]:
    where = position_text(result.current, result.ahead)
    if result.agreed:
        since = _since(result.drift)
        yield f"{result.location}: {where}, catalogs as recorded {since}", "green"
        return
    if not result.heads_are_meant:
        yield f"{result.location}: several heads: {', '.join(result.heads)}", "yellow"
    if result.ahead:
        yield f"{result.location}: {where}", "yellow"
    for revision in result.unknown if not result.ahead else ():
        yield f"{result.location}: at {revision}, which this checkout does not have", "yellow"
    for revision in result.pending:
        yield f"{result.location}: {revision} is not applied", "yellow"
    if result.drift.state != "equal":
        yield f"{result.location}: catalogs {_drift_text(result.drift)}", "yellow"
    if result.next_command:
        yield f"next: {as_typed(result.next_command)}", ""


def _drift_text(drift: Drift) -> str:
    """Say whether the catalogs are as recorded."""
    if drift.state == "equal":
        return f"none since {_since(drift)}"
    if drift.state == "changed":
        return f"changed since {_since(drift)}"
    return f"unknown: {drift.reason}"


def _drift_style(drift: Drift) -> str:
    return {"equal": "", "changed": "yellow"}.get(drift.state, "")


def _written(pending: Pending) -> str:
    """Say how old a revision is, and whose."""
    said = [_age(pending.created)] if pending.created else []
    said += [f"by {pending.author}"] if pending.author else []
    return f"  ({', '.join(said)})" if said else ""


def _since(drift: Drift) -> str:
    return f"{_moment(drift.since)} by {drift.by}" if drift.since else ""


def _recorded(entry: HistoryEntry) -> str:
    said = []
    if entry.action and entry.finished:
        user = f" ({entry.os_user})" if entry.os_user else ""
        where = ", copied" if entry.copied else ""
        took = f" in {seconds(entry.seconds)}" if entry.seconds is not None else ""
        role = f"{entry.role} as {entry.acting_role}" if entry.acting_role else entry.role
        done = f"{_DONE.get(entry.action, entry.action)} {_moment(entry.finished)}{took}"
        said.append(f"{done} by {role}{user}{where}")
    elif entry.applied:
        said.append("applied, without a record")
    if entry.file in ("edited", "missing"):
        said.append(f"file {entry.file} since")
    return "; ".join(said)


def _style(entry: HistoryEntry) -> str:
    return "yellow" if entry.file in ("edited", "missing") else ""


def _follows(entry: HistoryEntry, next_id: str) -> str:
    """Say what an entry follows, where it is not the one on the next line."""
    if not entry.down or entry.down == (next_id,):
        return ""
    return f"  (follows {', '.join(entry.down)})"


def _moment(text: str | None) -> str:
    # UTC, as everything on servers; the JSON document has the whole of it.
    return datetime.fromisoformat(text or "").strftime("%Y-%m-%d %H:%M UTC")


def _age(text: str) -> str:
    created = datetime.fromisoformat(text)
    days = (datetime.now(created.tzinfo) - created).days
    if days < 1:
        return "today"
    return f"{days} day{'s' * (days > 1)} old"


def status_lines(result: Status) -> Iterator[Line]:
    yield f"database     {result.location}", "bold"
    if result.exists:
        yield f"server       PostgreSQL {result.server_version}", ""
        yield f"environment  {result.environment}, database {_marked(result)}", ""
        yield f"current      {revision_names(result.current)}", ""
    else:
        yield f"environment  {result.environment}", ""
        yield "current      the database does not exist", "yellow"
    yield f"head         {revision_names(result.heads)}", ""
    if result.ahead:
        style = "yellow" if result.ahead_is_different else ""
        yield f"ahead        {ahead_text(result.ahead)}", style
    for revision in result.unknown if not result.ahead else ():
        into = result.squashed.get(revision)
        why = f"was squashed into {into}" if into else "this checkout does not have"
        yield f"unknown      {revision}, which {why}", "yellow"
    for pending in result.pending:
        yield f"pending      {pending.id}  {pending.summary}{_written(pending)}", "yellow"
    if result.exists:
        yield f"drift        {_drift_text(result.drift)}", _drift_style(result.drift)
    if result.next_command:
        yield f"next         {as_typed(result.next_command)}", "bold"
    elif result.ahead and result.ahead_is_different:
        yield "not up to date: what is ahead counts as different (ahead_is_different)", "yellow"
    elif result.ahead:
        yield "nothing to do", "green"
    elif result.up_to_date:
        yield "up to date", "green"


def _marked(result: Status) -> str:
    return f"marked {result.mark}" if result.mark else "not marked"
