"""The page that a report is shown on."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import entrants
from benchmarks.contenders import ALEMBIC, INIT, INIT_PROGRAM, RIVALS
from benchmarks.jobs import Target
from benchmarks.measure import Measured
from benchmarks.per_test import PLUGIN
from benchmarks.report import Outcome, Report, as_text, as_time

# What a user gains, with the times of these entrants; the last one's remark may be in it, too.
_GAINS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Where nothing is pending, `inv db.init` answers in {0} after 1,000 revisions and in {1}"
        " after 5,000; `alembic upgrade head` takes {2} and {3}.",
        (
            ("no-op-1000", INIT.name),
            ("no-op-5000", INIT.name),
            ("no-op-1000", ALEMBIC.name),
            ("no-op-5000", ALEMBIC.name),
        ),
    ),
    (
        "`inv db.recreate` gives a developer an empty database at head in {0}, where dropping,"
        " creating and migrating takes {1}, and each test gets a migrated database of its own in"
        " {2}.",
        (
            ("recreate-1000", entrants.FROM_SPARE),
            ("recreate-1000", entrants.FROM_SCRATCH),
            ("test-database-50", PLUGIN),
        ),
    ),
    (
        "50 replicas that start at once on an empty database are all done in {0}; with"
        " `alembic upgrade head`, {remark}.",
        (
            ("crowd-empty", entrants.crowd_of(INIT_PROGRAM)),
            ("crowd-empty", entrants.crowd_of(ALEMBIC)),
        ),
    ),
)
_HOW = """
## How it was measured

By {command} on {date}: {cores} cores, load {load:.1f} before it began, {versions}.

All commands use one server, the embedded PostgreSQL as `inv db.start` starts it. Each runs once to
warm up, then in turn with the others. A time is the median of the runs, a ratio the quotient of two
medians: less than 1 is faster. A command that takes more than half a minute in all is run three
times.
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
    parts = ["# Benchmarks\n\n", *_losses(report)]
    parts += [f"![How long commands take]({chart})\n\n", *_gains(report)]
    parts.append(
        _HOW.format(
            command=report.command,
            date=report.date,
            cores=report.cores,
            load=report.load,
            versions=versions,
        )
    )
    for outcome in report.outcomes:
        parts += _job(outcome)
    parts.append(_NOTES)
    if report.absent:
        parts.append("\n## Not installed\n\n")
        parts += [f"- {tool}: {reason}\n" for tool, reason in report.absent.items()]
    return "".join((*parts, *_targets(report)))


def _losses(report: Report) -> Iterator[str]:
    """Say what a command of ours has lost, and against whom."""
    lost = []
    for outcome in report.outcomes:
        ours = [one for one in outcome.measured if one.ours and one.seconds]
        best = min(ours, key=lambda one: one.median, default=None)
        rivals = [one for one in outcome.measured if one.name in RIVALS and one.seconds]
        faster = [one for one in rivals if best is not None and one.median < best.median]
        if best is not None and faster:
            times = (f"{_ratio(best.median / one.median)} times `{one.name}`" for one in faster)
            lost.append(f"- {outcome.title}: `{best.name}` takes {', '.join(times)}.\n")
    if lost:
        yield from ("Where others are faster than the fastest of ours:\n\n", *lost, "\n")


def _gains(report: Report) -> Iterator[str]:
    outcomes = {outcome.name: outcome for outcome in report.outcomes}
    for sentence, entrants_of in _GAINS:
        found = [outcomes[job].find(name) if job in outcomes else None for job, name in entrants_of]
        known = [one for one in found if one is not None]
        if len(known) == len(found):
            times = [as_time(one.median) for one in known]
            yield sentence.format(*times, remark=known[-1].remark) + "\n"


def _targets(report: Report) -> Iterator[str]:
    yield "\n## Targets\n\n| Job | Ratio | At most | Measured | | Lower bound |\n"
    yield "|--|--|--|--|--|--|\n"
    for outcome in report.outcomes:
        for target in outcome.targets:
            ratio = outcome.ratio(target.entrant, target.against)
            yield (
                f"| {outcome.title} | `{target.entrant}` / `{target.against}` | {target.at_most} "
                f"| {_ratio(ratio)} | {_verdict(ratio, target)} | {_floor(outcome, target)} |\n"
            )
    yield (
        "\nThe lower bound is the sum of parts of the work that cannot be left out, each measured"
        " alone in the same run.\n"
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
    remarks = any(result.remark or result.absent for result in outcome.measured)
    yield f"\n## {outcome.title}\n\n| Command | Median | Ratio | Runs |{' |' * remarks}\n"
    yield f"|--|--|--|--|{'--|' * remarks}\n"
    for result in outcome.measured:
        row = [_name(result), *_row(outcome, result)]
        yield f"| {' | '.join(row if remarks else row[:-1])} |\n"


def _name(result: Measured) -> str:
    return f"**`{result.name}`**" if result.ours else f"`{result.name}`"


def _row(outcome: Outcome, result: Measured) -> tuple[str, ...]:
    if not result.seconds:
        reason = " ".join(result.absent.split()).replace("|", "\\|")
        return "", "", "0", f"not measured: {reason}"
    ratio = _ratio(outcome.ratio(result.name, outcome.baseline))
    return as_time(result.median), ratio, str(len(result.seconds)), result.remark


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else as_text(ratio)
