"""Write tests/left_out_of_quick.txt: what `inv test` leaves out, to be done in three minutes.

`rest` stands before a test that reaches lines or branches which no quick one does, nor one of the
gate's other steps, and `repeated` before one that does not. Runs all tests and measures each, on
Python 3.12 or newer: half an hour.
"""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from heapq import heapify, heappop, heapreplace
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
REACH = ROOT / "tests" / "support" / "reach.py"
LEFT_OUT = ROOT / "tests" / "left_out_of_quick.txt"
# What three minutes of `inv test` are where each test is measured, and all share two processors.
QUICK_SECONDS = 340
OPTIONS = [
    "-p",
    "tests.support.reach",
    "-o",
    "junit_family=xunit1",
    "--dist=worksteal",
    "-W",
    "ignore::DeprecationWarning",
]
Point = tuple[object, ...]
# Steps of the gate with which `--rest` has nothing in common.
STEPS = "tests/acceptance", "tests/faults"
STARTED = "import os, runpy; 'REACH_FOLDER' in os.environ and runpy.run_path({path!r})\n"


def main() -> None:
    """Measure, choose, write."""
    with TemporaryDirectory() as folder:
        others = [f"--ignore={step}" for step in STEPS]
        seconds = _run(Path(folder), ["tests", *others], (os.cpu_count() or 1) + 1)
        # Two at a time, as in the gate: they kill and wait.
        steps = _run(Path(folder), STEPS, 2)
        reached: dict[str, set[Point]] = defaultdict(set)
        for file in Path(folder).glob("*.json"):
            measured = json.loads(file.read_text())
            reached[measured["test"]].update(map(tuple, measured["points"]))
    # What has failed, or ran in a test that has, is not known.
    passed = {test: points for test, points in reached.items() if test in seconds}
    quick = within(QUICK_SECONDS, choose(passed, seconds, set()), seconds)
    seen = {point for test in (*quick, *steps) for point in reached[test]}
    later = {test: points for test, points in passed.items() if test not in quick}
    rest = set(choose(later, seconds, seen))
    parts = {"rest": rest, "repeated": later.keys() - rest}
    lines = [f"{part} {name}\n" for part in parts for name in left_out(parts[part], seconds)]
    LEFT_OUT.write_text("".join(lines))


def choose(
    reached: dict[str, set[Point]], seconds: dict[str, float], seen: set[Point]
) -> list[str]:
    """Return tests that together reach all but what is *seen*; what brings most is the first."""
    seen = set(seen)
    kept = []
    queue = [(-len(points) / seconds[test], test) for test, points in reached.items()]
    heapify(queue)
    while queue:
        # It never brings more than when it was last asked.
        test = queue[0][1]
        brings = -len(reached[test] - seen) / seconds[test]
        if brings == 0:
            heappop(queue)
        elif brings > queue[0][0]:
            heapreplace(queue, (brings, test))
        else:
            heappop(queue)
            kept.append(test)
            seen |= reached[test]
    return kept


def within(quick: float, tests: list[str], seconds: dict[str, float]) -> list[str]:
    """Return those of *tests* that are done within so many *quick* seconds."""
    done = accumulate(seconds[test] for test in tests)
    return [test for test, until in zip(tests, done, strict=True) if until <= quick]


def left_out(tests: set[str], known: dict[str, float]) -> list[str]:
    """Return the names of *tests*: of all cases of one, its name without them."""
    cases = defaultdict(set)
    for test in known:
        cases[test.partition("[")[0]].add(test)
    whole = {name for name, group in cases.items() if group <= tests}
    return sorted(whole | {test for test in tests if test.partition("[")[0] not in whole})


def _run(folder: Path, tests: Sequence[str], processes: int) -> dict[str, float]:
    """Run *tests*; return the seconds of each that has passed."""
    folder.chmod(0o777)
    started = Path(site.getsitepackages()[0]) / "reach.pth"
    report = folder / "report.xml"
    started.write_text(STARTED.format(path=str(REACH)))
    argv = [sys.executable, "-m", "pytest", *tests, *OPTIONS, f"-n{processes}"]
    try:
        subprocess.run(
            [*argv, f"--junitxml={report}"],
            cwd=ROOT,
            env=os.environ | {"REACH_FOLDER": str(folder)},
        )
    finally:
        started.unlink()
    return {
        f"{case.get('file')}::{case.get('name')}": max(float(case.get("time", 0)), 0.05)
        for case in ElementTree.parse(report).iter("testcase")
        if not len(case)
    }


if __name__ == "__main__":
    main()
