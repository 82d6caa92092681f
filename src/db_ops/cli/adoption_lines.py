"""What `doctor` and `new` say, as text for people."""

from __future__ import annotations

from collections.abc import Iterator

from db_ops.cli.terminal import door, one_line
from db_ops.cli.words import Line
from db_ops.results import Diagnosis, Scaffolded


def diagnosis(result: Diagnosis) -> Iterator[Line]:
    topic = None
    for finding in result.findings:
        if finding.topic != topic:
            topic = finding.topic
            yield topic, "bold"
        source = f"  ({finding.source})" if finding.source else ""
        style = "bold red" if finding.is_problem else "yellow" if finding.advice else ""
        yield f"  {finding.name:14}  {one_line(finding.value)}{source}", style
        if finding.advice:
            yield f"  {'':14}  -> {finding.advice.replace('inv db.', door())}", style
    problems = sum(finding.is_problem for finding in result.findings)
    plural = "" if problems == 1 else "s"
    yield (f"{problems} problem{plural}", "bold red") if problems else ("no problems", "green")


def scaffolded(result: Scaffolded) -> Iterator[Line]:
    for name in result.written:
        yield f"wrote {name}", "green"
    for step in result.remaining:
        yield f"next: {step}", ""
