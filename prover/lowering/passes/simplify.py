"""Simplify: rewrites of the float graph that integers profit from.

A quotient whose divisor does not change along a product's summed axes is divided after the product: the weights of an attention
are never normalised one by one, and what is summed are the exponentials themselves.

A mask that is added (zero, or minus infinity, or what is as good) is a selection: an integer has no infinity to add. Any other number
is added, however large: only where the sum goes, and how large its values are, tells a mask of -1e4 from an intercept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.lowering.capture import capture
from prover.lowering.graph import FloatGraph, FloatNode, Operand, Stacked, Var
from prover.lowering.passes.fold import fold
from prover.lowering.passes.infinity import HUGE
from prover.lowering.passes.producers import MOVES, Producers, real


def simplified(graph: FloatGraph) -> FloatGraph:
    """A captured graph, its constants computed (outside of loops), rewritten: what values of a program stand for arrays of."""
    return simplify(fold(graph, inside=False))


def simplify(graph: FloatGraph) -> FloatGraph:
    """The same function, scan bodies included, rewritten."""
    view, uses = Producers(graph), graph.uses()
    nodes: list[FloatNode] = []
    for node in graph.nodes:
        if node.body is not None:
            node = replace(node, body=simplify(node.body))
        nodes += _divided_later(view, uses, node) or _masked(view, node) or [node]
    return FloatGraph(graph.inputs, tuple(nodes), graph.outputs).pruned()


def rewritten(node: FloatNode, fn: Callable[..., Any], operands: Sequence[Operand]) -> list[FloatNode]:
    """Nodes that compute ``fn`` of the operands into the node's output."""
    arrays = [x for x in operands if not isinstance(x, Stacked)]
    assert len(arrays) == len(operands), "scans are simplified before their bodies know their constants"
    shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in arrays]  # type: ignore[no-untyped-call]
    graph, _, _ = capture(fn, shapes)
    given: dict[Var, Operand] = dict(zip(graph.inputs, arrays, strict=True))
    (result,) = graph.outputs
    assert isinstance(result, Var)

    def read(x: Operand) -> Operand:
        return given.get(x, x) if isinstance(x, Var) else x

    return [
        replace(
            new,
            inputs=tuple(map(read, new.inputs)),
            outputs=tuple(node.outputs[0] if x is result else x for x in new.outputs),
            where=node.where,
        )
        for new in graph.nodes
    ]


def _divided_later(view: Producers, uses: dict[Var, int], node: FloatNode) -> list[FloatNode] | None:
    """dot(a / s, b) as dot(a, b) / s where s is constant along the summed axes; None if the node is none."""
    if node.name != "dot_general":
        return None
    for side, sums in enumerate(node.params["dimension_numbers"][0]):
        operand = view.through(node.inputs[side], lambda n: n.name in ("copy", "stop_gradient"))
        division = view.of.get(operand) if isinstance(operand, Var) else None
        if division is None or division.name != "div" or uses.get(division.outputs[0]) != 1:
            continue
        numerator, divisor = division.inputs
        if not isinstance(numerator, Var) or not isinstance(divisor, Var):
            continue
        if numerator.shape == operand.shape and _constant_along(view, divisor, sums):
            return _divided(node, side, numerator, divisor)
    return None


def _divided(node: FloatNode, side: int, numerator: Var, divisor: Var) -> list[FloatNode]:
    """The product of the numerator and the other side, divided by the divisor over the product's axes."""
    sums, batch = (axes[side] for axes in node.params["dimension_numbers"])
    other = node.inputs[1 - side]
    free = [d for d in range(len(divisor.shape)) if d not in (*sums, *batch)]
    around = [1] * (len(other.shape) - len(sums) - len(batch))

    def later(a: Any, s: Any, b: Any) -> Any:
        product = lax.dot_general(*((a, b) if side == 0 else (b, a)), **node.params)
        s = lax.slice(s, [0] * s.ndim, [1 if d in sums else n for d, n in enumerate(s.shape)])
        lead, own = [s.shape[d] for d in batch], [s.shape[d] for d in free]
        shape = [*lead, *own, *around] if side == 0 else [*lead, *around, *own]
        return product / lax.reshape(lax.transpose(s, (*batch, *free, *sums)), shape)

    return rewritten(node, later, [numerator, divisor, other])


def _masked(view: Producers, node: FloatNode) -> list[FloatNode] | None:
    """x + select(c, 0, mask) as select(c, x, mask); None if the node is none."""
    if node.name != "add":
        return None
    for x, added in (node.inputs, node.inputs[::-1]):
        if isinstance(added, np.ndarray) and isinstance(x, Var) and _is_mask(added):
            return _masked_by_constant(node, x, added)
        moves: list[FloatNode] = []
        while isinstance(added, Var) and added in view.of and view.of[added].name in (*MOVES, "convert_element_type"):
            moves += [view.of[added]] if view.of[added].name in MOVES else []
            added = view.of[added].inputs[0]
        choice = view.of.get(added) if isinstance(added, Var) else None
        if choice is None or choice.name != "select_n" or not isinstance(x, Var):
            continue
        values = [_value(view, case) for case in choice.inputs[1:]]
        if any(v is None or (v != 0 and v > -HUGE) for v in values) or all(values) or not any(values):
            continue
        return _masked_by_choice(node, x, choice.inputs[0], moves[::-1], [v or 0.0 for v in values])
    return None


def _is_mask(array: np.ndarray) -> bool:
    """Whether a constant is zero or minus infinity everywhere, and both somewhere."""
    return real(array) and bool(np.any(array == 0) and np.any(array != 0) and np.all((array == 0) | (array <= -HUGE)))


def _masked_by_constant(node: FloatNode, x: Var, mask: np.ndarray) -> list[FloatNode]:
    shape = node.outputs[0].shape

    def chosen(x: Any) -> Any:
        hidden = jnp.full(shape, -jnp.inf, x.dtype)
        return lax.select_n(np.broadcast_to(mask != 0, shape), jnp.broadcast_to(x, shape), hidden)

    return rewritten(node, chosen, [x])


def _masked_by_choice(
    node: FloatNode, x: Var, choice: Operand, moves: list[FloatNode], values: list[float]
) -> list[FloatNode]:
    shape = node.outputs[0].shape

    def chosen(x: Any, c: Any) -> Any:
        for move in moves:
            c = move.primitive.bind(c, **move.params)
        cases = [x if v == 0 else jnp.full(shape, v, x.dtype) for v in values]
        return lax.select_n(jnp.broadcast_to(c, shape), *(jnp.broadcast_to(case, shape) for case in cases))

    return rewritten(node, chosen, [x, choice])


def _value(view: Producers, operand: Operand) -> float | None:
    """The one value of a constant, possibly broadcast; None for anything else."""
    operand = view.through(operand, lambda n: n.name in ("broadcast_in_dim", "convert_element_type"))
    if not isinstance(operand, np.ndarray) or not operand.size or not np.all(operand == operand.flat[0]):
        return None
    return float(operand.flat[0])


def _constant_along(view: Producers, operand: Var, axes: Sequence[int]) -> bool:
    """Whether the operand certainly has the same elements all along the axes."""
    if all(operand.shape[d] == 1 for d in axes):
        return True
    node = view.of.get(operand)
    if node is None or node.name != "broadcast_in_dim":
        return False
    kept = {at: d for d, at in enumerate(node.params["broadcast_dimensions"]) if node.inputs[0].shape[d] != 1}
    return all(operand.shape[d] == 1 or d not in kept for d in axes)
