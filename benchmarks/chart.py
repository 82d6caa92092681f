"""The chart of a report: how long the commands that people wait for take, for light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from benchmarks import entrants
from benchmarks.contenders import (
    ALEMBIC,
    ALEMBIC_CHECK,
    DBMATE,
    DJANGO,
    FLASK,
    INIT,
    INIT_PROGRAM,
    PSQL,
    VERIFY,
    VERIFY_QUICK,
)
from benchmarks.measure import Measured
from benchmarks.per_test import BARE, PLUGIN
from benchmarks.report import Outcome, Report, as_text, as_time

# What is drawn of each job; the page has tables of all that was measured.
CHARTED = {
    "no-op-1000": (ALEMBIC.name, INIT.name, FLASK.name, DJANGO.name, DBMATE.name),
    "build-1000": (PSQL.name, INIT.name, ALEMBIC.name, FLASK.name, DJANGO.name, DBMATE.name),
    "recreate-1000": (entrants.FROM_SCRATCH, entrants.FROM_TEMPLATE, entrants.FROM_SPARE),
    "crowd-head": (entrants.crowd_of(ALEMBIC), entrants.crowd_of(INIT_PROGRAM)),
    "test-database-50": (BARE, PLUGIN),
    "verify-300": (ALEMBIC_CHECK.name, VERIFY.name, VERIFY_QUICK.name),
}
# As wide as a telephone can show without making the text too small to read.
_WIDTH, _ROW, _BAR = 460, 23, 20
_KINDS = {"ours": "db_ops", "base": "what it is compared with", "other": "another tool"}
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 } .axis { fill: #59636e }
.ours { fill: #7ee2a0 } .base { fill: #a5cdff } .other { fill: #dde1e6 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .axis { fill: #9198a1 }
  .ours { fill: #1a6b35 } .base { fill: #1d4f91 } .other { fill: #434a53 }
}
"""


def chart(report: Report) -> str:
    """Return the chart as SVG: a bar for each time, the longest of a job as wide as the chart."""
    shapes = list(_legend())
    y = 3 * _ROW
    for outcome in report.outcomes:
        drawn = [result for name in CHARTED.get(outcome.name, ()) if (result := outcome.find(name))]
        if not drawn or outcome.find(outcome.baseline) is None:
            continue
        longest = max(result.median for result in drawn)
        shapes.append(_text(0, y, outcome.title, "title"))
        for result in drawn:
            y += _ROW
            shapes += _bar(outcome, result, y, longest)
        y += 2 * _ROW
    height = y - _ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
        f' width="{_WIDTH}" role="img">\n'
        f"<style>{_STYLE}</style>\n" + "\n".join(shapes) + "\n</svg>\n"
    )


def _legend() -> Iterator[str]:
    x = 0
    for kind, meaning in _KINDS.items():
        yield f'<path class="{kind}" d="M{x} 3h14v14h-14z"/>'
        yield _text(x + 20, 15, meaning)
        x += 40 + 7 * len(meaning)
    yield _text(
        0,
        15 + _ROW,
        "Time, and ratio to the blue bar. Each job has its own scale.",
        "axis",
    )


def _bar(outcome: Outcome, result: Measured, y: int, longest: float) -> Iterator[str]:
    base = result.name == outcome.baseline
    kind = "ours" if result.ours else "base" if base else "other"
    width = max(_WIDTH * result.median / longest, 2)
    ratio = outcome.ratio(result.name, outcome.baseline)
    time = as_time(result.median)
    yield f'<rect class="{kind}" x="0" y="{y - 14}" width="{width:.1f}" height="{_BAR}" rx="2"/>'
    yield _text(6, y, result.name)
    value = time if base or ratio is None else f"{time} ({as_text(ratio)})"
    yield _text(_WIDTH - 6, y, value, anchor="end")


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'
