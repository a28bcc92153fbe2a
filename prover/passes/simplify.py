"""Simplify: rewrites of the float graph that integers profit from.

A quotient whose divisor does not change along a product's summed axes is divided after the product: the weights of an attention
are never normalised one by one (DESIGN D4), and what is summed are the exponentials themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
from jax import lax

from prover.capture import Graph, Node, Operand, Stacked, Var, capture
from prover.passes.plan import Producers


def simplify(graph: Graph) -> Graph:
    """The same function, scan bodies included, rewritten."""
    view, uses = Producers(graph), graph.uses()
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.body is not None:
            node = replace(node, body=simplify(node.body))
        nodes += _divided_later(view, uses, node) or [node]
    return without_unread(Graph(graph.inputs, tuple(nodes), graph.outputs))


def without_unread(graph: Graph) -> Graph:
    """Without nodes that no output needs."""
    needed = {x for x in graph.outputs if isinstance(x, Var)}
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(x for x in node.inputs if isinstance(x, Var))
    return Graph(graph.inputs, tuple(reversed(kept)), graph.outputs)


def rewritten(node: Node, fn: Callable[..., Any], operands: Sequence[Operand]) -> list[Node]:
    """Nodes that compute ``fn`` of the operands into the node's output."""
    arrays = [x.array if isinstance(x, Stacked) else x for x in operands]
    shapes = [jax.ShapeDtypeStruct(x.shape, a.dtype) for x, a in zip(operands, arrays, strict=True)]  # type: ignore[no-untyped-call]
    graph, _, _ = capture(fn, shapes)
    names: dict[Operand, Operand] = dict(zip(graph.inputs, operands, strict=True))
    (result,) = graph.outputs
    assert isinstance(result, Var)
    names[result] = node.outputs[0]
    return [
        replace(
            new,
            inputs=tuple(names.get(x, x) if isinstance(x, Var) else x for x in new.inputs),
            outputs=tuple(v if (v := names.get(x, x)) is not None and isinstance(v, Var) else x for x in new.outputs),
            where=node.where,
        )
        for new in graph.nodes
    ]


def _divided_later(view: Producers, uses: dict[Var, int], node: Node) -> list[Node] | None:
    """dot(a / s, b) as dot(a, b) / s where s is constant along the summed axes; None if the node is none."""
    if node.name != "dot_general":
        return None
    (lhs_sum, rhs_sum), (lhs_batch, rhs_batch) = node.params["dimension_numbers"]
    for side, sums, batch in ((0, lhs_sum, lhs_batch), (1, rhs_sum, rhs_batch)):
        operand = view.through(node.inputs[side], lambda n: n.name in ("copy", "stop_gradient"))
        division = view.of.get(operand) if isinstance(operand, Var) else None
        if division is None or division.name != "div" or uses.get(division.outputs[0]) != 1:
            continue
        numerator, divisor = division.inputs
        if not isinstance(numerator, Var) or not isinstance(divisor, Var):
            continue
        if numerator.shape != operand.shape or not _constant_along(view, divisor, sums):
            continue
        rank, other = len(operand.shape), len(node.inputs[1 - side].shape)
        free = [d for d in range(rank) if d not in (*sums, *batch)]
        others = other - len(sums) - len(batch)

        def later(a: Any, s: Any, b: Any) -> Any:
            pair = (a, b) if side == 0 else (b, a)  # noqa: B023
            product = lax.dot_general(*pair, **node.params)
            s = lax.slice(s, [0] * rank, [1 if d in sums else n for d, n in enumerate(s.shape)])  # noqa: B023
            s = lax.transpose(s, (*batch, *free, *sums))  # noqa: B023
            lead = [s.shape[j] for j in range(len(batch))]  # noqa: B023
            own = [s.shape[len(batch) + j] for j in range(len(free))]  # noqa: B023
            around = [1] * others  # noqa: B023
            shape = [*lead, *own, *around] if side == 0 else [*lead, *around, *own]  # noqa: B023
            return product / lax.reshape(s, shape)

        return rewritten(node, later, [numerator, divisor, node.inputs[1 - side]])
    return None


def _constant_along(view: Producers, operand: Var, axes: Sequence[int]) -> bool:
    """Whether the operand certainly has the same elements all along the axes."""
    if all(operand.shape[d] == 1 for d in axes):
        return True
    node = view.of.get(operand)
    if node is None or node.name != "broadcast_in_dim":
        return False
    kept = {at: d for d, at in enumerate(node.params["broadcast_dimensions"]) if node.inputs[0].shape[d] != 1}
    return all(operand.shape[d] == 1 or d not in kept for d in axes)
