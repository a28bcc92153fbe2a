"""Commitments: leaves of 1 KiB, prefixed SHA-256 nodes, zero-extended trees, multi-proofs, partial trees.

The encoding is in docs/formats.md, *Commitments*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from typing import Protocol

import numpy as np

from rollup.errors import CommitmentError
from rollup.hashing import LEAF_PREFIX, NODE_BYTES, NODE_PREFIX, Data, extents, hasher, leaf_count
from rollup.types import LEAF_BYTES, Gindex, Root


def hash_leaf(data: bytes | memoryview) -> Root:
    """Hash of one leaf; ``data`` is at most 1,024 bytes and is padded with zeros."""
    assert len(data) <= LEAF_BYTES
    return Root(sha256(LEAF_PREFIX + bytes(data).ljust(LEAF_BYTES, b"\x00")).digest())


def hash_node(left: Root, right: Root) -> Root:
    return Root(sha256(NODE_PREFIX + left + right).digest())


def hash_header(data: bytes) -> Root:
    return Root(sha256(b"\x02" + data).digest())


def hash_descriptor(data: bytes) -> Root:
    return Root(sha256(b"\x03" + data).digest())


def hash_interface(data: bytes) -> Root:
    return Root(sha256(b"\x06" + data).digest())


EMPTY = Root(bytes(32))
"""Padding of the program tree."""


@cache
def zero(height: int) -> Root:
    """Root of a subtree of the given height whose leaves are all zero bytes."""
    return hash_leaf(b"") if height == 0 else hash_node(zero(height - 1), zero(height - 1))


def depth_for(count: int) -> int:
    """Smallest depth of a binary tree with at least ``count`` leaves."""
    return max(count - 1, 0).bit_length()


def require_depth(count: int, depth: int) -> None:
    """Raises CommitmentError unless ``count`` leaves fit a tree of ``depth``."""
    if count > 1 << depth:
        raise CommitmentError(
            f"{count} leaves do not fit a tree of depth {depth}; use a depth of at least {depth_for(count)}"
        )


def depth_of(gindex: Gindex) -> int:
    return gindex.bit_length() - 1


def branch_gindices(gindex: Gindex) -> Iterator[Gindex]:
    """Siblings on the way from ``gindex`` up to the root, lowest first."""
    while gindex > 1:
        yield Gindex(gindex ^ 1)
        gindex = Gindex(gindex >> 1)


class Nodes(Protocol):
    """Anything that knows nodes of one tree by generalised index."""

    def node(self, gindex: Gindex) -> Root:
        """The node's hash; raises CommitmentError if it is not known."""
        ...


class Tree:
    """A tree of fixed depth over leaves whose missing right part is padding.

    ``padding(h)`` is the root of a subtree of height h that holds padding only.
    """

    def __init__(self, leaves: Sequence[Root], depth: int, padding: Callable[[int], Root] = zero) -> None:
        require_depth(len(leaves), depth)
        nodes = memoryview(b"")
        if leaves:
            packed = b"".join(leaves)
            assert len(packed) == NODE_BYTES * len(leaves)
            nodes = hasher().levels(packed, depth, b"".join(map(padding, range(depth))))
        self._set(nodes, len(leaves), depth, padding)

    @classmethod
    def of_tensor(cls, data: Data, depth: int | None = None) -> Tree:
        """See ``tensor_tree``."""
        count, depth, padding = _shape(data, depth)
        tree = cls.__new__(cls)
        tree._set(hasher().tensor(data, depth, padding), count, depth, zero)
        return tree

    def _set(self, nodes: memoryview, count: int, depth: int, padding: Callable[[int], Root]) -> None:
        self.depth = depth
        self._nodes, self._extents, self._padding = nodes, extents(count, depth), padding

    @property
    def root(self) -> Root:
        return self.node(Gindex(1))

    def node(self, gindex: Gindex) -> Root:
        height = self.depth - depth_of(gindex)
        if not 0 <= height <= self.depth:
            raise CommitmentError(f"node {gindex} lies below the leaves of a tree of depth {self.depth}")
        level, position = self._extents[height], gindex - (1 << (self.depth - height))
        if position >= level.count:
            return self._padding(height)
        at = level.start + NODE_BYTES * position
        return Root(bytes(self._nodes[at : at + NODE_BYTES]))


def tensor_tree(data: Data, depth: int | None = None) -> Tree:
    """Tree of a tensor, extended with zero subtrees to ``depth`` (default: its natural depth); an empty one has a zero leaf."""
    return Tree.of_tensor(data, depth)


def tensor_root(data: Data, depth: int | None = None) -> Root:
    """``tensor_tree(data, depth).root``, without the nodes below."""
    _, depth, padding = _shape(data, depth)
    return hasher().root(data, depth, padding)


def _shape(data: Data, depth: int | None) -> tuple[int, int, bytes]:
    """(leaves, depth, padding of the levels below the root) of a tensor's tree."""
    count = leaf_count(data.nbytes if isinstance(data, memoryview | np.ndarray) else len(data))
    if depth is None:
        depth = depth_for(count)
    require_depth(count, depth)
    return count, depth, zeros(depth)


@cache
def zeros(depth: int) -> bytes:
    """The roots of zero subtrees of all heights below ``depth``."""
    return b"".join(map(zero, range(depth)))


