"""Random trees, hashed in every way that this machine can and in Python: ``python -m tests.campaigns.hashing --n 20000``."""

from __future__ import annotations

import argparse
import sys

import numpy as np

from rollup.hashing import NODE_BYTES, Hasher, NativeHasher, PythonHasher, compiled, leaf_count, ways
from rollup.merkle import depth_for, zeros
from rollup.types import LEAF_BYTES

MOST_LEAVES = 1500


def compare(n: int, seed: int) -> int:
    """Hash ``n`` random trees and compare all their nodes; how many were equal. Raises AssertionError at the first that differs."""
    library = compiled().library
    assert library is not None, compiled().reason
    usable = [name for name, works in ways(library) if works]
    random = np.random.default_rng(seed)
    data = random.integers(0, 256, (MOST_LEAVES + 1) * LEAF_BYTES, np.uint8)
    for case in range(n):
        hasher = NativeHasher(library, usable[int(random.integers(len(usable)))], int(random.integers(1, 6)))
        # As many small trees as large ones, by size.
        size = int(np.exp(random.uniform(0, np.log(MOST_LEAVES * LEAF_BYTES)))) - 1
        start, more = int(random.integers(LEAF_BYTES)), int(random.integers(4))
        what = f"case {case} of seed {seed}: {hasher.name}, {size} bytes from {start} on, {more} levels more"
        match random.integers(4):
            case 0:
                _tensor(hasher, data[start : start + size], more, what)
            case 1:
                _levels(hasher, data[start : start + NODE_BYTES * (1 + size // LEAF_BYTES)].tobytes(), more, what)
            case 2:
                _forest(hasher, data, size, random, more, what)
            case 3:
                _joined(hasher, data[start:], 1 + size // LEAF_BYTES, random, more, what)
    return n


def _tensor(hasher: Hasher, data: np.ndarray, more: int, what: str) -> None:
    depth = depth_for(leaf_count(data.nbytes)) + more
    expected = PythonHasher().tensor(data, depth, zeros(depth))
    assert hasher.tensor(data, depth, zeros(depth)) == expected, what
    assert hasher.root(data, depth, zeros(depth)) == expected[-NODE_BYTES:], what


def _levels(hasher: Hasher, leaves: bytes, more: int, what: str) -> None:
    depth = depth_for(len(leaves) // NODE_BYTES) + more
    padding = leaves[:1] * (NODE_BYTES * depth)
    assert hasher.levels(leaves, depth, padding) == PythonHasher().levels(leaves, depth, padding), what


def _forest(hasher: Hasher, data: np.ndarray, size: int, random: np.random.Generator, more: int, what: str) -> None:
    """One to four tensors of up to ``size`` bytes, for one to twenty executions."""
    sizes = random.integers(0, size + 1, int(random.integers(1, 5)))
    trees = int(random.integers(1, 21))
    tensors = [data[: trees * one].reshape(trees, one) for one in sizes if trees * one <= data.size]
    depth = depth_for(leaf_count(size)) + more
    if tensors:
        expected = PythonHasher().forest(tensors, depth, zeros(depth))
        assert np.array_equal(hasher.forest(tensors, depth, zeros(depth)), expected), (
            f"{what}, {trees} trees of {sizes}"
        )


def _joined(hasher: Hasher, data: np.ndarray, count: int, random: np.random.Generator, more: int, what: str) -> None:
    trees = min(int(random.integers(1, 21)), data.size // (NODE_BYTES * count))
    leaves = data[: NODE_BYTES * count * trees].reshape(trees, count, NODE_BYTES)
    depth = depth_for(count) + more
    padding = data[:NODE_BYTES].tobytes() * depth
    expected = PythonHasher().joined(leaves, depth, padding)
    assert np.array_equal(hasher.joined(leaves, depth, padding), expected), f"{what}, {trees} trees"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    equal = compare(given.n, given.seed)
    library = compiled().library
    assert library is not None
    names = ", ".join(name for name, usable in ways(library) if usable)
    print(f"{equal:,} random trees are the same in Python and compiled ({names})")


if __name__ == "__main__":
    sys.exit(main())
