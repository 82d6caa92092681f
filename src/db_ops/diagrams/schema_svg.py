"""A schema as SVG: tables with their columns, in columns of tables, what they refer to at the left.

At the end of a line, a crow's foot is "many", a bar "one", a circle "or none".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from db_ops.diagrams.layers import Box, Layout, lay_out
from db_ops.diagrams.model import Reference, Table
from db_ops.diagrams.svg import LINE, MARGIN, curve, extent, page, rectangle, text

_PADDING, _GAP = 8.0, 14.0
_BETWEEN, _BESIDE = 70.0, 26.0
_FOOT = 12.0


def schema_as_svg(tables: Sequence[Table]) -> str:
    """Return a picture of *tables* and their foreign keys."""
    sizes = {table.name: _size(table) for table in tables}
    boxes = [Box(name, width, height) for name, (width, height) in sizes.items()]
    edges = [
        (reference.target, table.name)
        for table in tables
        for reference in table.references
        if reference.target in sizes
    ]
    layout = lay_out(boxes, edges, between_layers=_BETWEEN, between_boxes=_BESIDE)
    known = {table.name: table for table in tables}
    lines = [
        line
        for table in tables
        for reference in table.references
        if reference.target in sizes
        for line in _reference(known, table, reference, layout, sizes)
    ]
    drawn = [line for table in tables for line in _table(table, layout, sizes)]
    width, height = layout.length + 2 * MARGIN + _FOOT, layout.breadth + 2 * MARGIN
    return page(width, height, f"Schema of {len(tables)} tables", [*lines, *drawn])


def _size(table: Table) -> tuple[float, float]:
    left = max((extent(column.name) for column in table.columns), default=0.0)
    right = max((extent(_about(table, index)) for index in range(len(table.columns))), default=0.0)
    width = max(left + _GAP + right, extent(table.name)) + 2 * _PADDING
    return width, LINE * (len(table.columns) + 1) + 4


def _about(table: Table, index: int) -> str:
    column = table.columns[index]
    optional = "" if column.required else "?"
    return " ".join(filter(None, (table.keys(column), column.type + optional)))


def _table(table: Table, layout: Layout, sizes: Mapping[str, tuple[float, float]]) -> Iterator[str]:
    left, top = _corner(table.name, layout, sizes)
    width, height = sizes[table.name]
    yield rectangle(left, top, width, height, "box")
    yield rectangle(left, top, width, LINE + 2, "head")
    yield text(left + _PADDING, top + LINE - 4, table.name, "bold")
    for index, column in enumerate(table.columns):
        base = top + LINE * (index + 2) - 3
        yield text(left + _PADDING, base, column.name)
        yield text(left + width - _PADDING, base, _about(table, index), "dim", end=True)


def _reference(
    known: Mapping[str, Table],
    table: Table,
    reference: Reference,
    layout: Layout,
    sizes: Mapping[str, tuple[float, float]],
) -> Iterator[str]:
    """Draw a line from the referring column to the head of the table that it refers to."""
    left, top = _corner(table.name, layout, sizes)
    to_left, to_top = _corner(reference.target, layout, sizes)
    y = top + LINE * (_row(table, reference) + 1.5) + 2
    to_y = to_top + LINE / 2 + 1
    right, to_right = left + sizes[table.name][0], to_left + sizes[reference.target][0]
    bends = layout.bends.get((reference.target, table.name))
    if reference.target == table.name:
        out = right + _FOOT * 1.8
        yield _loop(right, y, out, to_y)
        yield from _ends(reference, (right, y, 1), (right, to_y, 1))
    elif bends is not None and to_right <= left:
        through = [(x + MARGIN, where + MARGIN) for x, where in reversed(bends)]
        yield curve(
            [(left, y), (left - _FOOT, y), *through, (to_right + _FOOT, to_y), (to_right, to_y)]
        )
        yield from _ends(reference, (left, y, -1), (to_right, to_y, 1))
    else:
        # One of a cycle: it goes the other way.
        yield curve([(right, y), (right + _FOOT, y), (to_left - _FOOT, to_y), (to_left, to_y)])
        yield from _ends(reference, (right, y, 1), (to_left, to_y, -1))


def _ends(
    reference: Reference, ours: tuple[float, float, int], theirs: tuple[float, float, int]
) -> Iterator[str]:
    x, y, side = ours
    if reference.unique:
        yield _bar(x + side * 5, y)
    else:
        tip = x + side * _FOOT
        yield f'<path d="M{x:.1f} {y - 5:.1f} L{tip:.1f} {y:.1f} L{x:.1f} {y + 5:.1f}"/>'
    x, y, side = theirs
    yield _bar(x + side * 5, y)
    if not reference.required:
        yield f'<circle cx="{x + side * 10:.1f}" cy="{y:.1f}" r="3.5" class="box"/>'


def _bar(x: float, y: float) -> str:
    return f'<path d="M{x:.1f} {y - 5:.1f} V{y + 5:.1f}"/>'


def _loop(x: float, y: float, out: float, to_y: float) -> str:
    return (
        f'<path d="M{x:.1f} {y:.1f} C{out:.1f} {y:.1f} {out:.1f} {to_y:.1f} {x:.1f} {to_y:.1f}"/>'
    )


def _row(table: Table, reference: Reference) -> int:
    names = [column.name for column in table.columns]
    return names.index(reference.columns[0])


def _corner(
    name: str, layout: Layout, sizes: Mapping[str, tuple[float, float]]
) -> tuple[float, float]:
    (x, y), (width, height) = layout.places[name], sizes[name]
    return x - width / 2 + MARGIN, y - height / 2 + MARGIN
