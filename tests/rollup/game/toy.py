"""A machine small enough to think about: a trace is a chain of leaves, each of which follows from the one before it.

It exercises the game and the strategies without the op form: leaf j is right if it is ``follow`` of leaf j - 1, leaf
0 is the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from challenger.strategy import Accusation, Layout
from rollup.errors import CommitmentError
from rollup.game.moves import Rule
from rollup.game.position import ROOT, offset_of
from rollup.merkle import Tree, hash_leaf, zero
from rollup.types import LEAF_BYTES, Gindex, Root

TRACE_DEPTH = 3
"""Eight entries of one leaf each: entry 0 is the input, entry 6 the output, entry 7 is not used."""

USED = 7
OUTPUT = 6


def follow(data: bytes) -> bytes:
    """The leaf after ``data``."""
    return sha256(data).digest() * (LEAF_BYTES // 32)


@dataclass(frozen=True)
class ToyTrace:
    """Leaves of one execution, right or wrong. ``withheld``: leaves whose bytes nobody has, only a hash."""

    leaves: tuple[bytes, ...]
    withheld: frozenset[int] = frozenset()

    @cached_property
    def tree(self) -> Tree:
        hashes = [
            Root(sha256(data).digest()) if number in self.withheld else hash_leaf(data)
            for number, data in enumerate(self.leaves)
        ]
        return Tree(hashes, TRACE_DEPTH)

    @property
    def root(self) -> Root:
        return self.tree.node(ROOT)

    def node(self, gindex: Gindex) -> Root:
        return self.tree.node(gindex)

    def leaf_bytes(self, leaf: int) -> bytes:
        if leaf in self.withheld:
            raise CommitmentError(f"nobody has the bytes of leaf {leaf}; accuse another one")
        return self.leaves[leaf]


def right_trace(seed: bytes = b"input") -> ToyTrace:
    """The correct execution from an input."""
    leaves = [sha256(seed).digest() * (LEAF_BYTES // 32)]
    while len(leaves) < USED:
        leaves.append(follow(leaves[-1]))
    return ToyTrace((*leaves, bytes(LEAF_BYTES)))


def altered(trace: ToyTrace, at: int, consistent: bool) -> ToyTrace:
    """A lie in leaf ``at``; with ``consistent``, everything after it follows from the lie."""
    leaves = list(trace.leaves)
    leaves[at] = bytes([leaves[at][0] ^ 1]) + leaves[at][1:]
    if consistent:
        for later in range(max(at + 1, 1), USED):
            leaves[later] = follow(leaves[later - 1])
    return ToyTrace(tuple(leaves))


def layout(claimed_output: bytes) -> Layout:
    """What a claim with these output bytes says of a toy trace."""
    sizes = dict.fromkeys(range(USED), (LEAF_BYTES, 1))
    return Layout(TRACE_DEPTH, 0, 1, USED, [(OUTPUT, hash_leaf(claimed_output))], sizes)


def differs(trace: ToyTrace, claim_input: bytes, claim_output: bytes, place: Gindex, rule: Rule) -> bool:
    """The toy machine's verdict: is the trace wrong at the place, by the rule? The twin of a one-step proof."""
    leaf = offset_of(place)
    leaves: Sequence[bytes] = trace.leaves
    if rule is Rule.INPUT:
        return leaf == 0 and trace.node(place) != hash_leaf(claim_input)
    if rule is Rule.OUTPUT:
        return leaf == OUTPUT and trace.node(place) != hash_leaf(claim_output)
    if leaf in trace.withheld:
        return False
    if rule is Rule.PADDING:
        return leaf >= USED and trace.node(place) != zero(0)
    return 0 < leaf < USED and leaf - 1 not in trace.withheld and leaves[leaf] != follow(leaves[leaf - 1])


def all_accusations() -> list[Accusation]:
    """Everything that anybody could accuse a toy trace of."""
    rules = [rule for rule in Rule if rule is not Rule.TIMEOUT]
    return [Accusation(Gindex((1 << TRACE_DEPTH) | leaf), rule) for leaf in range(1 << TRACE_DEPTH) for rule in rules]
