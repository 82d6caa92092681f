"""Render `verify` as text."""

from __future__ import annotations

from collections.abc import Iterator

from db_ops.cli.format import Line, ahead_text, revision_names
from db_ops.cli.terminal import one_line, seconds
from db_ops.errors.invocation import as_typed
from db_ops.results import Difference, Verified

_WIDTH = 160


def verified_lines(result: Verified) -> Iterator[Line]:
    """Yield the lines of the report: differences, then what settles them, then notes."""
    if result.partial:
        yield f"{result.location}: compared in part only: {one_line(result.unchecked[0])}", "yellow"
    if result.ahead:
        as_recorded = "" if result.differences else ", catalogs as recorded"
        said = f"at {revision_names(result.current)}, ahead {ahead_text(result.ahead)}{as_recorded}"
        yield f"{result.location}: {said}", "yellow" if result.exit_code else "green"
    if result.agrees:
        agree = "models, migrations and database agree"
        if result.ahead:
            agree = "models and migrations agree"
        elif result.partial:
            agree = "alembic check finds no difference, and the catalogs are as they were recorded"
        yield f"{result.location}: {agree} at {revision_names(result.heads)}", "green"
    elif not result.differences:
        yield f"{result.location}: {_unproven(result)}", "yellow"
    for difference in result.differences:
        yield f"{result.location}: {one_line(difference.description)}", "yellow"
        for side, value in _abridged(difference):
            yield f"    {side:<11} {value}", ""
        for remedy in difference.remedies:
            if not _is_command(remedy):
                # A routine's text has to be run as it stands, with its lines.
                first, *rest = map(one_line, remedy.expandtabs().splitlines())
                loss = "  (loses data)" if difference.loses_data else ""
                yield f"    undo it     {first}{'' if rest else loss}", ""
                for number, line in enumerate(rest, start=1):
                    yield line + (loss if number == len(rest) else ""), ""
    remedies = (remedy for one in result.differences for remedy in one.remedies or (one.remedy,))
    for remedy in dict.fromkeys(filter(_is_command, remedies)):
        yield f"next: {as_typed(remedy)}", ""
    for line in _notes(result):
        yield line, ""


def verified_details(result: Verified) -> Iterator[Line]:
    """Yield what is told only when asked for: what is silenced, and how long it all took."""
    for silenced in result.silenced:
        yield f"silenced: {one_line(silenced.subject)}: {silenced.reason}", ""
    for part, taken in result.seconds.items():
        how = f" ({result.sides[part]})" if part in result.sides else ""
        yield f"time: {part}{how} {seconds(taken)}", ""


def _notes(result: Verified) -> Iterator[str]:
    if result.accepted is not None:
        yield f"{result.accepted} differences accepted, review them: {result.baseline}"
    how = ", ".join(f"{side} from {origin}" for side, origin in sorted(result.sides.items()))
    yield f"compared: {how}" if how else "compared: only revision files"
    if result.alembic is not None:
        said = "; ".join(result.alembic) or "no new operations"
        uncounted = result.alembic and not result.differences
        why = " (not counted: what the server built from both is the same)" if uncounted else ""
        yield f"alembic check{why}: {one_line(said)}"
    for subject in result.stale:
        yield f"note: {result.baseline} accepts what is no longer there: {one_line(subject)}"
    for unchecked in result.unchecked[1:] if result.partial else result.unchecked:
        yield f"note: {one_line(unchecked)}"


def _unproven(result: Verified) -> str:
    """Say why nothing found is not enough."""
    if result.alembic is None:
        why = "alembic check could not run"
    elif result.alembic:
        why = "alembic check would change something"
    else:
        drift = result.drift
        changed = "they are not as they were recorded at the head"
        reason = drift.reason if drift and drift.reason else changed
        why = f"the catalogs prove nothing: {reason}"
    return f"no difference in what was compared, which proves no agreement: {why}"


def _abridged(difference: Difference) -> Iterator[Line]:
    """Yield what each side has in one line, long texts from the first line that differs."""
    texts = {side: (value or "").split("\n") for side, value in difference.values.items()}
    same = 0
    if all(len(lines) > 1 for lines in texts.values()):
        while len({lines[same] if same < len(lines) else "" for lines in texts.values()}) == 1:
            same += 1
            if all(same >= len(lines) for lines in texts.values()):
                break
    for side, value in difference.values.items():
        if value is None:
            yield side, "none"
            continue
        shown = one_line(" ".join(part.strip() for part in texts[side][same:])) or "there"
        yield (
            side,
            f"{'... ' if same else ''}{shown[:_WIDTH]}{'...' if len(shown) > _WIDTH else ''}",
        )


def _is_command(remedy: str) -> bool:
    return remedy.startswith(("db-ops ", "alembic ", "check out ", "find the ", "run the "))
