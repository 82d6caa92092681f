"""Render `create-migration`, `doctor`, `new` and `diagram` as text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from db_ops.cli.format import Line, schema_file_lines
from db_ops.cli.render.release import release_lines
from db_ops.cli.terminal import one_line
from db_ops.cli.truncation import first_lines
from db_ops.errors.invocation import as_typed
from db_ops.results import Diagnosis, Diagram, MigrationCreated, MigrationRebased, Scaffolded

_OPERATIONS = 15
_SHOWN = 5
_OF_A_KIND = 2


def migration_created_lines(result: MigrationCreated) -> Iterator[Line]:
    yield from first_lines(map(one_line, result.unchecked), _SHOWN, "note: ", "yellow")
    yield from first_lines(map(one_line, result.left_out), _SHOWN, "left out: ", "bold red")
    if result.revision is None:
        yield from first_lines(map(one_line, result.unproven), _SHOWN, "not proven: ", "bold red")
        if result.left_out:
            yield "nothing else differs: no file written", "yellow"
        elif result.unchecked or result.unproven:
            yield "nothing differs in what was compared: no file written", "yellow"
        else:
            yield "models and migrations agree: no file written", "green"
        yield from release_lines(result.release)
        return
    yield result.revision.path, "yellow" if result.exit_code else "green"
    yield from first_lines(map(one_line, result.operations), _OPERATIONS, "  ")
    yield from first_lines(map(one_line, result.losses), _SHOWN, "loses data: ", "bold red")
    yield from first_lines(map(one_line, result.refusals), _SHOWN, "refused: ", "yellow")
    yield from _unsafe(result)
    yield from first_lines(map(one_line, result.todos), _SHOWN, "TODO: ", "bold red")
    yield from first_lines(map(one_line, result.unproven), _SHOWN, "not proven: ", "bold red")
    yield from first_lines(map(one_line, result.kept), _SHOWN, "downgrade: ")
    yield from schema_file_lines(result.schema_file)
    yield from release_lines(result.release)
    if result.todos or result.unproven:
        yield f"complete {result.revision.path}, then run {as_typed('db-ops verify')}", ""
    else:
        yield f"review it, then apply it: {as_typed('db-ops upgrade')}", ""


def _unsafe(result: MigrationCreated) -> Iterator[Line]:
    """Yield what is unsafe, of each kind the first ones: on a large project they are all alike."""
    kinds: dict[str, list[str]] = {}
    for unsafe in result.unsafe:
        text = f"{one_line(unsafe.what)}; instead: {one_line(unsafe.instead)}"
        kinds.setdefault(unsafe.name, []).append(text)
    for name, texts in kinds.items():
        lines = first_lines(texts, _OF_A_KIND, "unsafe: ", "yellow")
        is_cut = len(lines) < len(texts)
        yield from lines[:-1] if is_cut else lines
        if is_cut:
            rest = len(texts) - _OF_A_KIND
            yield f"unsafe: {rest} more of the same kind, {name}: --verbose", "yellow"


def diagnosis_lines(result: Diagnosis) -> Iterator[Line]:
    for topic, group in groupby(result.findings, key=lambda finding: finding.topic):
        findings = list(group)
        width = max(len(finding.name) for finding in findings)
        yield topic, "bold"
        for finding in findings:
            source = f"  ({finding.source})" if finding.source else ""
            style = "bold red" if finding.is_problem else "yellow" if finding.advice else ""
            yield f"  {finding.name:{width}}  {one_line(finding.value)}{source}", style
            if finding.advice:
                yield f"  {'':{width}}  -> {as_typed(finding.advice)}", style
    problems = sum(finding.is_problem for finding in result.findings)
    plural = "" if problems == 1 else "s"
    yield (f"{problems} problem{plural}", "bold red") if problems else ("no problems", "green")


def scaffolded_lines(result: Scaffolded) -> Iterator[Line]:
    for name in result.written:
        yield f"wrote {name}", "green"
    for step in result.remaining:
        yield f"next: {as_typed(step)}", ""


def diagram_lines(result: Diagram) -> Iterator[Line]:
    if result.path is None:
        yield from ((line, "") for line in result.text.splitlines())
    elif result.check and result.changed:
        option = " --revisions" if result.revisions else ""
        yield f"{result.path}: not up to date", "yellow"
        yield as_typed(f"next: db-ops diagram{option} --output {result.path}"), ""
    else:
        done = "written" if result.changed else "up to date"
        yield f"{result.path}: {done}", "green"


def migration_rebased_lines(result: MigrationRebased) -> Iterator[Line]:
    yield f"{result.revision.path}: follows {result.onto} now", "green"
    if result.unasked:
        yield f"note: no database was asked whether it has them: {one_line(result.unasked)}", ""
