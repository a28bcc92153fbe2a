"""Tree ensembles: every decision is compared at once, then all trees are walked together, a level at a time.

Comparisons are exact on any grid. Leaf weights are integers of up to 30 bits for all trees together, so that sums, and the classes
that they choose, depend on no order. No input is NaN: what a node does with missing values is of no account.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.onnx.node import OnnxNode, canonical, rule
from prover.onnx.scores import labelled, labels_of, rows_of, transform_of, transformed, two_sided
from prover.onnx.tensors import Array
from prover.onnx.trees import Ensemble, classical, general

SUM_BITS = 30
"""Of the largest sum of weights."""

AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")
"""By the numbers that ``TreeEnsemble`` uses."""

NOTHING = np.iinfo(np.int32).max
"""Instead of a weight that a leaf does not have, where the least or largest is asked for."""


SOMETIMES = "whether a class has a score at all depends on the sample; give every leaf a weight per class"


@dataclass(frozen=True, eq=False)
class Sums:
    """Integers (rows, targets) that stand for ``integers * 2^-scale``."""

    integers: Any
    scale: int

    def real(self, dtype: Any, factor: float = 1.0) -> Any:
        return self.integers.astype(dtype) * np.asarray(math.ldexp(factor, -self.scale), dtype)


def _decisions(x: Any, trees: Ensemble) -> Any:
    """Whether each decision is true: (rows, decisions)."""
    parts, first, sets = [], 0, iter(trees.members)
    for mode, count in trees.modes:
        features = trees.features[first : first + count]
        # Doubles are computed in 32 bits unless JAX is told otherwise: splits are rounded as the input is.
        splits = trees.splits[first : first + count].astype(x.dtype)
        first += count
        seen = jnp.take(x, features, axis=1, mode="clip")
        if mode == "MEMBER":
            members = [next(sets).astype(x.dtype) for _ in range(count)]
            values = np.zeros((count, max(1, *(len(own) for own in members))), x.dtype)
            held = np.zeros(values.shape, np.bool_)
            for row, own in enumerate(members):
                values[row, : len(own)], held[row, : len(own)] = own, True
            parts.append(jnp.any((seen[:, :, None] == values) & held, axis=-1))
        elif mode == "EQ":
            parts.append(seen == splits)
        else:
            parts.append(seen <= splits if mode == "LEQ" else seen < splits)
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=1)


def _leaves(x: Any, trees: Ensemble, roots: Array, children: Array) -> Any:
    """The leaf that each tree comes to, counted from the first: (rows, trees)."""
    count = trees.decisions
    at = jnp.broadcast_to(jnp.asarray(roots), (x.shape[0], len(roots)))
    if count and trees.depth:
        held = _decisions(x, trees).astype(jnp.int32)
        table = jnp.asarray(children.reshape(-1))

        def descend(_: Any, at: Any) -> Any:
            held_here = jnp.take_along_axis(held, jnp.minimum(at, count - 1), axis=1, mode="clip")
            return jnp.take(table, 2 * at + held_here, mode="clip")

        at = lax.fori_loop(0, trees.depth, descend, at)
    return at - count


def _scale(trees: Ensemble, base: Array, summed: bool) -> int:
    """Fraction bits at which no sum exceeds ``SUM_BITS``."""
    largest = np.zeros(len(trees.roots))
    np.maximum.at(largest, trees.tree[trees.leaf], np.abs(trees.weights))
    most = float(largest.sum() if summed else largest.max(initial=0.0)) + float(np.abs(base).max(initial=0.0))
    return min(SUM_BITS, max(1, SUM_BITS - math.frexp(max(most, 1.0))[1]))


def _integers(values: Array, scale: int) -> Array:
    return np.rint(np.ldexp(values, scale)).astype(np.int32)


def _checked(node: OnnxNode, trees: Ensemble, count: int) -> None:
    if trees.targets.size and (trees.targets.min() < 0 or trees.targets.max() >= count):
        raise node.error(
            f"a leaf has a weight for {int(trees.targets.max())}, but there are {count} targets or classes"
        )
    keys = trees.leaf * count + trees.targets
    if len(np.unique(keys)) != len(keys):
        raise node.error("a leaf has two weights for one target or class")


def _aggregated(node: OnnxNode, x: Any, trees: Ensemble, count: int, how: str, base: Array) -> Sums:
    """Weights of the leaves that are reached, with the base values in a sum."""
    _checked(node, trees, count)
    scale = _scale(trees, base, how in ("SUM", "AVERAGE"))
    weights = _integers(trees.weights, scale)
    node.sized((x.shape[0], max(trees.decisions, len(trees.roots) * (count if count > 1 else 1))))
    if how in ("MIN", "MAX"):
        nothing = NOTHING if how == "MIN" else -NOTHING
        table = np.full((trees.leaves, count), nothing, np.int32)
        table[trees.leaf, trees.targets] = weights
        found = jnp.take(jnp.asarray(table), _leaves(x, trees, trees.roots, trees.children), axis=0, mode="clip")
        least = jnp.min(found, axis=1) if how == "MIN" else jnp.max(found, axis=1)
        return Sums(jnp.where(least == nothing, 0, least) if (table == nothing).any() else least, scale)
    grouped = _grouped(trees, count)
    if grouped is None:
        table = np.zeros((trees.leaves, count), np.int32)
        table[trees.leaf, trees.targets] = weights
        found = jnp.take(jnp.asarray(table), _leaves(x, trees, trees.roots, trees.children), axis=0, mode="clip")
        return Sums(jnp.sum(found, axis=1), scale)
    # One target a tree: trees of a target side by side, those that lack to the longest row are a leaf of weight zero.
    row = np.zeros(trees.leaves + 1, np.int32)
    row[trees.leaf] = weights
    empty = len(trees.children)
    roots = np.where(grouped < 0, empty, trees.roots[grouped]).astype(np.int32)
    children = np.concatenate([trees.children, [[empty, empty]]]).astype(np.int32)
    found = jnp.take(jnp.asarray(row), _leaves(x, trees, roots.reshape(-1), children), mode="clip")
    return Sums(jnp.sum(found.reshape(x.shape[0], *grouped.shape), axis=2), scale)


def _grouped(trees: Ensemble, count: int) -> Array | None:
    """(targets, trees): trees by their one target, -1 where a target has fewer; None if trees have several, or rows differ much."""
    total = len(trees.roots)
    if count == 1:
        return np.arange(total)[None, :]
    pairs = np.unique(np.stack([trees.tree[trees.leaf], trees.targets]), axis=1)
    own, targets = pairs
    if len(np.unique(own)) != len(own) or len(np.unique(trees.leaf)) != len(trees.leaf):
        return None
    most = int(np.bincount(targets, minlength=count).max(initial=0))
    if not most or most * count > 2 * total:
        return None
    grouped = np.full((count, most), -1)
    for target in range(count):
        members = own[targets == target]
        grouped[target, : len(members)] = members
    return grouped


def _base(node: OnnxNode, count: int) -> Array:
    values = node.attribute("base_values_as_tensor")
    values = node.attribute("base_values") if values is None else values
    base = np.zeros(0) if values is None else np.asarray(values, np.float64).reshape(-1)
    if not np.isfinite(base).all():
        raise node.error("a base value is not finite")
    if base.size and base.size not in (1, count):
        raise node.error(f"base_values has {base.size} entries for {count} targets or classes")
    return base


@rule("TreeEnsembleRegressor", domain="ai.onnx.ml")
def _regressor(node: OnnxNode) -> Any:
    x = rows_of(node)
    trees = classical(node, "target", x.shape[1])
    count = int(node.attribute("n_targets", 1))
    how = node.attribute("aggregate_function")
    if how not in AGGREGATES:
        raise node.error(f"the aggregate function {how!r} does not exist")
    return _regressed(node, x, trees, count, how, _base(node, count), np.float32)


@rule("TreeEnsemble", domain="ai.onnx.ml")
def _ensemble(node: OnnxNode) -> Any:
    x = rows_of(node)
    trees = general(node, x.shape[1])
    count, how = int(node.attribute("n_targets", 1)), int(node.attribute("aggregate_function"))
    if not 0 <= how < len(AGGREGATES):
        raise node.error(f"the aggregate function {how} does not exist")
    return _regressed(node, x, trees, count, AGGREGATES[how], np.zeros(0), x.dtype)


def _regressed(node: OnnxNode, x: Any, trees: Ensemble, count: int, how: str, base: Array, dtype: Any) -> Any:
    if not 0 < count < 1 << 16:
        raise node.error(f"{count} targets are refused")
    if how == "AVERAGE":
        base = base * len(trees.roots)
    sums = _aggregated(node, x, trees, count, how, base)
    if base.size == count:
        sums = Sums(sums.integers + _integers(base, sums.scale), sums.scale)
    y = sums.real(dtype, 1 / len(trees.roots) if how == "AVERAGE" else 1.0)
    return transformed(y, transform_of(node))


@rule("TreeEnsembleClassifier", domain="ai.onnx.ml")
def _classifier(node: OnnxNode) -> Any:
    x = rows_of(node)
    labels = labels_of(node, "classlabels_int64s")
    count = len(labels)
    if count < 2:
        raise node.unsupported("it has one class, so there is nothing to choose")
    trees, base, kind = classical(node, "class", x.shape[1]), _base(node, count), transform_of(node)
    sums = _aggregated(node, x, trees, count, "SUM", base)
    offset = _integers(base, sums.scale)
    if count > 2:
        integers = sums.integers
        if base.size:
            integers = integers + np.pad(offset, (0, count - base.size))
        place = _largest(node, x, trees, integers, base.size)
        return labelled(node, place, labels), transformed(Sums(integers, sums.scale).real(np.float32), kind)
    return _two_classes(node, trees, sums, offset, labels, kind)


def _scored(trees: Ensemble, target: int) -> bool | None:
    """Whether every sample has a score for the target, or none has; None if it depends on the sample."""
    own = trees.leaf[trees.targets == target]
    if not len(own):
        return False
    with_score = np.bincount(trees.tree[np.unique(own)], minlength=len(trees.roots))
    return True if (with_score == np.bincount(trees.tree, minlength=len(trees.roots))).any() else None


def _largest(node: OnnxNode, x: Any, trees: Ensemble, integers: Any, based: int) -> Any:
    """The first class with the largest score, among those that have one."""
    scored = [True if target < based else _scored(trees, target) for target in range(integers.shape[1])]
    if any(own is None for own in scored):
        raise node.unsupported(SOMETIMES)
    if not all(scored):
        lowest = np.where(np.asarray(scored, np.bool_), 0, np.iinfo(np.int32).min).astype(np.int32)
        integers = jnp.where(lowest == 0, integers, lowest)
    return jnp.argmax(integers, axis=1)


def _two_classes(node: OnnxNode, trees: Ensemble, sums: Sums, offset: Array, labels: Array, kind: str) -> Any:
    """As onnxruntime does it: one class with weights is the second class's score, whatever its number is."""
    first, second = _scored(trees, 0), _scored(trees, 1)
    if first is None or second is None:
        raise node.unsupported(SOMETIMES)
    single = len(np.unique(trees.targets)) == 1
    if not single and labels.tolist() != [0, 1]:
        raise node.unsupported(
            f"both classes have weights, and then runtimes answer 0 and 1 instead of the labels {labels.tolist()}; train with 0 and 1"
        )
    unit = single and bool((trees.weights >= 0).all())
    zero, one = sums.integers[:, :1], sums.integers[:, 1:]
    if offset.size == 2 and second:
        one = zero + offset[1]
        zero = -one
    elif offset.size:
        zero = zero + offset[0]
    # Without a score of its own the second class takes the first one's.
    deciding = one if second else zero
    place = (deciding[:, 0] > ((1 << sums.scale) // 2 if unit else 0)).astype(canonical(np.int64))
    label = labelled(node, place, labels)
    if second or offset.size == 2:
        zero = zero if first else jnp.zeros_like(zero)
        both = Sums(jnp.concatenate([zero, one], axis=1), sums.scale)
        return label, transformed(both.real(np.float32), kind)
    return label, two_sided(Sums(zero, sums.scale).real(np.float32), kind, unit)
