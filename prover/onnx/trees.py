"""Decision trees of a model file as tables: every list is checked here, once, before anything is computed with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prover.onnx.node import OnnxNode
from prover.onnx.tensors import Array

MODES = ("LEQ", "LT", "GTE", "GT", "EQ", "NEQ", "MEMBER")
"""Of a node, by the numbers that ``TreeEnsemble`` uses."""

MOST_NODES = 1 << 22
DEEPEST = 1 << 10
"""Decisions on the way to a leaf."""

NEGATED = {"GTE": "LT", "GT": "LEQ", "NEQ": "EQ"}
"""A test, and the one that holds where it does not: no input is NaN."""


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Trees over one numbering: decisions come first, ordered by ``modes``, then the leaves.

    ``features``, ``splits``: of the decisions; ``members``: sets of those whose mode is MEMBER, in order; ``children``: (nodes, 2),
    where a decision goes if it is false or true, a leaf to itself; ``roots``: a node per tree; ``depth``: decisions on the longest
    way; ``leaf``, ``targets``, ``weights``: a row per weight of a leaf, the leaf counted from the first one.
    """

    features: Array
    splits: Array
    modes: tuple[tuple[str, int], ...]
    members: tuple[Array, ...]
    children: Array
    roots: Array
    depth: int
    leaves: int
    leaf: Array
    targets: Array
    weights: Array
    tree: Array
    """Of every leaf: the first one that has it, counted from the first tree."""

    @property
    def decisions(self) -> int:
        return len(self.features)


def _lists(node: OnnxNode, names: Sequence[str], count: int | None = None) -> list[Array]:
    """Attributes as arrays of one length. Raises LoweringError naming the one that is missing or too short."""
    found: list[Array] = []
    for name in names:
        value = node.attribute(name)
        tensor = node.attribute(f"{name}_as_tensor")
        if value is not None and tensor is not None:
            raise node.error(f"it has both {name} and {name}_as_tensor")
        value = tensor if value is None else value
        if value is None:
            raise node.error(f"the attribute {name!r} is missing")
        array = np.asarray(value).reshape(-1)
        count = len(array) if count is None else count
        if len(array) != count:
            raise node.error(f"{name} has {len(array)} entries where {count} are expected")
        found.append(array)
    return found


def _checked(node: OnnxNode, splits: Array, weights: Array, features: Array, width: int) -> None:
    if np.isnan(splits).any() or np.isnan(weights).any() or np.isinf(weights).any():
        raise node.error("a split is NaN, or a weight is not finite; export the model again")
    if features.size and (features.min() < 0 or features.max() >= width):
        wrong = int(features.min() if features.min() < 0 else features.max())
        raise node.error(f"a node looks at feature {wrong} of an input with {width}")


def classical(node: OnnxNode, kind: str, width: int) -> Ensemble:
    """The trees of TreeEnsembleClassifier (``kind`` "class") or TreeEnsembleRegressor ("target"); ``width``: features of the input."""
    integers = ("nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids")
    trees, ids, features, yes, no = _lists(node, integers)
    count = len(trees)
    (splits,) = _lists(node, ["nodes_values"], count)
    modes = node.attribute("nodes_modes") or ()
    if len(modes) != count:
        raise node.error(f"nodes_modes has {len(modes)} entries where {count} are expected")
    if not 0 < count <= MOST_NODES:
        raise node.error(f"{count} nodes are refused; 1 to {MOST_NODES} are expected")
    place = {key: j for j, key in enumerate(zip(trees.tolist(), ids.tolist(), strict=True))}
    if len(place) != count:
        raise node.error("two nodes of one tree have the same number")
    names = np.asarray([mode.removeprefix("BRANCH_") for mode in modes])
    for name in sorted(set(names.tolist()) - {"LEAF", *MODES[:6]}):
        raise node.error(f"the node mode {name!r} does not exist")
    inner = names != "LEAF"
    children = np.tile(np.arange(count)[:, None], (1, 2))
    for side, targets in enumerate((no, yes)):
        for j in np.flatnonzero(inner):
            found = place.get((int(trees[j]), int(targets[j])))
            if found is None:
                raise node.error(f"node {ids[j]} of tree {trees[j]} has the child {targets[j]}, which does not exist")
            children[j, side] = found
    parented = np.zeros(count, np.bool_)
    parented[children[inner].reshape(-1)] = True
    roots = np.flatnonzero(~parented)
    owners, counts = np.unique(trees[roots], return_counts=True)
    if len(owners) != len(np.unique(trees)) or (counts > 1).any():
        wrong = next(t for t in np.unique(trees) if np.sum(trees[roots] == t) != 1)
        raise node.error(
            f"tree {wrong} has {np.sum(trees[roots] == wrong)} nodes without a parent; a tree has one root"
        )
    at, targets, weights = _weights(node, kind, place, inner)
    _checked(node, splits[inner], weights, features[inner], width)
    return _numbered(node, names, features, splits, children, roots, (at, targets, weights), [])


def _weights(node: OnnxNode, kind: str, place: dict[tuple[int, int], int], inner: Array) -> tuple[Array, Array, Array]:
    """(node, target, weight) of every weight of a leaf; weights of other nodes count for nothing."""
    prefix = kind
    owner, ids, targets, weights = _lists(
        node, (f"{prefix}_treeids", f"{prefix}_nodeids", f"{prefix}_ids", f"{prefix}_weights")
    )
    at = np.empty(len(owner), np.int64)
    for j, key in enumerate(zip(owner.tolist(), ids.tolist(), strict=True)):
        found = place.get(key)
        if found is None:
            raise node.error(f"{prefix}_nodeids names node {key[1]} of tree {key[0]}, which does not exist")
        at[j] = found
    kept = ~inner[at]
    return at[kept], targets[kept], weights[kept]


