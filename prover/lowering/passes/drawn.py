"""Drawn: what is computed from random bits alone, element by element, and the interval that it certainly lies in.

Samples show little of it: the ends of a normal or a Gumbel distribution are rare. They follow from the grid of the uniform numbers
that are made of the bits, and from functions that are monotone.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np

from prover.lowering.graph import FloatGraph, FloatNode, Operand, Stacked, Var, bind, double_precision
from prover.lowering.passes.producers import MOVEMENT, real

Interval = tuple[float, float]
Known = Mapping[Var, Interval]

MONOTONE = frozenset({"neg", "log", "log1p", "exp", "expm1", "sqrt", "erf_inv", "erf", "tanh", "logistic", "sign"})
PERIODIC = frozenset({"sin", "cos"})
EVEN = frozenset({"abs", "square"})
CORNERS = frozenset({"add", "add_any", "sub", "mul", "div", "max", "min", "clamp"})
JOINED = frozenset({"select_n", "concatenate"})

COARSE = 1 << 16
"""Integers in an interval as short as this have a 16-bit format that holds them as well as any."""


def drawn(graph: FloatGraph) -> dict[Var, Interval]:
    """The real variables of a graph that are computed from random bits alone; those of scan bodies belong to them."""
    words: dict[Var, Interval] = {}
    found: dict[Var, Interval] = {}
    with double_precision():
        for node in graph.nodes:
            if node.body is not None or len(node.outputs) != 1:
                continue
            out = node.outputs[0]
            if out.dtype.kind == "u":
                interval, into = _word(node, words), words
            elif real(out):
                interval, into = _uniform(node, words) or _function(node, found), found
            else:
                continue
            if interval is not None and np.isfinite(interval).all():
                into[out] = interval
    return found


def _word(node: FloatNode, words: Known) -> Interval | None:
    """Unsigned integers after bitwise operations, which is how random bits end."""
    most = float(np.iinfo(node.outputs[0].dtype).max)
    if node.name in MOVEMENT:
        return _read(node.inputs[0], words)
    if node.name == "xor":
        return 0.0, most
    if node.name == "shift_right_logical":
        by = node.inputs[1]
        return (0.0, most // 2.0 ** int(np.min(by))) if isinstance(by, np.ndarray) and np.min(by) >= 0 else None
    if node.name not in ("and", "or"):
        return None
    for x, mask in (node.inputs, node.inputs[::-1]):
        if not isinstance(mask, np.ndarray) or mask.size == 0 or np.any(mask != mask.flat[0]):
            continue
        value, inside = int(mask.flat[0]), _read(x, words)
        if node.name == "and":
            return 0.0, float(value)
        if inside is not None and value & ((1 << int(inside[1]).bit_length()) - 1) == 0:
            return value + inside[0], value + inside[1]
    return None


def _uniform(node: FloatNode, words: Known) -> Interval | None:
    """The reals that words are made into: by their value, or as the bits of floats."""
    inside = _read(node.inputs[0], words) if node.name in ("convert_element_type", "bitcast_convert_type") else None
    source, target = node.inputs[0], node.outputs[0].dtype
    if inside is None or not isinstance(source, Var):
        return None
    if node.name == "convert_element_type":
        return inside if inside[1] - inside[0] >= COARSE else None
    # Floats that are not negative are in the order of their bits.
    ends = np.array(inside).astype(source.dtype)
    if source.dtype.itemsize != target.itemsize or ends[1] >> (8 * target.itemsize - 1):
        return None
    low, high = ends.view(target).astype(np.float64)
    return float(low), float(high)


def _function(node: FloatNode, found: Known) -> Interval | None:
    operands = node.inputs[1:] if node.name == "select_n" else node.inputs
    variables = [x for x in operands if isinstance(x, Var)]
    # Constants are looked at last: most of them are weights, and meet nothing that is drawn.
    if not variables or any(x not in found for x in variables):
        return None
    each = [_read(x, found) for x in operands]
    known = [x for x in each if x is not None]
    if len(known) < len(each):
        return None
    if node.name in MOVEMENT:
        return known[0]
    if node.name in PERIODIC:
        return -1.0, 1.0
    if node.name in JOINED:
        return min(low for low, _ in known), max(high for _, high in known)
    if node.name == "div" and (isinstance(node.inputs[1], Var) or known[1][0] <= 0 <= known[1][1]):
        # A quotient of reals has no grid of its own, and may reach far beyond what it mostly is.
        return None
    if node.name in MONOTONE or node.name in CORNERS:
        return _hull([_applied(node, ends) for ends in product(*known)])
    if node.name in EVEN:
        low, high = known[0]
        ends = [_applied(node, [end]) for end in (low, high)]
        return _hull([*ends, 0.0] if low < 0 < high else ends)
    return None


def _hull(values: list[float]) -> Interval:
    return min(values), max(values)


def _applied(node: FloatNode, operands: Any) -> float:
    return float(bind(node, [np.float64(x) for x in operands])[0])


def _read(operand: Operand, known: Known) -> Interval | None:
    """The interval of a known variable, or of a finite constant."""
    if isinstance(operand, Var):
        return known.get(operand)
    array = np.asarray(operand.array if isinstance(operand, Stacked) else operand)
    ends = (float(array.min()), float(array.max())) if array.size else (np.nan, np.nan)
    return ends if np.isfinite(ends).all() else None
