"""A revision graph as SVG: the oldest at the top, each above those that follow it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from db_ops.diagrams.layers import Box, Layout, lay_out
from db_ops.diagrams.model import RevisionBox
from db_ops.diagrams.svg import LINE, MARGIN, curve, extent, page, rectangle, text

_PADDING, _HEIGHT = 8.0, 2 * LINE + 6
_LONGEST = 48


def revisions_as_svg(revisions: Sequence[RevisionBox]) -> str:
    """Return a picture of *revisions*; a dashed line is a dependency."""
    widths = {revision.id: _width(revision) for revision in revisions}
    edges = [
        (parent, revision.id)
        for revision in revisions
        for parent in (*revision.down, *revision.depends)
    ]
    boxes = [Box(name, _HEIGHT, width) for name, width in widths.items()]
    layout = lay_out(boxes, edges, between_layers=28.0, between_boxes=20.0)
    lines = [line for revision in revisions for line in _lines(revision, layout)]
    drawn = [line for revision in revisions for line in _box(revision, layout, widths)]
    width, height = layout.breadth + 2 * MARGIN, layout.length + 2 * MARGIN
    return page(width, height, f"{len(revisions)} revisions", [*lines, *drawn])


def _width(revision: RevisionBox) -> float:
    return max(extent(revision.id), extent(_summary(revision))) + 2 * _PADDING


def _summary(revision: RevisionBox) -> str:
    said = revision.summary
    return said if len(said) <= _LONGEST else said[: _LONGEST - 3] + "..."


def _box(revision: RevisionBox, layout: Layout, widths: Mapping[str, float]) -> Iterator[str]:
    y, x = layout.places[revision.id]
    left, top = x - widths[revision.id] / 2 + MARGIN, y - _HEIGHT / 2 + MARGIN
    yield rectangle(left, top, widths[revision.id], _HEIGHT, "box")
    yield text(left + _PADDING, top + LINE - 2, revision.id, "bold")
    yield text(left + _PADDING, top + 2 * LINE - 2, _summary(revision), "dim")


def _lines(revision: RevisionBox, layout: Layout) -> Iterator[str]:
    for parents, style in ((revision.down, ""), (revision.depends, "needed")):
        for parent in parents:
            (from_y, from_x), (to_y, to_x) = layout.places[parent], layout.places[revision.id]
            bends = layout.bends.get((parent, revision.id), ())
            points = [
                (from_x, from_y + _HEIGHT / 2),
                *((x, y) for y, x in bends),
                (to_x, to_y - _HEIGHT / 2),
            ]
            yield curve([(x + MARGIN, y + MARGIN) for x, y in points], style, upright=True)
