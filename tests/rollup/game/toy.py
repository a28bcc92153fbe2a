"""A machine small enough to think about: a trace is a chain of leaves, each of which follows from the one before it.

It exercises the game and the strategies without the op form: leaf j is right if it is ``follow`` of leaf j - 1, leaf
0 is the input. Every byte of a leaf is also a reduction of the leaf before it, of ``PARTS`` parts, and what a little code
makes of that: what can be disputed inside an element.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256

from challenger.play.accusation import Accusation
from challenger.play.layout import TraceLayout
from rollup.errors import CommitmentError
from rollup.form.ops import ARGUMENTS, Monoid
from rollup.game.moves import Rule
from rollup.game.position import ROOT, offset_of
from rollup.game.question import Partial, Question, accumulator, child_of, combine
from rollup.merkle import Tree, hash_leaf, zero
from rollup.types import LEAF_BYTES, Gindex, Root

TRACE_DEPTH = 3
"""Eight entries of one leaf each: entry 0 is the input, entry 6 the output, entry 7 is not used."""

USED = 7
OUTPUT = 6

PARTS = 70
"""Of every element, where it is divided: two answers lead from the whole to a part."""


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


def layout(claimed_output: bytes, divided: frozenset[int] = frozenset()) -> TraceLayout:
    """What a claim with these output bytes says of a toy trace. ``divided``: leaves whose elements are proven in parts."""
    sizes = dict.fromkeys(range(USED), (LEAF_BYTES, 1))
    known = TraceLayout(TRACE_DEPTH, 0, 1, USED, [(OUTPUT, hash_leaf(claimed_output))], sizes)
    return replace(known, parts=lambda value: PARTS if value in divided else 1)


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
    rules = [Rule.STEP, Rule.PADDING, Rule.INPUT, Rule.OUTPUT]
    return [Accusation(Gindex((1 << TRACE_DEPTH) | leaf), rule) for leaf in range(1 << TRACE_DEPTH) for rule in rules]


def has_elements(leaf: int) -> bool:
    """Whether the leaf is an op's output."""
    return 0 < leaf < USED


def parts(before: bytes, element: int, monoid: Monoid) -> list[Partial]:
    """What the parts of an element reduce to, given the leaf before its own. There are ties among them."""
    values = [(before[(element + part) % LEAF_BYTES] - 100) * (1 + part % 3) for part in range(PARTS)]
    return [Partial(value, 2 * part + 1 if monoid in ARGUMENTS else 0) for part, value in enumerate(values)]


def code(before: bytes, element: int, monoid: Monoid, acc: int) -> int:
    """The element that the code makes of an accumulator: the right one of the right one."""
    right = accumulator(monoid, combine(monoid, parts(before, element, monoid)))
    return (follow(before)[element] + acc - right) % 256


@dataclass(frozen=True)
class ToyElements:
    """Answers from a trace's own operands."""

    trace: ToyTrace
    monoid: Monoid

    def partials(self, question: Question) -> list[Partial]:
        before = self.trace.leaf_bytes(offset_of(question.place) - 1)
        below = [child_of(question, [Partial(0)] * question.children, child) for child in range(question.children)]
        known = parts(before, question.element, self.monoid)
        return [combine(self.monoid, [known[part] for part in one.covers()]) for one in below]


@dataclass(frozen=True)
class LyingElements:
    """Answers that combine to what they must, with the fault in the child that ``choose`` (below a number) says.

    ``honest_at_first``: the accumulator is right, and only the element is not what the code makes of it.
    """

    trace: ToyTrace
    monoid: Monoid
    choose: Callable[[int], int]
    honest_at_first: bool = False

    def partials(self, question: Question) -> list[Partial]:
        right = ToyElements(self.trace, self.monoid).partials(question)
        wanted = question.disputed
        if wanted is None:
            if self.honest_at_first:
                return right
            best = combine(self.monoid, right)
            wanted = Partial(best.value + 1, best.position)
            if self.monoid in ARGUMENTS:
                wanted = Partial(best.value, best.position + 2)
        at = self.choose(len(right))
        if self.monoid is Monoid.SUM:
            fault = wanted.value - combine(self.monoid, right).value
            return [Partial(one.value + fault * (child == at)) for child, one in enumerate(right)]
        worse = wanted.value + (1 if self.monoid in (Monoid.MIN, Monoid.ARGMIN) else -1)
        return [wanted if child == at else Partial(worse) for child in range(len(right))]


def part_differs(trace: ToyTrace, question: Question, result: Partial, part: int) -> bool:
    """Whether the part's operands reduce to something else; the twin of the proof of a part."""
    leaf = offset_of(question.place)
    if not has_elements(leaf) or leaf - 1 in trace.withheld:
        return False
    return parts(trace.leaves[leaf - 1], question.element, question.monoid)[part] != result


def epilogue_differs(trace: ToyTrace, question: Question, acc: int) -> bool:
    """Whether the code makes another element of the accumulator; the twin of the proof of an epilogue."""
    leaf = offset_of(question.place)
    if not has_elements(leaf) or {leaf - 1, leaf} & trace.withheld:
        return False
    element = question.element
    return trace.leaves[leaf][element] != code(trace.leaves[leaf - 1], element, question.monoid, acc)
