"""Columns of an input that differ by orders of magnitude, in front of a product with weights: each by its own power of two.

A product reads its operand in one format, and its weights in one per output channel. Where a column is far weaker than the strongest
one, so is its part in the operand's bits, and its weights take those of all others. Moving a power of two from the weights to the
column changes neither a product nor a float.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from prover.lowering.graph import FloatGraph, FloatNode, Var

FAR = 16.0
"""Columns whose largest magnitudes differ by more than this factor are balanced."""

MOST_SHIFT = 40


def balanced(graph: FloatGraph, samples: Sequence[Sequence[Any]]) -> FloatGraph:
    """The graph with the columns of its inputs brought to like magnitudes, as the samples show them, where weights sum over them."""
    given = {var: number for number, var in enumerate(graph.inputs) if var.dtype in (np.float32, np.float64)}
    nodes: list[FloatNode] = []
    for node in graph.nodes:
        found = _summed(node, given)
        if found is not None:
            side, axis, of_weights = found
            var = node.inputs[side]
            assert isinstance(var, Var)
            shifts = _shifts([np.asarray(sample[given[var]]) for sample in samples], axis)
            if shifts is not None:
                scaled = Var(var.shape, var.dtype)
                factors = np.ldexp(np.ones(len(shifts), var.dtype), shifts)
                nodes.append(
                    FloatNode(jax.lax.mul_p, {}, (var, _along(factors, axis, var.shape)), (scaled,), node.where)
                )
                node = _with(node, side, scaled, of_weights, 1 / factors)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _summed(node: FloatNode, given: dict[Var, int]) -> tuple[int, int, int] | None:
    """Of a product of an input with weights over one axis: (the input's operand number, its axis, the weights' axis)."""
    if node.name != "dot_general":
        return None
    sums, _ = node.params["dimension_numbers"]
    for side in (0, 1):
        x, weights = node.inputs[side], node.inputs[1 - side]
        if isinstance(x, Var) and x in given and isinstance(weights, np.ndarray) and len(sums[side]) == 1:
            return side, sums[side][0], sums[1 - side][0]
    return None


def _shifts(samples: Sequence[np.ndarray], axis: int) -> np.ndarray | None:
    """By column: how many powers of two it is below the largest; None if none is far below."""
    others = tuple(d for d in range(samples[0].ndim) if d != axis)
    columns = np.max([np.abs(sample.astype(np.float64)).max(axis=others) for sample in samples], axis=0)
    columns = np.where(np.isfinite(columns), columns, 0)
    if not columns.any() or columns.max() <= FAR * columns[columns > 0].min():
        return None
    below = np.log2(columns.max() / np.where(columns > 0, columns, columns.max()))
    shifts: np.ndarray = np.minimum(np.floor(below), MOST_SHIFT).astype(np.int32)
    return shifts


def _along(factors: np.ndarray, axis: int, shape: tuple[int, ...]) -> np.ndarray:
    """Factors of an axis, as large as the whole array."""
    line = [1] * len(shape)
    line[axis] = len(factors)
    return np.ascontiguousarray(np.broadcast_to(factors.reshape(line), shape))


def _with(node: FloatNode, side: int, scaled: Var, axis: int, factors: np.ndarray) -> FloatNode:
    inputs = list(node.inputs)
    weights = inputs[1 - side]
    assert isinstance(weights, np.ndarray)
    inputs[side] = scaled
    inputs[1 - side] = weights * _along(factors.astype(weights.dtype), axis, weights.shape)
    return replace(node, inputs=tuple(inputs))
