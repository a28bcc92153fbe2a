"""Compensate: weights of 8 bits are rounded so that their products change least on the samples, not each to the nearest integer.

What a product's operand X shows on the samples says how much an error of each weight costs, and which later weights can take it back:
an output's squared error is ``e H e`` with ``e`` the weights' errors and ``H = X^T X``. Weights are rounded column by column, those of
the strongest columns first; each takes up what the errors so far let it correct. This is GPTQ (Frantar et al., "GPTQ: Accurate
Post-Training Quantization for Generative Pre-trained Transformers", 2022) in the form that needs no inverse (LDLQ of Chee et al., "QuIP",
2023). Only integers are chosen here: steps, dtypes and ops stay as they are.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from prover.lowering.channels.operands import NONE_RAISED, Raised
from prover.lowering.formats import Formats, weight_steps
from prover.lowering.graph import FloatGraph, FloatNode, Stacked, Var
from prover.lowering.passes.calibrate import Primitives, RealRange, let_go
from prover.lowering.passes.infinity import HUGE
from prover.lowering.passes.moments import Array, Moments, levelled, spread
from prover.lowering.passes.producers import real
from rollup.types import DType

LOG = logging.getLogger(__name__)

MOST_COLUMNS = 1 << 13
"""Weights of an output channel up to which they are compensated: some matrices of their square are held at a time."""

HELD_BYTES = 1 << 29
"""Bytes of values of all samples that are held at a time; one sample may have more. Of more samples, some all over them are taken."""

PART_ELEMENTS = 1 << 20
"""Weights that are rounded at a time."""


def compensated(
    graph: FloatGraph,
    samples: Sequence[Sequence[Any]],
    ranges: dict[Var, RealRange],
    formats: Formats,
    raised: Mapping[Var, Raised] = NONE_RAISED,
) -> dict[Var, Array]:
    """By the result of a product: the integers of its constant operand, int8 in the constant's own shape.

    ``graph``: with its constants folded. Products with 16-bit weights have none; nor have those that can't be compensated (inside a
    loop, of more than ``MOST_COLUMNS`` weights an output channel), which a log record names: they are rounded to the nearest.
    A constant that several products read in the same way is rounded once, for all of them. ``raised``: by the result of a product, what
    its weights will be multiplied by because its operand's channels are divided by it.
    """
    if formats.weight_bits != 8:
        return {}
    products = {}
    for node in graph.nodes:
        product = _product(node, ranges)
        if isinstance(product, _Product):
            products[node] = replace(product, raised=raised.get(node.outputs[0]))
        elif product is not None:
            LOG.warning("%s at %s: weights are rounded to the nearest, since %s", node.name, node.where, product)
    if not products:
        return {}
    operands = tuple(product.operand for product in products.values())
    computed = set(FloatGraph(graph.inputs, graph.nodes, operands).pruned().nodes)
    nodes = [node for node in graph.nodes if node in products or node in computed]
    last = {x: number for number, node in enumerate(nodes) for x in node.inputs if isinstance(x, Var)}
    chosen = _chosen(samples, _held(graph.inputs, nodes, computed, last))
    run = Primitives(len(chosen))
    env: dict[Var, Any] = {
        var: np.stack(column) for var, column in zip(graph.inputs, zip(*chosen, strict=True), strict=True)
    }
    rounding = _Rounding(formats.weights().dtype, Counter(product.identity for product in products.values()))
    for number, node in enumerate(nodes):
        if node in products:
            rounding.add(products[node], np.asarray(env[products[node].operand]))
        if node in computed:
            outputs = run(node, [env[x] if isinstance(x, Var) else x for x in node.inputs])
            env.update((var, x) for var, x in zip(node.outputs, outputs, strict=True) if var in last)
        for x in {x for x in node.inputs if isinstance(x, Var) and last[x] == number}:
            del env[x]
    let_go(graph)
    LOG.info("%d products' weights were rounded with compensation, on %d samples", len(products), len(chosen))
    return {node.outputs[0]: rounding.found[product.identity] for node, product in products.items()}


@dataclass
class _Rounding:
    """Weights that are rounded once all products that share them were seen: ``found``, by identity. ``left``: products still to come."""

    dtype: DType
    left: Counter[Any]
    found: dict[Any, Array] = field(default_factory=dict)
    _waiting: dict[Any, Moments] = field(default_factory=dict)
    _latest: tuple[Any, Moments] | None = None

    def add(self, product: _Product, operand: Array) -> None:
        """A product with its operand on all samples."""
        if self._latest is None or self._latest[0] != product.reads:
            # Let go of the last one first: there is room for one at a time.
            self._latest = None
            self._latest = product.reads, Moments.of(product.rows(operand))
        key, moments = product.identity, self._latest[1]
        self.left[key] -= 1
        if key in self._waiting:
            moments = self._waiting.pop(key).joined(moments)
        if self.left[key]:
            self._waiting[key] = moments
        else:
            self.found[key] = product.rounded(moments, self.dtype)


@dataclass(frozen=True, eq=False)
class _Product:
    """A product of an operand with weights.

    ``side``: which operand the weights are. ``order``: the weights' axes: those of groups (each of which sums another part of the
    operand), of channels, of what is summed. ``groups``, ``columns``: groups, and weights of one channel. ``raised``: what
    the weights are multiplied by, and the operand is divided by.
    """

    node: FloatNode
    side: int
    order: tuple[int, ...]
    groups: int
    columns: int
    raised: Raised | None = None

    @property
    def weights(self) -> Array:
        array = self.node.inputs[self.side]
        assert isinstance(array, np.ndarray)
        return array

    @property
    def operand(self) -> Var:
        x = self.node.inputs[1 - self.side]
        assert isinstance(x, Var)
        return x

    @property
    def identity(self) -> Any:
        """What the integers belong to: products with equal ones share them."""
        weights = self.weights
        place = weights.__array_interface__["data"][0], weights.shape, weights.strides, weights.dtype
        return place, self.order, self.groups, self.raised

    @property
    def reads(self) -> Any:
        """How the operand is read: products with equal ones have the same moments."""
        if self.node.name != "dot_general":
            return self.node
        sums, batch = self.node.params["dimension_numbers"]
        return self.operand, tuple(sums[1 - self.side]), tuple(batch[1 - self.side])

    def rows(self, x: Array) -> Array:
        """float32 [groups, rows, columns] of the operand on all samples, which lie along ``x``'s first axis."""
        found = _patches(self.node, x) if self.node.name != "dot_general" else self._summed(x)
        found = found.astype(np.float32, copy=False)
        # Infinities (masks) are no magnitudes.
        rows = levelled(np.where(np.abs(found) < HUGE, found, np.float32(0)))
        return rows if self.raised is None else rows / self._factors(np.float32)

    def _summed(self, x: Array) -> Array:
        sums, batch = (axes[1 - self.side] for axes in self.node.params["dimension_numbers"])
        free = [d for d in range(x.ndim - 1) if d not in (*sums, *batch)]
        moved = np.transpose(x, [*(d + 1 for d in batch), 0, *(d + 1 for d in (*free, *sums))])
        rows = moved.reshape(self.groups, -1, self.columns)
        return rows[:, spread(rows.shape[1])]

    def _factors(self, dtype: Any) -> Array:
        """[columns]: what the weights of a channel are multiplied by; all groups have the same."""
        if self.raised is None:
            return np.ones(self.columns, dtype)
        moved = np.transpose(self.raised.factors(self.weights.shape), self.order)
        factors: Array = moved.reshape(self.groups, -1, self.columns)[0, 0].astype(dtype)
        return factors

    def rounded(self, moments: Moments, dtype: DType) -> Array:
        """The weights' integers, in the weights' own shape."""
        moved = np.transpose(self.weights, self.order)
        matrix = moved.reshape(self.groups, -1, self.columns)
        integers, factors = np.empty(matrix.shape, dtype.numpy), self._factors(np.float64)
        step = max(1, PART_ELEMENTS // (self.groups * self.columns))
        for at in range(0, matrix.shape[1], step):
            part = matrix[:, at : at + step].astype(np.float64) * factors
            integers[:, at : at + step] = moments.rounded(part / weight_steps(part, 2, dtype.max), dtype)
        return np.transpose(integers.reshape(moved.shape), np.argsort(self.order))


def _product(node: FloatNode, ranges: dict[Var, RealRange]) -> _Product | str | None:
    """The node as a product with 8-bit weights; what speaks against compensating them; None if it has none."""
    if node.body is not None:
        inside = any(_product(inner, ranges) is not None for inner in node.body.nodes)
        return "the products are inside a loop; unroll it to have them compensated" if inside else None
    if node.name not in ("dot_general", "conv_general_dilated"):
        return None
    constants = [j for j, x in enumerate(node.inputs) if not isinstance(x, Var)]
    if len(constants) != 1 or not all(map(real, node.outputs)) or not isinstance(node.inputs[1 - constants[0]], Var):
        return None
    (side,) = constants
    weights = node.inputs[side]
    assert not isinstance(weights, Var)
    array = weights.array if isinstance(weights, Stacked) else weights
    if not real(array) or not np.all(np.isfinite(array)):
        # Of the latter lowering says where they are.
        return None
    rank = len(weights.shape)
    if node.name == "dot_general":
        if ranges[node.outputs[0]].hint.fine:
            return None
        sums, batch = (axes[side] for axes in node.params["dimension_numbers"])
        channels = [d for d in range(rank) if d not in (*sums, *batch)]
        order, groups = (*batch, *channels, *sums), math.prod(weights.shape[d] for d in batch)
        columns = math.prod(weights.shape[d] for d in sums)
    else:
        if side != 1:
            return None
        if node.params["batch_group_count"] > 1:
            return "it has groups of a batch"
        order, groups = tuple(node.params["dimension_numbers"].rhs_spec), node.params["feature_group_count"]
        columns = math.prod(weights.shape) // weights.shape[order[0]]
    if columns > MOST_COLUMNS or groups * columns * columns > MOST_COLUMNS * MOST_COLUMNS:
        return (
            f"an output channel has {columns:,} of them (in {groups} groups), at most {MOST_COLUMNS:,} are compensated"
        )
    return _Product(node, side, order, groups, columns)


def _patches(node: FloatNode, x: Array) -> Array:
    """[groups, rows, columns]: what a convolution's outputs sum, columns as the kernel has them (inputs of a group, window)."""
    params, numbers = node.params, node.params["dimension_numbers"]
    outputs, window = node.outputs[0].shape, [node.inputs[1].shape[d] for d in numbers.rhs_spec[2:]]
    groups = params["feature_group_count"]
    batch, *others = numbers.lhs_spec
    moved = np.transpose(x, [0, batch + 1, *(d + 1 for d in others)])
    images = moved.reshape(-1, *moved.shape[2:])
    config = [(0, 0, 0), (0, 0, 0)]
    config += [(low, high, n - 1) for (low, high), n in zip(params["padding"], params["lhs_dilation"], strict=True)]
    padded = np.asarray(jax.lax.pad(images, images.dtype.type(0), config))
    strides = padded.strides[2:]
    space = [outputs[d] for d in numbers.out_spec[2:]]
    seen = np.lib.stride_tricks.as_strided(
        padded,
        (*padded.shape[:2], *space, *window),
        (
            *padded.strides[:2],
            *(n * stride for n, stride in zip(params["window_strides"], strides, strict=True)),
            *(n * stride for n, stride in zip(params["rhs_dilation"], strides, strict=True)),
        ),
        writeable=False,
    )
    image, *at = np.unravel_index(spread(len(padded) * math.prod(space)), (len(padded), *space))
    chosen: Any = (image, slice(None), *at)
    found = seen[chosen]
    return np.moveaxis(found.reshape(len(image), groups, -1), 0, 1)


def _held(inputs: Sequence[Var], nodes: Sequence[FloatNode], computed: set[FloatNode], last: dict[Var, int]) -> int:
    """Most bytes of values of one sample that are held at a time."""

    def size(variables: Iterable[Var]) -> int:
        return sum(math.prod(var.shape) * var.dtype.itemsize for var in variables)

    now = most = size(inputs)
    for number, node in enumerate(nodes):
        now += size(node.outputs) if node in computed else 0
        most = max(most, now)
        now -= size({x for x in node.inputs if isinstance(x, Var) and last[x] == number})
        now -= size(var for var in node.outputs if var not in last) if node in computed else 0
    return most


def _chosen(samples: Sequence[Sequence[Any]], held: int) -> list[Sequence[Any]]:
    """Samples that fit into memory together, evenly spaced over all."""
    count = max(1, min(len(samples), HELD_BYTES // max(held, 1)))
    return [samples[at * len(samples) // count] for at in range(count)]
