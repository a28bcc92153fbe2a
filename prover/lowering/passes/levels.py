"""Groups of a norm that differ by orders of magnitude: each is brought to the others' level by its own power of two.

A norm divides every group of elements by its own deviation, so that its result forgets how large the group was; but what it reads is
stored in one format. Where a network adds a skip connection's channels to others that are a billion times as large, the format holds the
large ones, and the norm makes noise of the rest. ``y = c / sqrt(mean(c^2) + e)`` is the same function of ``c f`` and ``e f^2``, for any
f that is constant in a group; a power of two changes no float. The factor moves up to where the groups come together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np
from jax import lax

from prover.lowering.graph import FloatGraph, FloatNode, Operand, Var
from prover.lowering.passes.calibrate import Extremes
from prover.lowering.passes.producers import MOVES, Producers

FAR = 2.0**14
"""Groups whose deviations differ by more than this factor are levelled: the weakest keeps 16 of the 30 bits that a stream has."""

MOST = 50
"""Largest exponent of a factor: its square is a float32."""

Array = np.ndarray[Any, np.dtype[Any]]

INVERSES = {"rsqrt": "mul", "sqrt": "div"}
"""What makes a deviation (or its inverse) of a mean square, and what applies it to the elements."""


@dataclass(frozen=True)
class Norm:
    """``y = c * moved(rsqrt(mean(c^2) + e))``, or with a quotient by a root.

    ``inverse``: the node of the root; ``shifted``: the sum with the constant e; ``chain``: nodes from the square to the mean, in order;
    ``moves``: those from the root to what meets the elements, in order; ``applied``: the node of y.
    """

    elements: Var
    chain: tuple[FloatNode, ...]
    shifted: FloatNode
    inverse: FloatNode
    moves: tuple[FloatNode, ...]
    applied: FloatNode


def norms(graph: FloatGraph) -> list[Norm]:
    """The norms of a graph, those in loops left out."""
    view = Producers(graph)
    found = [_norm(view, node) for node in graph.nodes if node.name in INVERSES.values()]
    return [norm for norm in found if norm is not None]


def _norm(view: Producers, applied: FloatNode) -> Norm | None:
    """The norm that ends with this node, if it is one."""
    for elements, moved in (applied.inputs, applied.inputs[::-1]):
        moves: list[FloatNode] = []
        while isinstance(moved, Var) and moved in view.of and view.of[moved].name in MOVES:
            moves.append(view.of[moved])
            moved = moves[-1].inputs[0]
        inverse = view.of.get(moved) if isinstance(moved, Var) else None
        if inverse is None or INVERSES.get(inverse.name) != applied.name or not isinstance(elements, Var):
            continue
        shifted = view.of.get(inverse.inputs[0]) if isinstance(inverse.inputs[0], Var) else None
        if shifted is None or shifted.name != "add" or not isinstance(shifted.inputs[1], np.ndarray):
            continue
        chain: list[FloatNode] = []
        below: Operand = shifted.inputs[0]
        while isinstance(below, Var) and below in view.of and below is not elements:
            node = view.of[below]
            scales = node.name in ("mul", "div") and isinstance(node.inputs[1], np.ndarray)
            if not (node.name in MOVES or node.name in ("reduce_sum", "square") or scales or _squares(node)):
                break
            chain.append(node)
            below = node.inputs[0]
        if below is elements and [node.name for node in chain].count("reduce_sum") == 1 and _squares(chain[-1]):
            return Norm(elements, tuple(chain[::-1]), shifted, inverse, tuple(moves[::-1]), applied)
    return None


def _squares(node: FloatNode) -> bool:
    return (
        node.name == "square"
        or (node.name == "mul" and node.inputs[0] is node.inputs[1])
        or (node.name == "integer_pow" and node.params["y"] == 2)
    )


def levels(graph: FloatGraph, extremes: Extremes) -> list[Array | None]:
    """By norm: the exponents of its groups' factors in the shape of its root, as the extremes of the roots say them.

    None for one whose groups are alike, or have no levels of their own: they differ as much from sample to sample as from each other.
    """
    return [_levels(norm.inverse, *extremes[norm.inverse.outputs[0]]) for norm in norms(graph)]


def roots(graph: FloatGraph) -> Extremes:
    """The variables whose extremes ``levels`` needs, nothing known of them yet."""
    return {norm.inverse.outputs[0]: (np.array(np.inf), np.array(-np.inf)) for norm in norms(graph)}


def _levels(inverse: FloatNode, least: Array, most: Array) -> Array | None:
    if not (least.min() > 0 and np.isfinite(most.max()) and most.max() > FAR * least.min()):
        return None
    low, high = np.log2(least), np.log2(most)
    if inverse.name == "sqrt":
        low, high = -high, -low
    within, between = float((high - low).max()), float(high.max() - low.min())
    return np.clip(np.floor(low), -MOST, MOST) if within <= between / 2 else None


def levelled(graph: FloatGraph, levels: Sequence[Array | None]) -> FloatGraph:
    """The graph with the groups of its norms brought to one level; ``levels``: by norm."""
    view = Producers(graph)
    added = {
        norm.applied: _rewritten(view, norm, np.exp2(powers))
        for norm, powers in zip(norms(graph), levels, strict=True)
        if powers is not None
    }
    if not added:
        return graph
    return replace(graph, nodes=tuple(new for node in graph.nodes for new in added.get(node, [node]))).pruned()


def _rewritten(view: Producers, norm: Norm, factor: Array) -> list[FloatNode]:
    """Nodes that compute a norm's result from elements at one level; ``factor``: in the shape of its root."""
    full: Any = factor
    for move in norm.moves:
        full = move.primitive.bind(jax.numpy.asarray(full), **move.params)
    pushed = _Pushed(view)
    elements = pushed.times(norm.elements, np.broadcast_to(np.asarray(full), norm.elements.shape))
    known: dict[Var, Operand] = {norm.elements: elements}

    def again(node: FloatNode, **changes: Any) -> Var:
        """The node once more, of what is known."""
        (old,) = node.outputs
        new = Var(old.shape, old.dtype)
        inputs = changes.get("inputs") or tuple(known.get(x, x) if isinstance(x, Var) else x for x in node.inputs)
        pushed.nodes.append(replace(node, inputs=inputs, outputs=(new,)))
        known[old] = new
        return new

    for node in norm.chain:
        again(node)
    mean, epsilon = norm.shifted.inputs
    assert isinstance(mean, Var) and isinstance(epsilon, np.ndarray)
    small = (np.broadcast_to(epsilon, factor.shape) * factor**2).astype(epsilon.dtype)
    again(norm.shifted, inputs=(known[mean], small))
    for node in (norm.inverse, *norm.moves):
        again(node)
    inputs = tuple(known.get(x, x) if isinstance(x, Var) else x for x in norm.applied.inputs)
    return [*pushed.nodes, replace(norm.applied, inputs=inputs)]


