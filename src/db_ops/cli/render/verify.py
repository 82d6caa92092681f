"""Render `verify` as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

from db_ops.cli.format import Line, ahead_text, revision_names, schema_file_lines
from db_ops.cli.render.release import release_lines
from db_ops.cli.terminal import one_line, options, seconds
from db_ops.cli.truncation import first_lines
from db_ops.errors.base import enumerate_names
from db_ops.errors.invocation import as_typed
from db_ops.results import Difference, Verified

_WIDTH = 160
# Lines of differences that are printed whole, and how many of them if there are more.
_WHOLE, _SCREEN = 60, 30
_OPERATIONS = 5
_NOTES = 5


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
    yield from schema_file_lines(result.schema_file)
    yield from difference_lines(result.location, result.differences)
    remedies = (remedy for one in result.differences for remedy in one.remedies or (one.remedy,))
    for remedy in dict.fromkeys(filter(_is_command, remedies)):
        yield f"next: {as_typed(remedy)}", ""
    for line in _notes(result):
        yield line, ""
    yield from release_lines(result.release)


def difference_lines(location: str, differences: Sequence[Difference]) -> Iterator[Line]:
    """Yield the differences, as many as a screen holds; of the rest, how many of each sort."""
    blocks = [list(_difference(location, one)) for one in differences]
    if options.get().verbose or sum(map(len, blocks)) <= _WHOLE:
        yield from chain.from_iterable(blocks)
        return
    shown, lines = 0, 0
    while lines + len(blocks[shown]) <= _SCREEN:
        lines += len(blocks[shown])
        shown += 1
    yield from chain.from_iterable(blocks[:shown])
    rest = differences[shown:]
    sorts = Counter((one.kind, (one.subject or "").partition(" ")[0]) for one in rest)
    said = ", ".join(" ".join(filter(None, (*sort, str(n)))) for sort, n in sorts.most_common())
    yield f"{location}: {len(rest)} more differences ({said}): --verbose", "yellow"


def _difference(location: str, difference: Difference) -> Iterator[Line]:
    yield f"{location}: {one_line(difference.description)}", "yellow"
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
        if len(result.alembic) > _OPERATIONS and not options.get().verbose:
            said = f"{len(result.alembic)} operations: {enumerate_names(result.alembic)}"
        uncounted = result.alembic and not result.differences
        why = " (not counted: what the server built from both is the same)" if uncounted else ""
        yield f"alembic check{why}: {one_line(said)}"
    stale = f"note: {result.baseline} accepts what is no longer there: "
    notes = first_lines(map(one_line, result.stale), _NOTES, stale)
    unchecked = result.unchecked[1:] if result.partial else result.unchecked
    notes += first_lines(map(one_line, unchecked), _NOTES, "note: ")
    yield from (text for text, _ in notes)


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
