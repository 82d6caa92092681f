"""The page that a report is shown on."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.jobs import Target
from benchmarks.measure import Measured
from benchmarks.report import Outcome, Report, as_text

_HEAD = """# Benchmarks

Made by `{command}` on {date}: {cores} cores, load {load:.1f} before it began, {versions}.

Everything runs on one server, the embedded PostgreSQL as `inv db.start` starts it, in turn: each
entrant once to warm up, then again and again in rounds. Times are medians of n runs, a ratio is a
quotient of medians, less than 1 is faster. What takes more than half a minute in all is run three
times.

## Targets

"""
_NOTES = """
## What is compared

- The history is made up, the same each time: tables created; columns, indexes, foreign keys and
  checks added; types widened; data changed. Alembic and Flask-Migrate run the same revision files,
  with the `env.py` that `alembic init` and `flask db init` write. Django runs equivalent
  operations. dbmate and psql run the SQL that Alembic executes.
- `db_ops`, Django, dbmate and psql commit each revision on its own; Alembic and Flask-Migrate all
  of them at once.
- dbmate's program is called without the Node.js wrapper of its npm package, and writes no schema.
- Nothing to do: one database with all of its tables, at head for every tool.
- Start over: until the command has answered. Templates are warm. The next spare is made after the
  answer, and waited for, untimed, before the next run.
- A database for a test: fixture and bare clone in turn in one run of pytest, until the test begins,
  and with what follows the test. The first of each is the warm-up.
- A copy of a database is as many new files as it has tables and indexes, so the file system has a
  say: ext4 without a journal, as small virtual machines have it, looks at every file deleted in the
  last minutes before it gives a new one its number, and a copy takes five times as long there.
- `alembic check` sees less than `inv db.verify` does: they agree here, on a database that agrees.
"""


def page(report: Report, chart: str) -> str:
    """Return the page in Markdown; *chart* is the file of the chart, relative to it."""
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    head = _HEAD.format(
        command=report.command,
        date=report.date,
        cores=report.cores,
        load=report.load,
        versions=versions,
    )
    parts = [head, *_targets(report), f"\n![Ratios, on a logarithmic scale]({chart})\n"]
    for outcome in report.outcomes:
        parts += _job(outcome)
    parts.append(_NOTES)
    if report.absent:
        parts.append("\n## Not installed\n\n")
        parts += [f"- {tool}: {reason}\n" for tool, reason in report.absent.items()]
    return "".join(parts)


def _targets(report: Report) -> Iterator[str]:
    yield "| Job | | at most | measured | | floor |\n|--|--|--|--|--|--|\n"
    for outcome in report.outcomes:
        for target in outcome.targets:
            ratio = outcome.ratio(target.entrant, target.against)
            yield (
                f"| {outcome.title} | `{target.entrant}` vs `{target.against}` | {target.at_most} "
                f"| {_ratio(ratio)} | {_verdict(ratio, target)} | {_floor(outcome, target)} |\n"
            )
    yield (
        "\nThe floor is what parts of the work take that cannot be left out, each measured alone in"
        " the same run.\n"
    )


def _floor(outcome: Outcome, target: Target) -> str:
    floor = outcome.floor(target)
    if floor is None:
        return ""
    return f"{_ratio(floor)}: {', '.join(f'`{part}`' for part in target.floor)}"


def _verdict(ratio: float | None, target: Target) -> str:
    if ratio is None:
        return "not measured"
    return "met" if ratio <= target.at_most else "**not met**"


def _job(outcome: Outcome) -> Iterator[str]:
    yield f"\n## {outcome.title}\n\n| | median | ratio | n | |\n|--|--|--|--|--|\n"
    for result in outcome.measured:
        yield f"| {_name(result)} | {_row(outcome, result)} |\n"


def _name(result: Measured) -> str:
    return f"**`{result.name}`**" if result.ours else f"`{result.name}`"


def _row(outcome: Outcome, result: Measured) -> str:
    if not result.seconds:
        reason = " ".join(result.absent.split()).replace("|", "\\|")
        return f" | | 0 | not measured: {reason}"
    ratio = _ratio(outcome.ratio(result.name, outcome.baseline))
    return f"{_time(result.median)} | {ratio} | {len(result.seconds)} | {result.remark}"


def _time(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.3g} s"


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else as_text(ratio)
