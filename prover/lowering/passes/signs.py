"""Signs: what is certainly never negative, or never positive, whatever the inputs are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from prover.lowering.graph import FloatGraph, FloatNode, Operand, Stacked, Var
from prover.lowering.passes.producers import MOVEMENT, real


class Sign(NamedTuple):
    """What an array certainly never has an element of."""

    no_negative: bool
    no_positive: bool


UNKNOWN = Sign(False, False)
POSITIVE = frozenset({"exp", "exp2", "abs", "sqrt", "rsqrt", "logistic", "square"})
KEEPING = MOVEMENT | {"add", "add_any", "reduce_sum", "reduce_max", "reduce_min", "cumsum", "concatenate"}
"""Primitives whose output has the sign that all operands have."""


def signs(graph: FloatGraph) -> dict[Var, Sign]:
    """The signs that follow from a graph's own nodes; what is not plain to see is left out."""
    found: dict[Var, Sign] = {}
    for node in graph.nodes:
        if len(node.outputs) == 1 and real(node.outputs[0]):
            sign = _sign(node, found)
            if sign != UNKNOWN:
                found[node.outputs[0]] = sign
    return found


def _sign(node: FloatNode, found: dict[Var, Sign]) -> Sign:
    if node.name in POSITIVE or (node.name == "integer_pow" and node.params["y"] % 2 == 0):
        return Sign(True, False)
    if node.name == "mul" and node.inputs[0] is node.inputs[1]:
        return Sign(True, False)
    if node.name not in KEEPING | {"neg", "sub", "mul", "div", "max", "min"}:
        return UNKNOWN
    read = [_of(x, found) for x in node.inputs]
    match node.name:
        case "neg":
            return Sign(*read[0][::-1])
        case "sub":
            read[1] = Sign(*read[1][::-1])
        case "mul" | "div":
            a, b = read
            same = (a.no_negative and b.no_negative) or (a.no_positive and b.no_positive)
            return Sign(same, (a.no_negative and b.no_positive) or (a.no_positive and b.no_negative))
        case "max":
            return Sign(any(x.no_negative for x in read), all(x.no_positive for x in read))
        case "min":
            return Sign(all(x.no_negative for x in read), any(x.no_positive for x in read))
    return Sign(all(x.no_negative for x in read), all(x.no_positive for x in read))


def _of(operand: Operand, found: dict[Var, Sign]) -> Sign:
    if isinstance(operand, Var):
        return found.get(operand, UNKNOWN)
    array = np.asarray(operand.array if isinstance(operand, Stacked) else operand)
    return Sign(bool(np.all(array >= 0)), bool(np.all(array <= 0)))
