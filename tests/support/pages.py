"""The pages of the documentation, and their command lines as steps that can be run.

A fence of `console` holds `$ command` lines, each followed by what it prints; one of `sh` only
commands. HTML comments, which no reader sees, say the rest: `<!-- run: command -->` prepares what
comes next, `<!-- not run: reason -->` excepts the next fence. A command whose comment says
`# exit 3` ends so; one that prints `error: ` fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.project import REPOSITORY

# Why a command line of a page is not run here.
EXCUSES = {
    "needs Docker",
    "needs a cluster",
    "needs psql",
    "changes how a shell starts",
    "installs from the network",
    "shows another project",
    "runs the tests",
}
_PART = re.compile(
    r"<!-- run: (?P<hidden>.*?) -->|<!-- not run: (?P<excuse>.*?) -->"
    r"|^```(?P<kind>\w+)?[^\n]*\n(?P<body>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
# What differs from run to run, and what stands for it.
_VARYING = (
    (re.compile(r"\d{4}_\d\d_\d\d_\d{4}-[0-9a-f]{12}"), "DATE-ID"),
    (re.compile(r"\d+\.\d\d s"), "N s"),
    (re.compile(r"\d+\.\d MB"), "N MB"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.+]+"), "TIME"),
    (re.compile(r'"seconds": [\d.e-]+'), '"seconds": N'),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"), "MOMENT"),
    (re.compile(r"\([\w-]+@[\w-]+\)"), "(WHO)"),
    (re.compile(r"^(?:/\S+|[\w.]+):\d+/\w+: "), "LOCATION: "),
    (re.compile(r"\b\d+(?:\.\d+)+$"), "VERSION"),
    (re.compile(r" +"), " "),
)


@dataclass(frozen=True)
class Step:
    """One command line, and what the page says that it prints."""

    command: str
    output: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int | None:
        """What it must exit with; None for any failure."""
        told = re.search(r"# exit (\d+)$", self.command)
        if told:
            return int(told[1])
        return None if any(line.startswith("error: ") for line in self.output) else 0

    def missing(self, printed: str) -> str | None:
        """Return the first line of `output` that was not *printed*, in that order."""
        lines = iter([_normal(line) for line in printed.splitlines()])
        for line in self.output:
            pattern = re.escape(_normal(line)).replace(r"\.\.\.", ".*")
            if line.strip() != "..." and not any(re.fullmatch(pattern, got) for got in lines):
                return line
        return None


def pages() -> list[Path]:
    return [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def steps(text: str) -> Iterator[Step]:
    """Yield the steps of a page, in their order."""
    excused = False
    for part in _PART.finditer(text):
        if part["hidden"]:
            yield Step(part["hidden"])
        elif part["excuse"]:
            excused = True
        else:
            if part["kind"] in ("console", "sh") and not excused:
                yield from _steps_of_fence(part["kind"], part["body"])
            excused = False


def excuses(text: str) -> list[str]:
    return [part["excuse"] for part in _PART.finditer(text) if part["excuse"]]


def _steps_of_fence(kind: str, body: str) -> Iterator[Step]:
    lines = body.replace("\\\n", "").splitlines()
    if kind == "sh":
        yield from (Step(line) for line in lines if line.strip())
        return
    command: str | None = None
    output: list[str] = []
    for line in lines:
        if line.startswith("$ "):
            if command is not None:
                yield Step(command, tuple(output))
            command, output = line.removeprefix("$ "), []
        else:
            output.append(line)
    if command is not None:
        yield Step(command, tuple(output))


def _normal(line: str) -> str:
    for pattern, sign in _VARYING:
        line = pattern.sub(sign, line)
    return line.strip()
