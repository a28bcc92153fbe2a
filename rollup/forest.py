"""The trees of many executions at once: the roots of their tensors, and of their traces, a few calls of the hasher for all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rollup.hashing import NODE_BYTES, hasher, leaf_count
from rollup.merkle import require_depth, zeros
from rollup.types import Root

HELD_BYTES = 1 << 20
"""Of values that wait to be hashed together: small ones take less time than a call."""


class Forest:
    """The tensor trees of some executions, side by side. ``depth``: what every tree is extended to with zero subtrees."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._held: list[np.ndarray] = []
        self._bytes = 0
        self._done: list[np.ndarray] = []

    def add(self, values: np.ndarray) -> None:
        """The next value of every execution, [executions, *shape]. It may be kept until the roots are asked for, and must not change.

        Raises CommitmentError if its leaves do not fit a tree of this depth.
        """
        data = little_endian(values)
        require_depth(leaf_count(data.shape[1]), self._depth)
        self._held.append(data)
        self._bytes += data.nbytes
        if self._bytes >= HELD_BYTES:
            self._hash()

    def _hash(self) -> None:
        if self._held:
            self._done.append(hasher().forest(self._held, self._depth, zeros(self._depth)))
        self._held, self._bytes = [], 0

    def roots(self) -> np.ndarray:
        """uint8 [executions, values, 32], of the values so far, at least one."""
        self._hash()
        if len(self._done) > 1:
            self._done = [np.concatenate(self._done, axis=1)]
        return self._done[0]


def trace_roots(roots: np.ndarray, trace_depth: int, tensor_depth: int) -> list[Root]:
    """Of every execution the root of its trace tree; ``roots``: as a Forest of ``tensor_depth`` has them."""
    require_depth(roots.shape[1], trace_depth)
    padding = zeros(trace_depth + tensor_depth)[NODE_BYTES * tensor_depth :]
    return [Root(root.tobytes()) for root in hasher().joined(roots, trace_depth, padding)]


def tensor_roots(tensors: Sequence[np.ndarray], depth: int) -> list[Root]:
    """The tensor roots of one execution's values, extended to ``depth``."""
    forest = Forest(depth)
    for tensor in tensors:
        forest.add(tensor[None])
    return split_roots(forest.roots()[0].tobytes()) if tensors else []


def split_roots(packed: bytes) -> list[Root]:
    """Roots that lie one behind the other."""
    return [Root(packed[at : at + NODE_BYTES]) for at in range(0, len(packed), NODE_BYTES)]


def little_endian(values: np.ndarray) -> np.ndarray:
    """Of every execution the bytes of its tensor, uint8 [executions, bytes]; not copied where they lie so in memory already."""
    data = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return data.reshape(len(data), math.prod(data.shape[1:])).view(np.uint8)
