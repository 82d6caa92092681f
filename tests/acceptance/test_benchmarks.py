"""The benchmark itself: a tiny job from end to end, and the page that its figures end up on."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from benchmarks import entrants
from benchmarks.__main__ import CHART, PAGE, RESULTS, workshop
from benchmarks.chart import CHARTED, chart
from benchmarks.contenders import INIT_PROGRAM, PSQL, VERIFY, Command
from benchmarks.jobs import JOBS, Target
from benchmarks.measure import Entrant, Measured, side_by_side
from benchmarks.page import page
from benchmarks.report import Outcome, Report, report


def outcome_of(*measured: Measured, targets: tuple[Target, ...] = ()) -> Report:
    """Return the report of a run of one job."""
    job = Outcome("job", "A job", "theirs", measured, targets)
    return Report("`inv bench`", "2026-01-02", 2, 0.5, {"PostgreSQL": "18"}, {}, (job,))


def test_a_job_runs_from_end_to_end() -> None:
    broken = Command("broken", "db_ops", ("db-ops", "no-such-command"))
    with workshop() as shop:
        measured = side_by_side(
            entrants.from_empty(shop, (PSQL, INIT_PROGRAM, broken), 8, 2), runs=1
        )
        project = shop.project(8, 2)
        shop.run(VERIFY, project, "build_8_2")
        assert len(project.scripts) == 8
        done = report(shop, "inv bench", 0.0, [Outcome("x", "X", PSQL.name, tuple(measured))])
    assert [len(result.seconds) for result in measured] == [1, 1, 0]
    assert Report.from_json(done.to_json()) == done
    assert "not measured: broken: exit 2" in page(done, "x.svg")


def test_entrants_take_turns_after_a_warm_up() -> None:
    calls: list[str] = []
    one = Entrant("one", run=lambda: calls.append("one"), prepare=lambda: calls.append("prepare"))
    two = Entrant("two", run=lambda: calls.append("two"), settle=lambda: calls.append("settle"))
    measured = side_by_side([one, two], runs=2)
    assert calls == ["prepare", "one", "two", "settle"] * 3
    assert [len(result.seconds) for result in measured] == [2, 2]


@pytest.mark.parametrize(("seconds", "verdict"), [(0.4, "| met |"), (0.6, "| **not met** |")])
def test_the_page_judges_each_target(seconds: float, verdict: str) -> None:
    shown = page(
        outcome_of(
            Measured("theirs", False, [1.0, 1.0, 9.0]),
            Measured("ours", True, [seconds]),
            targets=(Target("ours", "theirs", 0.5),),
        ),
        "chart.svg",
    )
    assert f"| 0.5 | {seconds:.2f} {verdict}" in shown
    assert f"| **`ours`** | {seconds * 1000:.0f} ms | {seconds:.2f} | 1 |" in shown


def test_what_was_not_measured_is_named_and_met_no_target() -> None:
    done = outcome_of(
        Measured("theirs", False, absent="npm is not on this machine"),
        Measured("ours", True, [1.0]),
        targets=(Target("ours", "theirs", 0.5),),
    )
    shown = page(done, "chart.svg")
    assert "not measured: npm is not on this machine" in shown
    assert "met |" not in shown.replace("not measured |", "")


def test_a_job_whose_baseline_was_not_measured_is_not_drawn_and_promises_no_gain() -> None:
    committed = Report.from_json(RESULTS.read_text())
    nothing = tuple(
        replace(one, measured=tuple(Measured(m.name, m.ours) for m in one.measured))
        for one in committed.outcomes
    )
    done = replace(committed, outcomes=nothing)
    assert "<rect" not in chart(done)
    assert " ms" not in page(done, "x.svg").partition("## How it was measured")[0]


def test_the_page_begins_with_what_lost_against_whom() -> None:
    shown = page(
        outcome_of(
            Measured(PSQL.name, False, [1.0]),
            Measured("ours", True, [2.0]),
            Measured("psql", False, [0.1]),
        ),
        "chart.svg",
    )
    assert shown.split("\n\n")[1:3] == [
        "Where others are faster than the fastest of ours:",
        f"- A job: `ours` takes 2.00 times `{PSQL.name}`.",
    ]
    faster = outcome_of(Measured(PSQL.name, False, [1.0]), Measured("ours", True, [0.5]))
    assert page(faster, "chart.svg").startswith("# Benchmarks\n\n![")


def test_the_page_goes_on_with_chart_and_gains_and_ends_with_targets() -> None:
    shown = PAGE.read_text()
    titles = re.findall(r"^## (.*)$", shown, re.MULTILINE)
    assert (titles[0], titles[-1]) == ("How it was measured", "Targets")
    _, drawn, gains, _ = shown[shown.index("\n\n![") - 1 :].split("\n\n", 3)
    assert drawn == f"![How long commands take]({CHART.name})"
    assert gains.count(".\n") + gains.endswith(".") == 3


def test_a_colour_of_the_chart_is_in_its_legend() -> None:
    drawn = CHART.read_text()
    legend = set(re.findall(r'<path class="(\w+)"', drawn))
    assert legend == set(re.findall(r'<rect class="(\w+)"', drawn)) == {"ours", "base", "other"}
    done = Report.from_json(RESULTS.read_text())
    bars = [name for names in CHARTED.values() for name in names]
    assert drawn.count("<rect") == len(bars)
    known = {one.name for outcome in done.outcomes for one in outcome.measured}
    assert set(bars) <= known


def test_the_committed_figures_are_of_the_jobs_and_targets_there_are() -> None:
    done = Report.from_json(RESULTS.read_text())
    told = [(one.name, one.title, one.baseline, one.targets) for one in done.outcomes]
    assert told == [(job.name, job.title, job.baseline, job.targets) for job in JOBS]


def test_page_and_chart_are_those_of_the_committed_figures() -> None:
    done = Report.from_json(RESULTS.read_text())
    assert PAGE.read_text() == page(done, CHART.name)
    assert CHART.read_text() == chart(done)
