"""Trees that the compiled hasher makes, compared with Python's."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rollup import native
from rollup.hashing import NODE_BYTES, PythonHasher, leaf_count
from rollup.merkle import depth_for, zeros
from rollup.types import LEAF_BYTES
from tests.campaigns.sanitized.builds import Build, ended

FOLDER = Path(native.__file__).parent
PROGRAM = Path(__file__).with_suffix(".cc")
COUNTS = (1, 2, 3, 5, 15, 16, 17, 33, 255, 256, 257, 770)
"""Leaves."""


Nodes = bytes


@dataclass(frozen=True)
class Tree:
    """What the program is asked for; see trees.cc."""

    way: str
    threads: int
    bytes: int
    start: int
    depth: int
    given: bool

    @property
    def line(self) -> str:
        return f"{self.way} {self.threads} {self.bytes} {self.start} {self.depth} {int(self.given)}\n"

    def nodes(self) -> Nodes:
        places = np.arange(self.start, self.start + self.bytes, dtype=np.uint32)
        data = (places * np.uint32(2654435761) >> np.uint32(13)).astype(np.uint8)
        if self.given:
            return bytes(PythonHasher().levels(data.tobytes(), self.depth, zeros(self.depth)))
        return bytes(PythonHasher().tensor(data, self.depth, zeros(self.depth)))


def trees(way: str) -> Iterator[Tree]:
    """Every border of leaves and blocks, alignments, threads and depths; and trees over given leaves."""
    yield Tree(way, 1, 0, 0, 0, False)
    for number, count in enumerate(COUNTS):
        for around in (-1023, -65, -64, -63, -1, 0):
            size = LEAF_BYTES * count + around
            depth = depth_for(leaf_count(size)) + number % 3
            yield Tree(way, 1 + number % 4, size, 7 * number, depth, False)
        yield Tree(way, 2, NODE_BYTES * count, number, depth_for(count) + number % 2, True)
    yield Tree(way, 3, NODE_BYTES * 40_001, 1, depth_for(40_001), True)


def check(build: Build) -> str:
    """Compile, run and compare; what was found. Ends the process at the first tree that differs."""
    with tempfile.TemporaryDirectory() as temporary:
        program = [*build.runner, str(build.compile(FOLDER, PROGRAM, Path(temporary)))]
        ways = ended([*program, "ways"]).decode().split()
        asked = [tree for way in ways for tree in trees(way)]
        found = memoryview(ended(program, "".join(tree.line for tree in asked)))
    for tree in asked:
        expected = tree.nodes()
        if found[: len(expected)] != expected:
            raise SystemExit(f"{build.name}: {tree} does not have the nodes that Python gives it")
        found = found[len(expected) :]
    if found:
        raise SystemExit(f"{build.name}: the program wrote {len(found)} bytes more than it was asked for")
    return f"{len(asked)} trees are right ({', '.join(ways)})"
