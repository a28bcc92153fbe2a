"""Infinities: where they may be, and who can tell them from a large number.

An integer has no infinity. A value that may hold one (a mask, the start of a maximum) is stored in a format with *room* beyond what
calibration finds, and its infinities are the ends of that format:

- ``DEEP`` for what is computed with: added to any score it stays far below all others, and a comparison with infinity recognises it;
- ``MASK_ROOM`` for the argument of a softmax, whose exponential is exactly zero there already;
- none for what only is put in order (maxima, sorts, selections): an end of the format is the least, or the greatest, as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from prover.lowering.graph import FloatNode, Var
from prover.lowering.passes.producers import CHOOSING, MOVEMENT, PRODUCTS, Producers, real

MASK = -1e4
"""A constant from here downwards may be a mask, which no format has to hold: samples say whether it stands apart from all else."""

HUGE = 2.0**90
"""Magnitudes from here on are infinities: no format reaches as far, and masks are often a float that is large enough."""

DEEP = 2.0**14
"""Room of a value whose infinities are computed with."""

MASK_ROOM = 32.0
"""How far below every unmasked argument of a softmax its format reaches, so that a masked one has an exponential of exactly zero."""

PLACING = MOVEMENT | {
    "concatenate",
    "dynamic_slice",
    "dynamic_update_slice",
    "gather",
    "pad",
    "select_n",
    "sort",
    "top_k",
}
"""Primitives whose outputs are elements of their operands."""

KEEPING = PLACING | {"add", "sub", "add_any", "mul", "div", "neg", "abs"}
"""Primitives whose output may hold an infinity if one operand does."""

EXTREMES = {
    "max",
    "min",
    "clamp",
    "reduce_max",
    "reduce_min",
    "cummax",
    "cummin",
    "reduce_window_max",
    "reduce_window_min",
}
"""Primitives whose output is infinite only if all is that they choose among."""

ORDERING = PLACING | EXTREMES | CHOOSING
"""Primitives that look at no more than the order of their operand's elements."""

ASKING = frozenset({"eq", "ne", "lt", "le", "gt", "ge", "is_finite"})
"""Primitives that can tell an infinity from a number."""


BELOW = frozenset({-1})
"""The signs of what a mask hides."""


def infinite(view: Producers, arguments: Collection[Var]) -> dict[Var, frozenset[int]]:
    """The variables that infinite constants reach, with the signs of their infinities.

    Not beyond the arguments of a softmax, which stores them as ``MASK_ROOM``. An extreme counts only if somebody asks whether it is
    infinite: whether it was taken of nothing.
    """
    found: dict[Var, frozenset[int]] = {}

    def held(operand: object) -> frozenset[int]:
        if isinstance(operand, np.ndarray):
            ends = (float(operand.min()), float(operand.max())) if real(operand) and operand.size else (0.0, 0.0)
            return frozenset(sign for sign, end in zip((-1, 1), ends, strict=True) if sign * end >= HUGE)
        return found.get(operand, frozenset()) if operand not in arguments else frozenset()  # type: ignore[call-overload]

    for node in view.graph.nodes:
        values = [held(x) for x in node.inputs if real(x)]
        kept = node.name in KEEPING and any(values)
        extreme = node.name in EXTREMES and all(values) and _asked(view, node.outputs[0])
        if kept or extreme:
            found.update((var, _after(node, values)) for var in node.outputs if real(var))
    return found


def _after(node: FloatNode, values: Sequence[frozenset[int]]) -> frozenset[int]:
    """The signs of a node's infinities, by operand those of what it reads; a mask that is made by a product hides below."""
    if node.name in ("neg", "sub"):
        values = [*values[:-1], frozenset(-sign for sign in values[-1])]
    if node.name == "abs":
        return frozenset({1})
    return frozenset().union(*values) | (BELOW if node.name in ("mul", "div") else frozenset())


def _asked(view: Producers, var: Var) -> bool:
    return any(
        node.name in ASKING or (node.name in PLACING | EXTREMES and _asked(view, node.outputs[0]))
        for node in view.readers.get(var, ())
    )


def ordered(view: Producers, infinities: Collection[Var]) -> set[Var]:
    """The variables whose infinities need no room: of whose elements only the order is looked at, until an extreme is a number."""
    found: set[Var] = set()

    def orders(node: FloatNode) -> bool:
        return node.name in ORDERING and all(
            not real(var) or var in found or (node.name in EXTREMES and var not in infinities) for var in node.outputs
        )

    for var in reversed((*view.graph.inputs, *view.of)):
        if real(var) and var not in view.results and all(map(orders, view.readers.get(var, ()))):
            found.add(var)
    return found


def chosen(view: Producers) -> set[Var]:
    """The variables of whose elements only the order is ever looked at: no extreme of them is a number.

    A sort compares its elements with each other.
    """
    found: set[Var] = set()

    def orders(node: FloatNode) -> bool:
        if node.name in ASKING and len(node.inputs) == 2:
            one, other = (view.through(x, lambda node: node.name in MOVEMENT) for x in node.inputs)
            return isinstance(one, Var) and one is other
        return node.name in ORDERING and all(not real(var) or var in found for var in node.outputs)

    for var in reversed((*view.graph.inputs, *view.of)):
        if real(var) and var not in view.results and all(map(orders, view.readers.get(var, ()))):
            found.add(var)
    return found


def has_mask(view: Producers, var: Var, sign: int = -1, depth: int = 12) -> bool:
    """Whether constants from ``MASK`` downwards (``sign`` 1: as far above zero) meet the variable in what computes it."""
    node = view.of.get(var)
    if node is None or depth == 0:
        return False
    for operand in node.inputs:
        if isinstance(operand, np.ndarray):
            if real(operand) and operand.size and float(np.max(sign * operand)) >= -MASK:
                return True
        elif isinstance(operand, Var) and node.name not in PRODUCTS and has_mask(view, operand, sign, depth - 1):
            return True
    return False


def masked_before(view: Producers, var: Var) -> set[Var]:
    """The variable and those that it selects or adds from and moves, as far as masks have met them already."""
    found = {var}
    node = view.of.get(var)
    if node is not None and (node.name in MOVEMENT or node.name in ("add", "select_n")):
        for operand in node.inputs:
            if isinstance(operand, Var) and real(operand) and has_mask(view, operand):
                found |= masked_before(view, operand)
    return found
