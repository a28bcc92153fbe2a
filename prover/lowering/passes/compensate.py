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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np

from prover.lowering.capture import Graph, Node, Stacked, Var
from prover.lowering.formats import Formats, weight_steps
from prover.lowering.passes.calibrate import Primitives, RealRange, let_go
from prover.lowering.passes.infinity import HUGE
from prover.lowering.passes.producers import real
from rollup.types import DType

LOG = logging.getLogger(__name__)

MOST_COLUMNS = 1 << 13
"""Weights of an output channel up to which they are compensated: some matrices of their square are held at a time."""

MOST_ROWS = 1 << 14
"""Rows of an operand that are looked at, spread over all samples and positions."""

HELD_BYTES = 1 << 29
"""Bytes of values of all samples that are held at a time; one sample may have more. Of more samples, some all over them are taken."""

LEAST_DAMPING = 0.01
"""Share of the mean square of the columns that is added to each column's at least."""

PART_ROWS = 1 << 12
PART_ELEMENTS = 1 << 20
"""Rows that are multiplied with each other, and weights that are rounded, at a time."""

BLOCK = 64
"""Columns whose errors are passed on one by one; to all others they go together."""

LEAST_EXPONENT = -100
"""Of the largest magnitude of an operand; what is smaller counts as zero."""

GOLDEN = (math.sqrt(5) - 1) / 2

Array = np.ndarray[Any, np.dtype[Any]]


def compensated(
    graph: Graph, samples: Sequence[Sequence[Any]], ranges: dict[Var, RealRange], formats: Formats
) -> dict[Var, Array]:
    """By the result of a product: the integers of its constant operand, int8 in the constant's own shape.

    ``graph``: with its constants folded. Products with 16-bit weights have none; nor have those that can't be compensated (inside a
    loop, of more than ``MOST_COLUMNS`` weights an output channel), which a log record names: they are rounded to the nearest.
    A constant that several products read in the same way is rounded once, for all of them.
    """
    if formats.weight_bits != 8:
        return {}
    products = {}
    for node in graph.nodes:
        product = _product(node, ranges)
        if isinstance(product, _Product):
            products[node] = product
        elif product is not None:
            LOG.warning("%s at %s: weights are rounded to the nearest, since %s", node.name, node.where, product)
    if not products:
        return {}
    operands = tuple(product.operand for product in products.values())
    computed = set(Graph(graph.inputs, graph.nodes, operands).pruned().nodes)
    nodes = [node for node in graph.nodes if node in products or node in computed]
    last = {x: number for number, node in enumerate(nodes) for x in node.inputs if isinstance(x, Var)}
    chosen = _chosen(samples, _held(graph.inputs, nodes, computed, last))
    run = Primitives(len(chosen))
    env: dict[Var, Any] = {
        var: np.stack(column) for var, column in zip(graph.inputs, zip(*chosen, strict=True), strict=True)
    }
    left = Counter(product.identity for product in products.values())
    waiting: dict[Any, _Moments] = {}
    latest: tuple[Any, _Moments | None] = None, None
    found: dict[Any, Array] = {}
    for number, node in enumerate(nodes):
        product = products.get(node)
        if product is not None:
            if latest[0] != product.reads or latest[1] is None:
                # Let go of the last one first: there is room for one at a time.
                latest = None, None
                latest = product.reads, _Moments.of(product.rows(np.asarray(env[product.operand])))
            moments, key = latest[1], product.identity
            assert moments is not None
            left[key] -= 1
            if key in waiting:
                moments = waiting.pop(key).joined(moments)
            if left[key]:
                waiting[key] = moments
            else:
                found[key] = product.rounded(moments, formats.weight)
        if node in computed:
            outputs = run(node, [env[x] if isinstance(x, Var) else x for x in node.inputs])
            env.update((var, x) for var, x in zip(node.outputs, outputs, strict=True) if var in last)
        for x in {x for x in node.inputs if isinstance(x, Var) and last[x] == number}:
            del env[x]
    let_go(graph)
    LOG.info("%d products' weights were rounded with compensation, on %d samples", len(products), len(chosen))
    return {node.outputs[0]: found[product.identity] for node, product in products.items()}


