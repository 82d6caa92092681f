"""Render what `--against` has found for a release as text."""

from __future__ import annotations

from collections.abc import Iterator

from db_ops.cli.format import Line, revision_names
from db_ops.cli.terminal import one_line, options
from db_ops.cli.truncation import first_lines
from db_ops.errors.base import place_name
from db_ops.results import ReleaseCheck, ReleaseFinding

_SHOWN = 5
_LONG = 110


def release_lines(check: ReleaseCheck | None) -> Iterator[Line]:
    """Yield how the release gets on: each finding with where, by what, and what to do instead."""
    if check is None:
        return
    count = len(check.pending)
    pending = f"{count} revision{'' if count == 1 else 's'} after it"
    name = one_line(check.reference)
    if not check.pending:
        yield f"{name}: no revision follows it ({revision_names(check.recorded)})", "green"
        return
    tried = f"{check.statements} statements of {check.tables} tables were run"
    if check.findings:
        broken = any(one.certain for one in check.findings)
        verdict = "does not survive" if broken else "may not survive"
        yield f"{name}: {verdict} {pending} ({tried})", "bold red" if broken else "yellow"
    else:
        yield f"{name}: survives {pending} ({tried})", "green"
    for one in check.findings:
        yield from _finding(one, "breaks" if one.certain else "may break")
    for one in check.warnings:
        yield from _finding(one, "later")
    yield from first_lines(map(one_line, check.unchecked), _SHOWN, "note: ", "")


def finding_text(one: ReleaseFinding) -> str:
    """Return a finding in one line, with the revision that does it."""
    by = f" (by {one.revision.id} {one.revision.summary})" if one.revision else ""
    return f"{one.subject}: {one_line(one.what)}{by}"


def _finding(one: ReleaseFinding, label: str) -> Iterator[Line]:
    what = one_line(one.what)
    if len(what) > 2 * _LONG and not options.get().verbose:
        what = f"{what[: 2 * _LONG]}..."
    yield f"{label}: {one.subject}: {what}", "bold red" if one.certain else "yellow"
    where = [f"model {place_name(one.path, one.line)}"] if one.path else []
    if one.revision is not None:
        where.append(f"by {one.revision.id} {one.revision.path}")
    where.append(", ".join(one.operations))
    yield f"    {'; '.join(filter(None, where))}", ""
    yield f"    instead: {one.instead}", ""