def general(node: OnnxNode, width: int) -> Ensemble:
    """The trees of TreeEnsemble (operator set 5): decisions and leaves have lists of their own."""
    features, yes, no, yes_leaf, no_leaf = _lists(
        node,
        ("nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids", "nodes_trueleafs", "nodes_falseleafs"),
    )
    count = len(features)
    splits, modes = _lists(node, ["nodes_splits", "nodes_modes"], count)
    targets, weights = _lists(node, ["leaf_targetids", "leaf_weights"])
    (roots,) = _lists(node, ["tree_roots"])
    if not 0 < count + len(targets) <= MOST_NODES or not count or not len(targets):
        raise node.error(f"{count} nodes and {len(targets)} leaves are refused")
    if modes.size and (modes.min() < 0 or modes.max() >= len(MODES)):
        raise node.error(f"a node has the mode {int(modes.max())}, which does not exist")
    if roots.size == 0 or roots.min() < 0 or roots.max() >= count:
        raise node.error("a tree's root does not exist")
    children = np.empty((count + len(targets), 2), np.int64)
    children[count:] = np.arange(count, len(children))[:, None]
    for side, (to, leaf) in enumerate(((no, no_leaf), (yes, yes_leaf))):
        most = np.where(leaf != 0, len(targets), count)
        if (to < 0).any() or (to >= most).any():
            wrong = int(np.flatnonzero((to < 0) | (to >= most))[0])
            raise node.error(f"node {wrong} has the child {to[wrong]}, which does not exist")
        children[:count, side] = np.where(leaf != 0, count + to, to)
    _checked(node, splits, weights, features, width)
    names = np.asarray([MODES[int(m)] for m in modes] + ["LEAF"] * len(targets))
    padded = [np.concatenate([x, np.zeros(len(targets), x.dtype)]) for x in (features, splits)]
    at = np.arange(count, count + len(targets))
    sets = _sets(node, int((names == "MEMBER").sum()))
    return _numbered(node, names, padded[0], padded[1], children, roots, (at, targets, weights), sets)


def _sets(node: OnnxNode, count: int) -> list[Array]:
    """The sets of the MEMBER nodes, in order: each ends with a NaN."""
    values = node.attribute("membership_values")
    values = np.zeros(0, np.float32) if values is None else np.asarray(values).reshape(-1)
    ends = np.flatnonzero(np.isnan(values))
    if len(ends) != count or (count and ends[-1] != len(values) - 1):
        raise node.error(
            f"membership_values has {len(ends)} sets where {count} are expected, each with a NaN at its end"
        )
    if not count:
        return []
    return [values[a:b] for a, b in zip([0, *(ends[:-1] + 1)], ends, strict=True)]


def _numbered(
    node: OnnxNode,
    names: Array,
    features: Array,
    splits: Array,
    children: Array,
    roots: Array,
    weighted: tuple[Array, Array, Array],
    sets: Sequence[Array],
) -> Ensemble:
    """One numbering, decisions of one mode together; a decision that is negated has its children exchanged."""
    leaves = names == "LEAF"
    owner, depth = _owners(node, children, roots, leaves)
    for mode, other in NEGATED.items():
        turned = names == mode
        children[turned] = children[turned][:, ::-1]
        names = np.where(turned, other, names)
    rank = np.select([names == "LEQ", names == "LT", names == "EQ", names == "MEMBER"], [0, 1, 2, 3], 4)
    order = np.argsort(rank, kind="stable")
    new = np.empty_like(order)
    new[order] = np.arange(len(order))
    inner = order[: int((~leaves).sum())]
    modes = tuple((mode, int((names == mode).sum())) for mode in ("LEQ", "LT", "EQ", "MEMBER") if (names == mode).any())
    at, targets, weights = weighted
    return Ensemble(
        features[inner].astype(np.int32),
        splits[inner].astype(np.float64),
        modes,
        tuple(sets),
        new[children[order]].astype(np.int32),
        new[roots].astype(np.int32),
        depth,
        int(leaves.sum()),
        new[at] - len(inner),
        targets.astype(np.int64),
        weights.astype(np.float64),
        owner[order][len(inner) :],
    )


def _owners(node: OnnxNode, children: Array, roots: Array, leaves: Array) -> tuple[Array, int]:
    """(every node's tree, counted from the first; decisions on the longest way). No decision is reached twice."""
    owner = np.full(len(children), -1, np.int64)
    level, own, depth = np.asarray(roots), np.arange(len(roots)), 0
    while True:
        fresh = ~leaves[level]
        level, own = level[fresh], own[fresh]
        if depth == 0:
            owner[roots] = np.arange(len(roots))
            if len(np.unique(level)) != len(level):
                raise node.error("two trees have the same root")
        if not len(level):
            break
        depth += 1
        if depth > DEEPEST:
            raise node.error(f"a tree is deeper than {DEEPEST} decisions")
        below, whose = children[level].reshape(-1), np.repeat(own, 2)
        decisions = below[~leaves[below]]
        if len(np.unique(decisions)) != len(decisions) or (owner[decisions] >= 0).any():
            raise node.error("its nodes form a cycle, or one has two parents: they are no trees")
        owner[below] = np.where(owner[below] < 0, whose, owner[below])
        level, own = below, whose
    if (owner[~leaves] < 0).any():
        raise node.error("its nodes form a cycle: some are reached from no root")
    return owner, depth