@dataclass(frozen=True, eq=False)
class _Product:
    """A product of an operand with weights.

    ``side``: which operand the weights are. ``order``: the weights' axes: those of groups (each of which sums another part of the
    operand), of channels, of what is summed. ``groups``, ``columns``: groups, and weights of one channel.
    """

    node: Node
    side: int
    order: tuple[int, ...]
    groups: int
    columns: int

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
        return place, self.order, self.groups

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
        return _levelled(np.where(np.abs(found) < HUGE, found, np.float32(0)))

    def _summed(self, x: Array) -> Array:
        sums, batch = (axes[1 - self.side] for axes in self.node.params["dimension_numbers"])
        free = [d for d in range(x.ndim - 1) if d not in (*sums, *batch)]
        moved = np.transpose(x, [*(d + 1 for d in batch), 0, *(d + 1 for d in (*free, *sums))])
        rows = moved.reshape(self.groups, -1, self.columns)
        return rows[:, _spread(rows.shape[1])]

    def rounded(self, moments: _Moments, dtype: DType) -> Array:
        """The weights' integers, in the weights' own shape."""
        moved = np.transpose(self.weights, self.order)
        matrix = moved.reshape(self.groups, -1, self.columns)
        integers = np.empty(matrix.shape, dtype.numpy)
        step = max(1, PART_ELEMENTS // (self.groups * self.columns))
        for at in range(0, matrix.shape[1], step):
            part = matrix[:, at : at + step].astype(np.float64)
            integers[:, at : at + step] = moments.rounded(part / weight_steps(part, 2, dtype), dtype)
        return np.transpose(integers.reshape(moved.shape), np.argsort(self.order))


def _product(node: Node, ranges: dict[Var, RealRange]) -> _Product | str | None:
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


def _spread(count: int) -> Array:
    """At most ``MOST_ROWS`` of ``count`` row numbers, spread evenly whatever periods the rows have; in order."""
    if count <= MOST_ROWS:
        return np.arange(count)
    return np.unique((np.arange(MOST_ROWS) * GOLDEN % 1.0 * count).astype(np.int64))


def _levelled(rows: Array) -> Array:
    """The rows (changed in place), those that are longer than the median of their group brought to its length.

    A language model can have a few rows that are far longer than all others. They would outweigh these, though a norm behind the product
    makes little of their length.
    """
    lengths = np.sqrt(np.einsum("grk,grk->gr", rows, rows, dtype=np.float64))
    for group, length in zip(rows, lengths, strict=True):
        if length.any():
            typical = np.median(length[length > 0])
            group *= (typical / np.maximum(length, typical)).astype(np.float32)[:, None]
    return rows


def _patches(node: Node, x: Array) -> Array:
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
    image, *at = np.unravel_index(_spread(len(padded) * math.prod(space)), (len(padded), *space))
    chosen: Any = (image, slice(None), *at)
    found = seen[chosen]
    return np.moveaxis(found.reshape(len(image), groups, -1), 0, 1)


@dataclass(frozen=True, eq=False)
class _Moments:
    """``gram`` float64 [groups, columns, columns]: X^T X of ``rows`` rows."""

    gram: Array
    rows: int

    @classmethod
    def of(cls, x: Array) -> _Moments:
        """Of float32 [groups, rows, columns], in units of a power of two at which no square leaves float32."""
        exponent = math.frexp(float(np.abs(x).max(initial=0)))[1]
        unit = np.float32(2.0 ** -max(exponent, LEAST_EXPONENT))
        gram = np.zeros((len(x), x.shape[2], x.shape[2]))
        for at in range(0, x.shape[1], PART_ROWS):
            part = x[:, at : at + PART_ROWS] * unit
            gram += np.matmul(np.swapaxes(part, 1, 2), part)
        gram /= float(unit) ** 2
        return cls(gram, x.shape[1])

    def joined(self, other: _Moments) -> _Moments:
        return _Moments(self.gram + other.gram, self.rows + other.rows)

    @cached_property
    def _factored(self) -> tuple[Array, Array]:
        """(order of the columns, weakest first; unit lower triangular float32 L with L D L^T = the damped Gram matrix in that order).

        Samples show a part of what will come: of ``columns`` unknown rows each column is taken to hold the mean square.
        """
        columns = self.gram.shape[1]
        squares = np.diagonal(self.gram, axis1=1, axis2=2)
        order = np.argsort(squares, axis=1, kind="stable")
        mean = squares.mean(axis=1)
        damping = np.where(mean > 0, mean, 1.0) * max(LEAST_DAMPING, columns / self.rows)
        factor = np.empty(self.gram.shape, np.float32)
        for group, line in enumerate(order):
            damped = self.gram[group][np.ix_(line, line)]
            damped[np.diag_indices(columns)] += damping[group]
            lower = np.linalg.cholesky(damped)
            factor[group] = lower / np.diagonal(lower)
        return order, factor

    def rounded(self, weights: Array, dtype: DType) -> Array:
        """Integers for ``weights`` [groups, channels, columns], which are given in steps.

        Columns are rounded from the strongest to the weakest: what is rounded is the weight and what of all errors so far it can take
        back, by the factor's columns.
        """
        order, factor = self._factored
        line = order[:, None, :]
        given = np.ascontiguousarray(np.swapaxes(np.take_along_axis(weights, line, axis=2), 1, 2), dtype=np.float32)
        wanted, errors = given.copy(), np.zeros_like(given)
        for end in range(given.shape[1], 0, -BLOCK):
            start = max(0, end - BLOCK)
            for j in range(end - 1, start - 1, -1):
                behind = factor[:, j + 1 : end, j][:, None, :]
                value = wanted[:, j] + np.matmul(behind, errors[:, j + 1 : end])[:, 0]
                errors[:, j] = given[:, j] - np.clip(np.rint(value), -dtype.max, dtype.max)
            passed = np.swapaxes(factor[:, start:end, :start], 1, 2)
            wanted[:, :start] += np.matmul(passed, errors[:, start:end])
        integers = np.empty(weights.shape, dtype.numpy)
        np.put_along_axis(integers, line, np.swapaxes(np.rint(given - errors), 1, 2).astype(dtype.numpy), axis=2)
        return integers


def _held(inputs: Sequence[Var], nodes: Sequence[Node], computed: set[Node], last: dict[Var, int]) -> int:
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
