"""Measure, and write the page: `python -m benchmarks [--only PATTERN] [--runs N]`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.chart import chart
from benchmarks.jobs import JOBS, Job
from benchmarks.measure import LEAST_RUNS
from benchmarks.page import page
from benchmarks.report import Report, outcome, report
from benchmarks.workshop import Workshop

REPOSITORY = Path(__file__).parents[1]
RESULTS = REPOSITORY / "benchmarks" / "results.json"
PAGE = REPOSITORY / "docs" / "benchmarks.md"
CHART = PAGE.with_suffix(".svg")


def main() -> None:
    """Measure all jobs and write the page, or those named and show them."""
    parser = argparse.ArgumentParser(prog="inv bench", description=main.__doc__)
    parser.add_argument("--only", default="*", metavar="PATTERN", help="jobs, as in no-op-*")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="at least 3")
    parser.add_argument("--update", action="store_true", help="put the jobs of --only on the page")
    parser.add_argument("--render", action="store_true", help="write the page of the last results")
    options = parser.parse_args()
    jobs = [job for job in JOBS if fnmatch(job.name, options.only)]
    if not jobs:
        parser.error(f"no job is named {options.only}: {', '.join(job.name for job in JOBS)}")
    if options.runs < LEAST_RUNS:
        parser.error(f"--runs: at least {LEAST_RUNS}")
    command = "`inv bench" + "".join(
        f" --{name} {value}"
        for name, value in (("only", options.only), ("runs", options.runs))
        if value != parser.get_default(name)
    )
    command += "`"
    if options.render:
        write_page(Report.from_json(RESULTS.read_text()))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # no server is to outlive us
    if len(jobs) == len(JOBS) or options.update:
        for done in measure(jobs, options.runs, command):
            keep(done)  # job by job: a run takes long, and may be cut short
        write_page(Report.from_json(RESULTS.read_text()))
        print(f"{PAGE.relative_to(REPOSITORY)}: written")
    else:
        done = list(measure(jobs, options.runs, command))[-1]
        print(page(done, CHART.name))


def measure(jobs: Sequence[Job], runs: int, command: str) -> Iterator[Report]:
    """Run *jobs* in a temporary folder, on a server of their own; report after each."""
    load = os.getloadavg()[0]
    outcomes = []
    with workshop() as shop:
        for job in jobs:
            started = time.monotonic()
            print(f"{job.name} ...", end=" ", file=sys.stderr, flush=True)
            outcomes.append(outcome(job, job.measure(shop, runs)))
            print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
            yield report(shop, command, load, outcomes)


def keep(done: Report) -> None:
    """Write *done* over the last results; jobs that it does not have keep their figures."""
    measured = {outcome.name: outcome for outcome in done.outcomes}
    versions = done.versions
    if RESULTS.exists():
        last = Report.from_json(RESULTS.read_text())
        measured = {outcome.name: outcome for outcome in last.outcomes} | measured
        versions = last.versions | versions
    outcomes = tuple(measured[job.name] for job in JOBS if job.name in measured)
    whole = len(done.outcomes) == len(JOBS)
    command = "`inv bench`" if whole else "several calls of `inv bench --update`"
    merged = replace(done, command=command, versions=versions, outcomes=outcomes)
    RESULTS.write_text(merged.to_json())


def write_page(done: Report) -> None:
    """Write the page and its chart."""
    CHART.write_text(chart(done))
    PAGE.write_text(page(done, CHART.name))


@contextmanager
def workshop() -> Iterator[Workshop]:
    """Open a workshop for a `with` block, and leave nothing of it."""
    with tempfile.TemporaryDirectory(prefix="db_ops-bench-") as folder:
        shop = Workshop(Path(folder))
        try:
            yield shop
        finally:
            shop.server.stop()


if __name__ == "__main__":
    main()
