"""Operands: values that products with weights read, and what their weights are multiplied by where channels were divided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from prover.lowering.channels.magnitudes import ChannelMagnitudes
from prover.lowering.graph import FloatGraph, FloatNode, Var
from prover.lowering.passes.producers import Producers, real

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Raised:
    """Powers of two that the weights of a product are multiplied by: ``exponents`` int32, one by channel, along the weights' ``axis``."""

    axis: int
    exponents: Array

    def factors(self, shape: Sequence[int]) -> Array:
        """float64 [shape], a view: what every weight of an array of this shape is multiplied by."""
        line = [1] * len(shape)
        line[self.axis] = shape[self.axis]
        return np.broadcast_to(np.exp2(self.exponents.astype(np.float64)).reshape(line), shape)


NONE_RAISED: Mapping[Var, Raised] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class WeightProduct:
    """A product or convolution of a variable with constant weights.

    ``operand``: the variable; ``channels``: its axis that is summed; ``weights``: the constant; ``axis``: the weights' axis that is
    summed with it; ``outputs``: their axes that lie along results.
    """

    node: FloatNode
    operand: Var
    channels: int
    weights: Array
    axis: int
    outputs: tuple[int, ...]

    def rows(self, most: int) -> Array:
        """float32 [rows, inner, channels]: the weights of at most ``most`` results, spread evenly over all."""
        rank = self.weights.ndim
        inner = [d for d in range(rank) if d not in self.outputs and d != self.axis]
        moved = np.transpose(self.weights, [*self.outputs, *inner, self.axis])
        outer = moved.shape[: len(self.outputs)]
        count = int(np.prod(outer, dtype=np.int64))
        taken = np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))
        rows = moved[np.unravel_index(taken, outer)] if outer else moved[None]
        return rows.reshape(len(rows), -1, moved.shape[-1]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class WeightOperand:
    """A variable that products with weights read, all of them along the axis ``channels``.

    ``products``: those. ``shared``: whether something else reads it, too, or it is a result. ``tied``: whether something else reads some
    of the weights, as an embedding does that is the head, too: multiplied, they would have to be stored twice.
    """

    var: Var
    channels: int
    products: tuple[WeightProduct, ...]
    shared: bool
    tied: bool


def weight_operands(graph: FloatGraph) -> list[WeightOperand]:
    """The operands of products with weights, those in loops left out.

    Left out, too, are inputs (the format of an input is chosen by what the function makes of it), operands of products in groups, and
    those of which several axes are summed.
    """
    view = Producers(graph)
    found: dict[Var, list[WeightProduct]] = {}
    for product in _products(graph):
        found.setdefault(product.operand, []).append(product)
    uses = _uses(graph)
    operands = []
    for var, products in found.items():
        axes = {product.channels for product in products}
        if len(axes) == 1 and var in view.of:
            shared = var in view.results or len(view.readers[var]) > len(products)
            tied = any(uses[_place(product.weights)] > 1 for product in products)
            operands.append(WeightOperand(var, axes.pop(), tuple(products), shared, tied))
    return operands


def unseen(operands: Sequence[WeightOperand]) -> dict[Var, ChannelMagnitudes]:
    """Magnitudes of the operands' channels, nothing known of them yet."""
    return {one.var: ChannelMagnitudes(one.channels, one.var.shape[one.channels]) for one in operands}


def _products(graph: FloatGraph) -> Iterator[WeightProduct]:
    for node in graph.nodes:
        product = _product(node) if node.name == "dot_general" else _convolution(node)
        if product is not None and real(product.weights) and real(node.outputs[0]):
            yield product


def _product(node: FloatNode) -> WeightProduct | None:
    sums, batch = node.params["dimension_numbers"]
    for side in (0, 1):
        x, weights = node.inputs[side], node.inputs[1 - side]
        if isinstance(x, Var) and isinstance(weights, np.ndarray) and len(sums[side]) == 1 and not batch[side]:
            axis = sums[1 - side][0]
            outputs = tuple(d for d in range(weights.ndim) if d != axis)
            return WeightProduct(node, x, sums[side][0], weights, axis, outputs)
    return None


def _convolution(node: FloatNode) -> WeightProduct | None:
    if node.name != "conv_general_dilated":
        return None
    (x, weights), numbers = node.inputs, node.params["dimension_numbers"]
    grouped = node.params["feature_group_count"] * node.params["batch_group_count"] > 1
    if grouped or not isinstance(x, Var) or not isinstance(weights, np.ndarray):
        return None
    return WeightProduct(node, x, numbers.lhs_spec[1], weights, numbers.rhs_spec[1], (numbers.rhs_spec[0],))


def _place(array: Array) -> int:
    """Where an array lies in memory."""
    return int(array.__array_interface__["data"][0])


def _uses(graph: FloatGraph) -> dict[int, int]:
    """How often nodes read the constants, by where they lie."""
    count: dict[int, int] = {}
    for node in graph.nodes:
        for x in node.inputs:
            if isinstance(x, np.ndarray):
                count[_place(x)] = count.get(_place(x), 0) + 1
    return count
