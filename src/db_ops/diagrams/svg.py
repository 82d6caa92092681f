"""What both pictures are drawn with: a page that is light or dark as its reader's, and curves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from unicodedata import east_asian_width
from xml.sax.saxutils import escape

MARGIN = 16.0
# Of the monospaced fonts named below, the widest.
CHARACTER, LINE = 7.3, 18.0
_STYLE = """
    svg { background: var(--page); --page: #fff; --box: #f6f8fa; --head: #dbe9f9;
      --line: #8c959f; --text: #1f2328; --dim: #59636e; }
    @media (prefers-color-scheme: dark) {
      svg { --page: #0d1117; --box: #161b22; --head: #1f3b5c;
        --line: #656c76; --text: #e6edf3; --dim: #9198a1; } }
    text { font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
      fill: var(--text); white-space: pre; }
    .dim { fill: var(--dim); }
    .head { fill: var(--head); stroke: var(--line); }
    .box { fill: var(--box); stroke: var(--line); }
    path { fill: none; stroke: var(--line); stroke-width: 1.3; }
    .needed { stroke-dasharray: 4 3; }
    .bold { font-weight: 600; }
"""


def page(width: float, height: float, title: str, content: Iterable[str]) -> str:
    """Return a whole SVG document; *title* is what a reader who sees nothing is told."""
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{escaped(title)}</title>",
        f"<style>{_STYLE}</style>",
        *content,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def text(x: float, y: float, said: str, style: str = "", *, end: bool = False) -> str:
    """Return one line of text that begins at a point, or ends there."""
    anchor = ' text-anchor="end"' if end else ""
    kind = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{kind}{anchor}>{escaped(said)}</text>'


def rectangle(x: float, y: float, width: float, height: float, style: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="3"'
        f' class="{style}"/>'
    )


def curve(points: Sequence[tuple[float, float]], style: str = "", *, upright: bool = False) -> str:
    """Return a smooth line through *points* that leaves and arrives level, or *upright*."""
    (x, y), rest = points[0], points[1:]
    path = [f"M{x:.1f} {y:.1f}"]
    for to_x, to_y in rest:
        if upright:
            middle = (y + to_y) / 2
            path.append(f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}")
        else:
            middle = (x + to_x) / 2
            path.append(f"C{middle:.1f} {y:.1f} {middle:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
    kind = f' class="{style}"' if style else ""
    return f'<path d="{" ".join(path)}"{kind}/>'


def extent(said: str) -> float:
    """Return the width of a text; East Asian characters take two columns."""
    return CHARACTER * sum(1 + (east_asian_width(one) in "WF") for one in said)


def escaped(said: str) -> str:
    # XML 1.0 knows no other control characters, not even as entities.
    return escape("".join(one if one.isprintable() else " " for one in said))