@dataclass
class _Pushed:
    """Variables times constants, the products computed as far up as the constants go: ``nodes`` in order."""

    view: Producers
    nodes: list[FloatNode] = field(default_factory=list)
    _known: dict[Var, tuple[Array, Var]] = field(default_factory=dict)

    def times(self, var: Var, factor: Array) -> Var:
        """``var * factor``, of one shape."""
        known = self._known.get(var)
        if known is not None and np.array_equal(known[0], factor):
            return known[1]
        node = self.view.of.get(var)
        inputs = self._inputs(node, factor) if node is not None else None
        if node is None or inputs is None:
            node = FloatNode(lax.mul_p, {}, (), (var,), "" if node is None else node.where)
            inputs = (var, np.ascontiguousarray(factor.astype(var.dtype)))
        new = Var(var.shape, var.dtype)
        self.nodes.append(replace(node, inputs=inputs, outputs=(new,)))
        self._known[var] = factor, new
        return new

    def _inputs(self, node: FloatNode, factor: Array) -> tuple[Operand, ...] | None:
        """The node's operands times the factor, if its result is then that times the factor."""
        operands = node.inputs
        if not all(isinstance(x, Var) for x in operands[:1]) or not all(
            isinstance(x, (Var, np.ndarray)) for x in operands
        ):
            return None
        factors = _factors(node, factor)
        if factors is None:
            return None
        return tuple(
            self.times(x, f) if isinstance(x, Var) else np.asarray(x * f, x.dtype)  # type: ignore[union-attr]
            for x, f in zip(node.inputs, factors, strict=True)
        )


def _factors(node: FloatNode, factor: Array) -> list[Array] | None:
    """What the node's operands are multiplied with to multiply its result; None if that can't be."""
    shapes = [x.shape for x in node.inputs]
    match node.name:
        case "reshape" if node.params.get("dimensions") is None:
            return [factor.reshape(shapes[0])]
        case "squeeze" | "expand_dims":
            return [factor.reshape(shapes[0])]
        case "transpose":
            return [np.transpose(factor, np.argsort(node.params["permutation"]))]
        case "broadcast_in_dim":
            dims = node.params["broadcast_dimensions"]
            first = _narrowed(factor, [shapes[0][dims.index(d)] if d in dims else 1 for d in range(factor.ndim)])
            if first is None:
                return None
            return [first.reshape(shapes[0])]
        case "reduce_sum":
            line = [1 if d in node.params["axes"] else n for d, n in enumerate(shapes[0])]
            return [np.broadcast_to(factor.reshape(line), shapes[0])]
        case "concatenate":
            axis = node.params["dimension"]
            ends = np.cumsum([shape[axis] for shape in shapes])[:-1]
            return np.split(factor, ends, axis)
        case "add" | "sub":
            narrowed = [_narrowed(factor, shape) for shape in shapes]
            if any(f is None for f in narrowed):
                return None
            return [f for f in narrowed if f is not None]
        case "mul" | "div" if isinstance(node.inputs[1], np.ndarray):
            return [factor, np.ones(())]
    return None


def _narrowed(factor: Array, shape: Sequence[int]) -> Array | None:
    """The factor of an operand that is stretched along its dimensions of size one; None if the factor changes along them."""
    if len(shape) != factor.ndim:
        return None
    first = factor[tuple(slice(None) if n == m else slice(1) for n, m in zip(shape, factor.shape, strict=True))]
    return (
        first if first.shape == tuple(shape) and np.array_equal(np.broadcast_to(first, factor.shape), factor) else None
    )
