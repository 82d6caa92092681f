"""The chart of a report: a bar for each ratio, on a logarithmic scale, for light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import ceil, floor, log10

from benchmarks.report import Outcome, Report, as_text

_LABELS, _PLOT, _MARGIN, _LINE = 350, 450, 60, 18
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 } .axis { fill: #59636e }
.decade { stroke-dasharray: 2 4 } line { stroke: #8c959f }
.ours { fill: #1a7f37 } .other { fill: #8c959f }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .axis { fill: #9198a1 }
  line { stroke: #656c76 } .ours { fill: #3fb950 } .other { fill: #656c76 }
}
"""


def chart(report: Report) -> str:
    """Return the chart as SVG."""
    bars = [(outcome, list(_bars(outcome))) for outcome in report.outcomes]
    ratios = [ratio for _, group in bars for _, _, ratio in group] or [1.0]
    low, high = min(-1, floor(log10(min(ratios)))), max(1, ceil(log10(max(ratios))))

    def place(ratio: float) -> float:
        return _LABELS + _PLOT * (log10(ratio) - low) / (high - low)

    shapes, y = [], 2 * _LINE
    for outcome, group in bars:
        if not group:
            continue
        shapes.append(_text(0, y, f"{outcome.title}, against {outcome.baseline}", "title"))
        for name, ours, ratio in group:
            y += _LINE
            left, right = sorted((place(1), place(ratio)))
            kind = "ours" if ours else "other"
            shapes.append(_text(_LABELS - 8, y, name, anchor="end"))
            shapes.append(
                f'<rect class="{kind}" x="{left:.1f}" y="{y - 11}" '
                f'width="{max(right - left, 1):.1f}" height="13"/>'
            )
            shapes.append(_text(right + 5, y, as_text(ratio)))
        y += 2 * _LINE
    axis = [
        f'<line x1="{place(10**power):.1f}" x2="{place(10**power):.1f}" y1="20" y2="{y - _LINE}" '
        f'class="{"one" if power == 0 else "decade"}"/>'
        for power in range(low, high + 1)
    ]
    axis += [
        _text(place(10**power), 12, f"{10.0**power:g}", "axis", anchor="middle")
        for power in range(low, high + 1)
    ]
    width = _LABELS + _PLOT + _MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}">\n'
        f"<style>{_STYLE}</style>\n" + "\n".join([*axis, *shapes]) + "\n</svg>\n"
    )


def _bars(outcome: Outcome) -> Iterator[tuple[str, bool, float]]:
    for result in outcome.measured:
        ratio = outcome.ratio(result.name, outcome.baseline)
        if ratio is not None and result.name != outcome.baseline:
            yield result.name, result.ours, ratio


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'
