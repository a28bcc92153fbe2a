"""Fold: whatever depends on constants only is computed once, by JAX itself.

Inside a scan's body an operand may be *stacked*: a constant per iteration, with the iteration in front, in the order of execution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from prover.lowering.graph import Array, FloatGraph, FloatNode, Operand, Stacked, Var, bind

Known = Array | Stacked

VIEW_BYTES = 1 << 16
"""Constants from this size on are moved without a copy."""


def fold(graph: FloatGraph, inside: bool = True) -> FloatGraph:
    """The same graph without nodes whose inputs are all constants; ``inside``: those of scan bodies, too."""
    return _fold(graph, {}, inside)


def _fold(graph: FloatGraph, known: dict[Var, Known], inside: bool = True) -> FloatGraph:
    kept: list[FloatNode] = []

    def read(operand: Operand) -> Operand:
        return known.get(operand, operand) if isinstance(operand, Var) else operand

    for node in graph.nodes:
        inputs = tuple(read(x) for x in node.inputs)
        if not any(isinstance(x, Var) for x in inputs):
            known.update(zip(node.outputs, computed(node, inputs), strict=True))
            continue
        node = replace(node, inputs=inputs)
        kept.append(_fold_scan(node) if inside and node.body is not None else node)
    return FloatGraph(graph.inputs, tuple(kept), tuple(read(x) for x in graph.outputs))


def _fold_scan(node: FloatNode) -> FloatNode:
    """Constants of a scan go into its body; constant slices become stacked constants there."""
    assert node.body is not None
    fixed, carried = node.params["num_consts"], node.params["num_carry"]
    known: dict[Var, Known] = {}
    for j, (var, operand) in enumerate(zip(node.body.inputs, node.inputs, strict=True)):
        if isinstance(operand, Var):
            continue
        if j < fixed:
            known[var] = operand
        elif j >= fixed + carried and not isinstance(operand, Stacked):
            known[var] = Stacked(operand[::-1] if node.params["reverse"] else operand)
    return replace(node, body=_fold(node.body, known))


def computed(node: FloatNode, inputs: Sequence[Any]) -> list[Known]:
    """The results of a node of constants; any stacked one makes the results stacked."""
    moved = _moved(node, inputs[0]) if inputs else None
    if moved is not None:
        return [moved]
    if not any(isinstance(x, Stacked) for x in inputs):
        return [np.asarray(x) for x in bind(node, inputs)]
    axes = tuple(0 if isinstance(x, Stacked) else None for x in inputs)
    arrays = [x.array if isinstance(x, Stacked) else x for x in inputs]
    results = jax.vmap(lambda *xs: tuple(bind(node, xs)), in_axes=axes)(*arrays)
    return [Stacked(np.asarray(x)) for x in results]


def _moved(node: FloatNode, array: Any) -> Array | None:
    """A weight under another shape or order, as a view of its memory; None for any other primitive."""
    if not isinstance(array, np.ndarray) or array.nbytes < VIEW_BYTES:
        return None
    match node.name:
        case "transpose":
            return np.transpose(array, node.params["permutation"])
        case "reshape" if node.params.get("dimensions") is None:
            return array.reshape(node.params["new_sizes"])
        case "broadcast_in_dim":
            shape, dims = node.params["shape"], node.params["broadcast_dimensions"]
            lined = np.ones(len(shape), dtype=np.int64)
            lined[list(dims)] = array.shape
            return np.broadcast_to(array.reshape(lined), shape)
    return None