def join_root(tensor_roots: Sequence[Root], tensor_depth: int) -> Root:
    """Input or output root: tree over tensor roots that were extended to ``tensor_depth``."""
    return join_tree(tensor_roots, tensor_depth).root


def join_tree(tensor_roots: Sequence[Root], tensor_depth: int, depth: int | None = None) -> Tree:
    """Tree over tensor roots (input, output or trace tree down to its entries)."""
    return Tree(
        tensor_roots,
        depth_for(len(tensor_roots)) if depth is None else depth,
        lambda height: zero(height + tensor_depth),
    )


class TraceTree:
    """One execution's tree: entry roots are kept, tensors are derived on demand.

    ``tensor(v)`` returns the little-endian bytes of value v; its tree is built when a node below its entry is asked for.
    """

    def __init__(
        self, roots: Sequence[Root], trace_depth: int, tensor_depth: int, tensor: Callable[[int], bytes | memoryview]
    ) -> None:
        self.depth = trace_depth + tensor_depth
        self.trace_depth, self.tensor_depth = trace_depth, tensor_depth
        self.count = len(roots)
        self._entries = join_tree(roots, tensor_depth, trace_depth)
        self._tensor = tensor
        self._cached: tuple[int, Tree] | None = None

    @property
    def root(self) -> Root:
        return self._entries.root

    def node(self, gindex: Gindex) -> Root:
        below = depth_of(gindex) - self.trace_depth
        if below <= 0:
            return self._entries.node(gindex)
        entry = (gindex >> below) - (1 << self.trace_depth)
        if entry >= self.count:
            return zero(self.tensor_depth - below)
        cached = self._cached
        if cached is None or cached[0] != entry:
            self._cached = cached = (entry, tensor_tree(self._tensor(entry), self.tensor_depth))
        return cached[1].node(Gindex((1 << below) | (gindex & ((1 << below) - 1))))

    def leaf_bytes(self, leaf: int) -> bytes:
        """The 1,024 bytes of a leaf, by its index among all leaves of the trace."""
        entry, at = leaf >> self.tensor_depth, (leaf & ((1 << self.tensor_depth) - 1)) * LEAF_BYTES
        data = self._tensor(entry)[at : at + LEAF_BYTES] if entry < self.count else b""
        return bytes(data).ljust(LEAF_BYTES, b"\x00")

    def state_root(self, index: int) -> Root:
        """Root of state ``index``: this tree with the entries from ``index`` on zeroed."""
        kept = [self._entries.node(Gindex((1 << self.trace_depth) + v)) for v in range(min(index, self.count))]
        return join_tree(kept, self.tensor_depth, self.trace_depth).root


class Overlay:
    """Nodes of several sources, the first that knows one wins."""

    def __init__(self, *sources: Nodes) -> None:
        self._sources = sources

    def node(self, gindex: Gindex) -> Root:
        for source in self._sources[:-1]:
            try:
                return source.node(gindex)
            except CommitmentError:
                continue
        return self._sources[-1].node(gindex)


def branch(nodes: Nodes, gindex: Gindex) -> list[Root]:
    """Siblings from ``gindex`` up to the root, lowest first."""
    return [nodes.node(sibling) for sibling in branch_gindices(gindex)]


def fold_branch(node: Root, gindex: Gindex, siblings: Sequence[Root]) -> Root:
    """Root above ``node`` at ``gindex``; raises CommitmentError unless exactly depth siblings are given."""
    if len(siblings) != depth_of(gindex):
        raise CommitmentError(f"a branch from node {gindex} has {depth_of(gindex)} siblings, not {len(siblings)}")
    for sibling in siblings:
        node = hash_node(sibling, node) if gindex & 1 else hash_node(node, sibling)
        gindex = Gindex(gindex >> 1)
    return node


def multiproof(nodes: Nodes, indices: Iterable[int], depth: int) -> list[Root]:
    """Siblings that bind the leaves ``indices`` to the root: level by level from the leaves up, left to right."""
    level = sorted(set(indices))
    siblings: list[Root] = []
    for height in range(depth):
        present = set(level)
        first = 1 << (depth - height)
        siblings += [nodes.node(Gindex(first + (j ^ 1))) for j in level if j ^ 1 not in present]
        level = sorted({j >> 1 for j in level})
    return siblings


def fold(leaves: Mapping[int, Root], depth: int, siblings: Sequence[Root]) -> Root:
    """Root above several leaves (hash by index) with a multi-proof; the twin of Merkle.sol's ``fold``.

    Raises CommitmentError if an index lies outside the tree or siblings are missing or left over.
    """
    if not leaves or min(leaves) < 0 or max(leaves) >> depth:
        raise CommitmentError(f"leaf indices {sorted(leaves)} do not lie in a tree of depth {depth}")
    rest = iter(siblings)
    level = dict(sorted(leaves.items()))
    try:
        for _ in range(depth):
            above: dict[int, Root] = {}
            for index, node in level.items():
                if index & 1 and index - 1 in level:
                    continue
                partner = level[index ^ 1] if index ^ 1 in level else next(rest)
                above[index >> 1] = hash_node(partner, node) if index & 1 else hash_node(node, partner)
            level = above
    except StopIteration:
        raise CommitmentError(f"the multi-proof has too few siblings ({len(siblings)})") from None
    if next(rest, None) is not None:
        raise CommitmentError(f"the multi-proof has siblings left over of {len(siblings)}")
    return level[0]
