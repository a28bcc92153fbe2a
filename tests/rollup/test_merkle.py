"""Trees, branches and multi-proofs: what folds is what was proven, and nothing else does."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollup.errors import CommitmentError
from rollup.merkle import (
    Overlay,
    TraceTree,
    Tree,
    branch,
    depth_for,
    depth_of,
    fold,
    fold_branch,
    hash_leaf,
    hash_node,
    join_root,
    multiproof,
    tensor_tree,
    zero,
)
from rollup.types import LEAF_BYTES, Gindex, Root

roots = st.binary(min_size=32, max_size=32).map(Root)


@st.composite
def trees(draw: st.DrawFn) -> tuple[Tree, list[Root]]:
    depth = draw(st.integers(0, 6))
    leaves = draw(st.lists(roots, min_size=1, max_size=1 << depth))
    return Tree(leaves, depth), leaves


@st.composite
def opened(draw: st.DrawFn) -> tuple[Tree, dict[int, Root]]:
    tree, _ = draw(trees())
    indices = draw(st.sets(st.integers(0, (1 << tree.depth) - 1), min_size=1, max_size=20))
    return tree, {j: tree.node(Gindex((1 << tree.depth) + j)) for j in indices}


@given(opened())
def test_multiproof_folds_to_the_root(case: tuple[Tree, dict[int, Root]]) -> None:
    tree, leaves = case
    assert fold(leaves, tree.depth, multiproof(tree, leaves, tree.depth)) == tree.root


@given(opened(), st.data())
def test_tampered_leaf_does_not_fold_to_the_root(case: tuple[Tree, dict[int, Root]], data: st.DataObject) -> None:
    tree, leaves = case
    proof = multiproof(tree, leaves, tree.depth)
    index = data.draw(st.sampled_from(sorted(leaves)))
    other = data.draw(roots.filter(lambda root: root != leaves[index]))
    assert fold({**leaves, index: other}, tree.depth, proof) != tree.root


@given(opened(), st.data())
def test_tampered_sibling_does_not_fold_to_the_root(case: tuple[Tree, dict[int, Root]], data: st.DataObject) -> None:
    tree, leaves = case
    proof = multiproof(tree, leaves, tree.depth)
    if not proof:
        assert len(leaves) == 1 << tree.depth
        return
    at = data.draw(st.integers(0, len(proof) - 1))
    other = data.draw(roots.filter(lambda root: root != proof[at]))
    assert fold(leaves, tree.depth, [*proof[:at], other, *proof[at + 1 :]]) != tree.root


@given(opened(), roots)
def test_missing_and_surplus_siblings_are_refused(case: tuple[Tree, dict[int, Root]], surplus: Root) -> None:
    tree, leaves = case
    proof = multiproof(tree, leaves, tree.depth)
    with pytest.raises(CommitmentError, match="left over"):
        fold(leaves, tree.depth, [*proof, surplus])
    if proof:
        with pytest.raises(CommitmentError, match="too few"):
            fold(leaves, tree.depth, proof[:-1])


@given(opened())
def test_leaves_outside_the_tree_are_refused(case: tuple[Tree, dict[int, Root]]) -> None:
    tree, leaves = case
    for outside in (-1, 1 << tree.depth):
        with pytest.raises(CommitmentError, match="do not lie in a tree"):
            fold({**leaves, outside: zero(0)}, tree.depth, [])
    with pytest.raises(CommitmentError, match="do not lie in a tree"):
        fold({}, tree.depth, [])


@given(trees(), st.data())
def test_branch_folds_to_the_root(case: tuple[Tree, list[Root]], data: st.DataObject) -> None:
    tree, _ = case
    gindex = Gindex(data.draw(st.integers(1, (2 << tree.depth) - 1)))
    siblings = branch(tree, gindex)
    assert fold_branch(tree.node(gindex), gindex, siblings) == tree.root
    with pytest.raises(CommitmentError, match="siblings, not"):
        fold_branch(tree.node(gindex), gindex, [*siblings, zero(0)])


@given(st.binary(max_size=5 * LEAF_BYTES), st.integers(0, 3))
def test_tensor_tree_is_the_tree_of_zero_padded_leaves(data: bytes, more: int) -> None:
    count = max(1, -(-len(data) // LEAF_BYTES))
    depth = depth_for(count) + more
    level = [hash_leaf(data[j * LEAF_BYTES : (j + 1) * LEAF_BYTES]) for j in range(1 << depth)]
    while len(level) > 1:
        level = [hash_node(level[j], level[j + 1]) for j in range(0, len(level), 2)]
    assert tensor_tree(data, depth).root == level[0]


def test_prefixes_keep_leaves_nodes_and_zero_subtrees_apart() -> None:
    assert hash_leaf(b"x") == sha256(b"\x00" + b"x".ljust(LEAF_BYTES, b"\x00")).digest()
    assert hash_node(zero(0), zero(0)) == zero(1) == sha256(b"\x01" + zero(0) * 2).digest()
    assert hash_leaf(zero(0) * 2) != zero(1)


def test_one_tensor_is_its_own_input_root() -> None:
    root = tensor_tree(b"abc", 2).root
    assert join_root([root], 2) == root
    assert join_root([root, root, root], 2) == hash_node(hash_node(root, root), hash_node(root, zero(2)))


def test_too_many_leaves_are_refused() -> None:
    with pytest.raises(CommitmentError, match="use a depth of at least 2"):
        Tree([zero(0)] * 3, 1)


@given(st.lists(st.binary(max_size=3 * LEAF_BYTES), min_size=1, max_size=5))
def test_trace_tree_equals_the_tree_over_all_leaves(tensors: list[bytes]) -> None:
    trace_depth, tensor_depth = depth_for(len(tensors)), 2
    trace = TraceTree(
        [tensor_tree(t, tensor_depth).root for t in tensors], trace_depth, tensor_depth, tensors.__getitem__
    )
    padded = [t.ljust(LEAF_BYTES << tensor_depth, b"\x00") for t in tensors]
    whole = b"".join(padded).ljust(LEAF_BYTES << trace.depth, b"\x00")
    flat = tensor_tree(whole, trace.depth)
    assert all(trace.node(Gindex(g)) == flat.node(Gindex(g)) for g in range(1, 2 << trace.depth))
    for leaf in range(1 << trace.depth):
        assert trace.leaf_bytes(leaf) == whole[leaf * LEAF_BYTES : (leaf + 1) * LEAF_BYTES]
    for state in range(len(tensors) + 1):
        cut = b"".join(padded[:state]).ljust(LEAF_BYTES << trace.depth, b"\x00")
        assert trace.state_root(state) == tensor_tree(cut, trace.depth).root


class _Top:
    """The upper levels of a tree."""

    def __init__(self, tree: Tree, levels: int) -> None:
        self._tree, self._levels = tree, levels

    def node(self, gindex: Gindex) -> Root:
        if depth_of(gindex) > self._levels:
            raise CommitmentError(f"node {gindex} was never revealed")
        return self._tree.node(gindex)


@given(trees(), st.data())
def test_an_overlay_asks_the_first_source_that_knows_a_node(case: tuple[Tree, list[Root]], data: st.DataObject) -> None:
    tree, leaves = case
    top = _Top(tree, data.draw(st.integers(0, tree.depth)))
    other = Tree([hash_node(leaf, leaf) for leaf in leaves], tree.depth)
    for g in range(1, 2 << tree.depth):
        known = tree if depth_of(Gindex(g)) <= top._levels else other
        assert Overlay(top, other).node(Gindex(g)) == known.node(Gindex(g))
    if top._levels < tree.depth:
        with pytest.raises(CommitmentError, match="never revealed"):
            Overlay(top, top).node(Gindex(2 << top._levels))
