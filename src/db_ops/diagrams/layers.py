"""Lay a graph out in layers, so that its edges point one way and cross little.

The method of Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical System
Structures" (1981): layers by longest path, order by barycentres, then each box as near to its
neighbours as the order allows. The libraries for it are GPL, unmaintained, or not Python.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_SWEEPS = 12
Edge = tuple[str, str]
Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """Something to place: its extent along the layers' direction, and across it."""

    name: str
    length: float
    breadth: float


@dataclass(frozen=True)
class Layout:
    """The middle of each box, the points that an edge bends at, and the size of it all."""

    places: Mapping[str, Point]
    bends: Mapping[Edge, tuple[Point, ...]]
    length: float
    breadth: float


@dataclass(frozen=True)
class _Bend:
    """The place of an edge in a layer that it passes."""

    edge: Edge
    layer: int


_Item = str | _Bend


def lay_out(
    boxes: Sequence[Box], edges: Iterable[Edge], *, between_layers: float, between_boxes: float
) -> Layout:
    """Place *boxes* so that *edges* lead from earlier layers to later ones, where they can.

    An edge from a box to itself is left out. The order of the arguments decides all ties.
    """
    known = {box.name: box for box in boxes}
    forward = _without_cycles(known, dict.fromkeys(edge for edge in edges if edge[0] != edge[1]))
    layer = _layers(known, forward)
    rows: list[list[_Item]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for name in known:
        rows[layer[name]].append(name)
    links: list[tuple[_Item, _Item]] = []
    for edge in forward:
        here: _Item = edge[0]
        for number in range(layer[edge[0]] + 1, layer[edge[1]]):
            bend = _Bend(edge, number)
            rows[number].append(bend)
            links.append((here, bend))
            here = bend
        links.append((here, edge[1]))
    before, after = _neighbours(links)
    _order(rows, before, after)
    breadths = {
        item: known[item].breadth if isinstance(item, str) else 0.0 for row in rows for item in row
    }
    across = _across(rows, before, after, breadths, between_boxes)
    along = _along(rows, known, between_layers)
    places = {name: (sum(along[layer[name]]) / 2, across[name]) for name in known}
    bends: dict[Edge, tuple[Point, ...]] = {}
    for edge in forward:
        passed = range(layer[edge[0]] + 1, layer[edge[1]])
        # Straight past the boxes of a layer, or the line would go behind the longer ones.
        bends[edge] = tuple(
            (where, across[_Bend(edge, number)]) for number in passed for where in along[number]
        )
    return Layout(
        places,
        bends,
        max((end for _, end in along), default=0.0),
        max((across[item] + breadths[item] / 2 for item in across), default=0.0),
    )


def _without_cycles(names: Iterable[str], edges: Iterable[Edge]) -> list[Edge]:
    """Return *edges*, those turned around that would close a cycle."""
    targets: dict[str, list[str]] = defaultdict(list)
    waiting = dict.fromkeys(names, 0)
    edges = list(edges)
    for source, target in edges:
        targets[source].append(target)
        waiting[target] += 1
    position: dict[str, int] = {}
    free = [name for name, count in waiting.items() if count == 0]
    while len(position) < len(waiting):
        if not free:
            free = [
                min((name for name in waiting if name not in position), key=waiting.__getitem__)
            ]
        name = free.pop(0)
        if name in position:
            continue
        position[name] = len(position)
        for target in targets[name]:
            waiting[target] -= 1
            if waiting[target] == 0 and target not in position:
                free.append(target)
    turned = ((a, b) if position[a] < position[b] else (b, a) for a, b in edges)
    return sorted(dict.fromkeys(turned), key=lambda edge: (position[edge[0]], position[edge[1]]))


def _layers(names: Iterable[str], edges: Sequence[Edge]) -> dict[str, int]:
    layer = dict.fromkeys(names, 0)
    for source, target in edges:
        layer[target] = max(layer[target], layer[source] + 1)
    # What nothing leads to goes as near as it can to what it leads to.
    nearest: dict[str, int] = {}
    for source, target in edges:
        nearest[source] = min(nearest.get(source, layer[target]), layer[target])
    led_to = {target for _, target in edges}
    return {
        name: nearest[name] - 1 if name in nearest and name not in led_to else number
        for name, number in layer.items()
    }


def _neighbours(
    links: Iterable[tuple[_Item, _Item]],
) -> tuple[Mapping[_Item, list[_Item]], Mapping[_Item, list[_Item]]]:
    before: dict[_Item, list[_Item]] = defaultdict(list)
    after: dict[_Item, list[_Item]] = defaultdict(list)
    for source, target in links:
        after[source].append(target)
        before[target].append(source)
    return before, after


def _order(
    rows: list[list[_Item]],
    before: Mapping[_Item, list[_Item]],
    after: Mapping[_Item, list[_Item]],
) -> None:
    """Sort each layer by the mean place of what its items are linked to, back and forth."""
    place = {item: number for row in rows for number, item in enumerate(row)}
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        linked = before if down else after
        for row in rows if down else reversed(rows):
            middle = {
                item: sum(place[one] for one in linked[item]) / len(linked[item])
                if item in linked
                else place[item]
                for item in row
            }
            row.sort(key=middle.__getitem__)
            place.update((item, number) for number, item in enumerate(row))


def _across(
    rows: list[list[_Item]],
    before: Mapping[_Item, list[_Item]],
    after: Mapping[_Item, list[_Item]],
    breadths: Mapping[_Item, float],
    gap: float,
) -> dict[_Item, float]:
    place: dict[_Item, float] = {}
    for row in rows:
        place.update(_spread(row, dict.fromkeys(row, 0.0), breadths, gap))
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wished = {}
            for item in row:
                linked = [*before.get(item, ()), *after.get(item, ())]
                places = [place[one] for one in linked] or [place[item]]
                wished[item] = sum(places) / len(places)
            place.update(_spread(row, wished, breadths, gap))
    least = min((place[item] - breadths[item] / 2 for item in place), default=0.0)
    return {item: where - least for item, where in place.items()}


def _spread(
    row: list[_Item], wished: Mapping[_Item, float], breadths: Mapping[_Item, float], gap: float
) -> dict[_Item, float]:
    """Place the items in their order, none over another, as near to their wishes as can be.

    Least squares under an order: neighbours that want to overlap become a block that moves as one.
    """
    offsets, offset, last = [], 0.0, None
    for item in row:
        if last is not None:
            offset += (breadths[last] + breadths[item]) / 2 + gap
        offsets.append(offset)
        last = item
    blocks: list[tuple[float, int]] = []
    for item, at in zip(row, offsets, strict=True):
        total, count = wished[item] - at, 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= total / count:
            more, members = blocks.pop()
            total, count = total + more, count + members
        blocks.append((total, count))
    starts = [total / count for total, count in blocks for _ in range(count)]
    return {item: start + at for item, start, at in zip(row, starts, offsets, strict=True)}


def _along(rows: list[list[_Item]], known: Mapping[str, Box], gap: float) -> list[Point]:
    """Return where each layer begins and where it ends."""
    extents, edge = [], 0.0
    for row in rows:
        length = max((known[item].length for item in row if isinstance(item, str)), default=0.0)
        extents.append((edge, edge + length))
        edge += length + gap
    return extents
