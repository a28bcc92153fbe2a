"""Dividing: the graph whose operands are narrow, each channel divided where it costs nothing.

The division is a product with a constant. It moves up to where a constant is applied already (a norm's gain), past what only moves
elements; elsewhere it joins the op that makes the value. What others read is left alone: the products read a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jax import lax

from prover.lowering.channels.exponents import NarrowOperand
from prover.lowering.channels.operands import Raised
from prover.lowering.graph import FloatGraph, FloatNode, Operand, Var
from prover.lowering.passes.calibrate import RealRange
from prover.lowering.passes.producers import Producers

MOVES = frozenset({"reshape", "transpose", "squeeze", "expand_dims"})
"""Primitives that give all elements of their operand, once each."""

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class NarrowedGraph:
    """``graph`` with divided operands, for lowering alone: its products' weights are still to be multiplied by ``raised``, by result.

    ``ranges``: of all its variables.
    """

    graph: FloatGraph
    ranges: dict[Var, RealRange]
    raised: dict[Var, Raised]


def narrowed(graph: FloatGraph, ranges: dict[Var, RealRange], operands: Sequence[NarrowOperand]) -> NarrowedGraph:
    """The graph with the operands as they are said to be."""
    view, ranges = Producers(graph), dict(ranges)
    after: dict[FloatNode | None, list[FloatNode]] = {}
    replaced: dict[Var, Var] = {}
    raised: dict[Var, Raised] = {}
    for narrow in operands:
        var = narrow.operand.var
        if not narrow.exponents.any():
            ranges.update(dict.fromkeys(_moved(view, var), narrow.range))
            continue
        factor = np.exp2(-narrow.exponents.astype(np.float64))
        line = [1] * len(var.shape)
        line[narrow.operand.channels] = len(factor)
        division = _Division(view, ranges)
        full = np.broadcast_to(factor.reshape(line), var.shape)
        replaced[var] = division.of(var, full, narrow.operand.shared, narrow.range)
        after.setdefault(view.of.get(var), []).extend(division.nodes)
        for product in narrow.operand.products:
            raised[product.node.outputs[0]] = Raised(product.axis, narrow.exponents)
    nodes = list(after.get(None, []))
    for node in graph.nodes:
        divided = node.outputs and node.outputs[0] in raised
        inputs = tuple(replaced.get(x, x) if divided and isinstance(x, Var) else x for x in node.inputs)
        nodes += [replace(node, inputs=inputs) if divided else node, *after.get(node, [])]
    return NarrowedGraph(FloatGraph(graph.inputs, tuple(nodes), graph.outputs).pruned(), ranges, raised)


def _moved(view: Producers, var: Var) -> list[Var]:
    """The variable, and those before it that hold the same elements for nobody else."""
    found = [var]
    while found[-1] in view.of and view.of[found[-1]].name in MOVES:
        before = view.of[found[-1]].inputs[0]
        if not isinstance(before, Var) or view.read_elsewhere(before):
            break
        found.append(before)
    return found


@dataclass
class _Division:
    """Nodes that compute a variable times a constant: ``nodes``, in order. ``ranges`` gets what is known of theirs."""

    view: Producers
    ranges: dict[Var, RealRange]
    nodes: list[FloatNode] = field(default_factory=list)

    def of(self, var: Var, factor: Array, shared: bool, observed: RealRange) -> Var:
        """``var * factor``, of one shape; ``shared``: whether ``var`` itself is needed, too; ``observed``: what is known of the product."""
        node = self.view.of.get(var)
        inputs = None if node is None or shared else self._inputs(node, factor, observed)
        if node is None or inputs is None:
            constant = _times(np.ones((), var.dtype), factor)
            node, inputs = FloatNode(lax.mul_p, {}, (), (var,), node.where if node else ""), (var, constant)
        new = Var(var.shape, var.dtype)
        self.ranges[new] = observed
        self.nodes.append(replace(node, inputs=inputs, outputs=(new,)))
        return new

    def _inputs(self, node: FloatNode, factor: Array, observed: RealRange) -> tuple[Operand, ...] | None:
        """The node's operands with the factor, if its result is then that times the factor, and no more is computed than before."""
        moved = _moved_back(node, factor)
        if moved is not None and isinstance(node.inputs[0], Var):
            return (self._again(node.inputs[0], moved, observed),)
        sides = [j for j, x in enumerate(node.inputs) if isinstance(x, np.ndarray) and x.ndim in (0, factor.ndim)]
        if node.name not in ("mul", "div", "add", "sub") or len(sides) != 1 or len(node.inputs) != 2:
            return None
        (side,) = sides
        constant, other = node.inputs[side], node.inputs[1 - side]
        if not isinstance(other, Var) or not isinstance(constant, np.ndarray) or other.shape != factor.shape:
            return None
        if node.name == "div":
            if side == 0:
                return _times(constant, factor), other
            return other, _times(constant, 1 / factor)
        if node.name != "mul":
            # Factors are at most 1.
            other = self._again(other, factor, self.ranges[other])
        return (_times(constant, factor), other) if side == 0 else (other, _times(constant, factor))

    def _again(self, var: Var, factor: Array, observed: RealRange) -> Var:
        return self.of(var, factor, self.view.read_elsewhere(var), observed)


def _moved_back(node: FloatNode, factor: Array) -> Array | None:
    """The factor of the operand of a node that only moves elements; None for any other."""
    if node.name not in MOVES or (node.name == "reshape" and node.params.get("dimensions") is not None):
        return None
    if node.name == "transpose":
        return np.transpose(factor, np.argsort(node.params["permutation"]))
    return factor.reshape(node.inputs[0].shape)


def _times(constant: Array, factor: Array) -> Array:
    """Their product in the constant's dtype and the factor's shape; axes along which neither changes are not computed."""
    constant = np.broadcast_to(constant, factor.shape)
    kept = tuple(slice(None) if a or b else slice(1) for a, b in zip(constant.strides, factor.strides, strict=True))
    small = (constant[kept] * factor[kept]).astype(constant.dtype)
    return np.broadcast_to(small, factor.shape)
