"""Where the nodes of a graph lie: layers from top to bottom, few crossings, edges straight where they can be.

After Sugiyama, Tagawa and Toda (1981): longest-path layers, barycentres, then positions by the mean of the neighbours'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from touchstone.models.drawing.graph import Graph, Place

SWEEPS = 16
GAP = 22.0
"""Pixels between two nodes of a layer."""

LANE = 10.0
"""Pixels that a passing edge takes in a layer."""

Slot = tuple[Place, int]
"""A node (place, -1), or where the edges from ``place`` pass a layer: (place, layer)."""


@dataclass
class Layout:
    """``layer`` and centre ``x`` of every slot; ``routes``: the slots of each forward edge, from its source to its target."""

    layer: dict[Slot, int] = field(default_factory=dict)
    x: dict[Slot, float] = field(default_factory=dict)
    routes: dict[tuple[Place, Place], list[Slot]] = field(default_factory=dict)


def arranged(graph: Graph, widths: Mapping[Place, float]) -> Layout:
    """Lay the graph out; ``widths`` in pixels by place."""
    found = Layout()
    layers = _layers(graph)
    for node in graph.nodes:
        found.layer[node.place, -1] = layers[node.place]
    neighbours: dict[Slot, set[Slot]] = {}
    for edge in graph.edges:
        if edge.back:
            continue
        passing = range(layers[edge.source] + 1, layers[edge.target])
        route: list[Slot] = [(edge.source, -1), *((edge.source, at) for at in passing), (edge.target, -1)]
        found.routes[edge.source, edge.target] = route
        for slot, at in zip(route[1:-1], passing, strict=True):
            found.layer[slot] = at
        for one, other in pairwise(route):
            neighbours.setdefault(one, set()).add(other)
            neighbours.setdefault(other, set()).add(one)
    rows: list[list[Slot]] = [[] for _ in range(max(found.layer.values(), default=0) + 1)]
    for slot, at in found.layer.items():
        rows[at].append(slot)
    _ordered(rows, found.layer, neighbours)
    half = {slot: (widths[slot[0]] + GAP if slot[1] == -1 else LANE) / 2 for slot in found.layer}
    _placed(found, rows, neighbours, half)
    return found


def _layers(graph: Graph) -> dict[Place, int]:
    """A node lies below everything that it reads; a block has its layers for itself; an input lies just above its first reader."""
    block_of = {place: number for number, block in enumerate(graph.blocks) for place in block.members}
    read: dict[Place, list[Place]] = {}
    for edge in graph.edges:
        if not edge.back:
            read.setdefault(edge.target, []).append(edge.source)
    found: dict[Place, int] = {}
    base, deepest, here = 1, 0, None
    for node in graph.nodes:
        if node.kind == "input":
            found[node.place] = 0
            continue
        block = block_of.get(node.place)
        if block != here:
            base, here = deepest + 1, block
        found[node.place] = max([base, *(found[source] + 1 for source in read.get(node.place, ()))])
        deepest = max(deepest, found[node.place])
    top = {number: min(found[place] for place in block.members) for number, block in enumerate(graph.blocks)}
    above = {place: top[block_of[place]] if place in block_of else layer for place, layer in found.items()}
    for node in graph.nodes:
        readers = [above[edge.target] for edge in graph.edges if edge.source == node.place and not edge.back]
        if node.kind == "input" and readers:
            found[node.place] = min(readers) - 1
    dense = {layer: number for number, layer in enumerate(sorted(set(found.values())))}
    return {place: dense[layer] for place, layer in found.items()}


def _ordered(rows: Sequence[list[Slot]], layer: Mapping[Slot, int], neighbours: Mapping[Slot, set[Slot]]) -> None:
    """Sort every row by the mean position of its neighbours above, then below, some times over."""
    at = {slot: float(n) for row in rows for n, slot in enumerate(row)}
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            keys = {}
            for slot in row:
                near = [at[o] for o in neighbours.get(slot, ()) if (layer[o] < layer[slot]) == down]
                keys[slot] = sum(near) / len(near) if near else at[slot]
            row.sort(key=lambda slot: keys[slot])
            middle = (len(row) - 1) / 2
            at.update({slot: n - middle for n, slot in enumerate(row)})


def _placed(
    found: Layout, rows: Sequence[list[Slot]], neighbours: Mapping[Slot, set[Slot]], half: Mapping[Slot, float]
) -> None:
    """Move every slot towards the mean of its neighbours, the order of its row and the distances kept."""
    for row in rows:
        x = 0.0
        for slot in row:
            found.x[slot] = x + half[slot]
            x += 2 * half[slot]
        for slot in row:
            found.x[slot] -= x / 2
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = {}
            for slot in row:
                near = [(found.x[o], _pull(slot, o)) for o in neighbours.get(slot, ())]
                pull = sum(weight for _, weight in near)
                wanted[slot] = sum(x * weight for x, weight in near) / pull if near else found.x[slot], max(pull, 1.0)
            _spread(found.x, row, wanted, half)
    least = min((found.x[slot] - half[slot] for slot in found.x), default=0.0)
    for slot in found.x:
        found.x[slot] -= least


def _pull(one: Slot, other: Slot) -> float:
    """How strongly two neighbours want the same position: a passing edge should be straight."""
    return 1.0 + 4.0 * (one[1] != -1) * (other[1] != -1)


def _spread(
    x: dict[Slot, float], row: Sequence[Slot], wanted: Mapping[Slot, tuple[float, float]], half: Mapping[Slot, float]
) -> None:
    """Positions nearest to the wanted ones (weighted least squares) at which no two slots overlap: pooled adjacent violators."""
    offsets, offset = [0.0], 0.0
    for before, slot in pairwise(row):
        offset += half[before] + half[slot]
        offsets.append(offset)
    pools: list[tuple[float, float, int]] = []
    for slot, shift in zip(row, offsets, strict=True):
        position, weight = wanted[slot]
        pools.append((position - shift, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, v, m), (b, w, n) = pools[-2:]
            pools[-2:] = [((a * v + b * w) / (v + w), v + w, m + n)]
    start = 0
    for mean, _, count in pools:
        for at in range(start, start + count):
            x[row[at]] = mean + offsets[at]
        start += count
