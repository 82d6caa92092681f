"""Render `--plan` as text: each statement, its effects, and what is unsafe about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from db_ops.cli.format import Line, position_text, revision_names
from db_ops.cli.render.release import release_lines
from db_ops.cli.terminal import options
from db_ops.results import Effect, MeasuredRevision, MeasuredStatement, Planned, Script

_WIDTH = 74
# Source: PostgreSQL documentation, "Explicit Locking", table "Conflicting Lock Modes".
_MEANING = {
    "ACCESS EXCLUSIVE": "reads and writes wait",
    "EXCLUSIVE": "writes wait",
    "SHARE ROW EXCLUSIVE": "writes wait",
    "SHARE": "writes wait",
}


def script_lines(result: Script) -> Iterator[Line]:
    """Yield the SQL."""
    for line in result.sql.splitlines():
        yield line, ""


def plan_lines(result: Planned) -> Iterator[Line]:
    """Yield the lines of a plan and their styles."""
    up = result.direction == "upgrade"
    if not result.revisions:
        yield (
            f"{result.location}: {position_text(result.current, result.ahead)}, nothing to do",
            "green",
        )
        yield from release_lines(result.release)
        return
    for number, measured in enumerate(result.revisions, start=1):
        position = f"{number}/{len(result.revisions)}"
        verb = "apply" if up else "revert"
        yield f"{verb} {position}  {measured.revision.id}  {measured.revision.summary}", "bold"
        yield from _revision(measured, result.rows)
    for note in result.notes:
        yield f"note: {note}", ""
    goal = revision_names(result.goal)
    count = len(result.revisions)
    yield (
        f"{result.location}: {count} revision{'' if count == 1 else 's'} from"
        f" {revision_names(result.current)} to {goal}, {_verdict(result)}; nothing was changed",
        "green" if not result.unsafe else "yellow",
    )
    yield from release_lines(result.release)


def _revision(measured: MeasuredRevision, rows: Mapping[str, int]) -> Iterator[Line]:
    if not measured.statements:
        yield "  no statement", ""
    for statement in measured.statements:
        yield f"  {_short(statement.sql)}{_manner(statement)}", ""
        for effect in statement.effects:
            yield f"      {effect.table}: {_what(effect, rows.get(effect.table))}", ""
        for pattern in statement.unsafe:
            yield f"      {pattern.name}: {pattern.what}", "yellow"
            yield f"          instead: {pattern.instead}", ""


def _short(sql: str) -> str:
    text = " ".join(sql.split())
    whole = options.get().verbose or len(text) <= _WIDTH
    return text if whole else f"{text[: _WIDTH - 3]}..."


def _manner(statement: MeasuredStatement) -> str:
    if statement.skipped:
        return "  (not run: it reaches beyond the database)"
    waits = ", waits for transactions that are open" if statement.waits else ""
    alone = "outside of a transaction" if statement.transaction is None else ""
    return f"  ({alone}{waits})" if alone else ""


def _what(effect: Effect, rows: int | None) -> str:
    parts = []
    if effect.lock:
        meaning = _MEANING.get(effect.lock)
        parts.append(effect.lock + (f" ({meaning})" if meaning else ""))
    elif effect.held:
        parts.append(f"{effect.held} held since an earlier statement")
    if effect.rewritten:
        parts.append("rewritten")
    if effect.scanned:
        parts.append("every row read")
    if effect.indexes:
        parts.append(f"builds {', '.join(effect.indexes)}")
    heavy = effect.scanned or effect.rewritten
    if heavy and rows is not None:
        parts.append(f"about {rows:,} rows")
    return ", ".join(parts)


def _verdict(result: Planned) -> str:
    count = len(result.unsafe)
    if not count:
        return "nothing unsafe found"
    return f"{count} unsafe thing{'' if count == 1 else 's'} found"
