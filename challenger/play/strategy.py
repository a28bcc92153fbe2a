"""What to play next, as pure functions: a view of the game and two traces in, actions out; nothing is sent from here.

Why the leftmost difference: everything to the left of it equals the challenger's own trace, so the operands of the
leaf are agreed and the leaf does not follow from them. What the opponent publishes is used only as far
as it hashes to what stands on L1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from challenger.play.inside import AnswerWith, Elements, Inside, NarrowTo, SettleAt, answer, dispute
from rollup.claim import NO_ROOT
from rollup.errors import CommitmentError
from rollup.form.parts import partition
from rollup.form.program import Program
from rollup.game.clock import Side
from rollup.game.moves import Rule
from rollup.game.position import ROOT, ancestor_at, descendant, leaf_gindex, offset_of
from rollup.merkle import depth_of, hash_leaf, hash_node
from rollup.types import LEAF_BYTES, Gindex, Root

ROOT_BYTES = 32


class Trace(Protocol):
    """One execution's tree with its leaves."""

    def node(self, gindex: Gindex) -> Root:
        """The node's hash; raises CommitmentError if it is not known."""
        ...

    def leaf_bytes(self, leaf: int) -> bytes:
        """The 1,024 bytes of leaf ``leaf``; raises CommitmentError if they are not known."""
        ...


@dataclass
class Preimages:
    """What was revealed on L1, by hash: whatever game or claim a node was opened in, it hangs below every node with its
    hash.
    """

    pairs: dict[Root, tuple[Root, Root]] = field(default_factory=dict)
    leaves: dict[Root, bytes] = field(default_factory=dict)

    def add_children(self, children: Sequence[Root]) -> None:
        """All descendants of a node some levels below it, left to right."""
        level = list(children)
        while len(level) > 1:
            above = []
            for left, right in zip(level[::2], level[1::2], strict=True):
                above.append(hash_node(left, right))
                self.pairs[above[-1]] = (left, right)
            level = above

    def add_path(self, node: Root, position: Gindex, siblings: Sequence[Root]) -> None:
        """The way up from a selected node; ``position`` is relative to where the siblings end."""
        for sibling in siblings:
            left, right = (sibling, node) if position & 1 else (node, sibling)
            node = hash_node(left, right)
            self.pairs[node] = (left, right)
            position = Gindex(position >> 1)

    def add_leaf(self, data: bytes) -> None:
        self.leaves[hash_leaf(data)] = data

    def pair(self, node: Root) -> tuple[Root, Root] | None:
        """The children of a node, if they are at hand."""
        return self.pairs.get(node)

    def leaf(self, node: Root) -> bytes | None:
        """The bytes of a leaf, if they are at hand."""
        return self.leaves.get(node)

    def again(self, node: Root) -> bool:
        """Make at hand what was opened at a node; False if that changes nothing."""
        return False


@dataclass(frozen=True)
class Revealed:
    """The opponent's trace as far as its preimages are known."""

    preimages: Preimages
    root: Root
    depth: int

    def node(self, gindex: Gindex) -> Root:
        way = [self.root]
        for shift in range(depth_of(gindex) - 1, -1, -1):
            pair = self._pair(way)
            if pair is None:
                raise CommitmentError(
                    f"node {gindex >> (shift + 1)} was never revealed; wait for the defender to open it"
                )
            way.append(pair[(gindex >> shift) & 1])
        return way[-1]

    def _pair(self, way: Sequence[Root]) -> tuple[Root, Root] | None:
        """The children of the last node of a way down, opened there or further up."""
        found = self.preimages.pair(way[-1])
        for above in reversed(way):
            if found is not None:
                break
            if self.preimages.again(above):
                found = self.preimages.pair(way[-1])
        return found

    def leaf_bytes(self, leaf: int) -> bytes:
        node = self.node(leaf_gindex(leaf, self.depth))
        data = self.preimages.leaf(node)
        if data is None and self.preimages.again(node):
            data = self.preimages.leaf(node)
        if data is None:
            raise CommitmentError(f"the bytes of leaf {leaf} were never revealed; wait for the defender to open it")
        return data


@dataclass(frozen=True)
class FirstOf:
    """Several sources of the opponent's trace; the first that knows a node or leaf gives it. What it gives is checked
    where it is used.

    A source that fails, in whatever way, does not know: it is the opponent's, who would like nothing better than to stop
    a challenger by a broken publication.
    """

    sources: Sequence[Trace]

    def node(self, gindex: Gindex) -> Root:
        for source in self.sources:
            with suppress(Exception):
                node = source.node(gindex)
                if isinstance(node, bytes) and len(node) == ROOT_BYTES:
                    return node
        raise CommitmentError(f"node {gindex} was neither published nor revealed; wait for the defender to open it")

    def leaf_bytes(self, leaf: int) -> bytes:
        for source in self.sources:
            with suppress(Exception):
                data = source.leaf_bytes(leaf)
                if isinstance(data, bytes) and len(data) == LEAF_BYTES:
                    return data
        raise CommitmentError(
            f"the bytes of leaf {leaf} were neither published nor revealed; wait for the defender to open it"
        )


@dataclass(frozen=True)
class Layout:
    """Which entries of a trace tree mean what.

    ``outputs``: the trace value of every output in header order, with the root that the claim gives for it.
    ``sizes``: (elements, bytes per element) by trace value. ``parts``: in how many parts an element of a trace value is
    proven; 1 if as a whole.
    """

    trace_depth: int
    tensor_depth: int
    inputs: int
    values: int
    outputs: Sequence[tuple[int, Root]]
    sizes: Mapping[int, tuple[int, int]]
    parts: Callable[[int], int] = lambda value: 1

    @classmethod
    def of(cls, program: Program, output_roots: Sequence[Root]) -> Layout:
        """``output_roots``: the claim's tensor roots in header order, extended to the tensor depth."""
        header = program.header
        outputs = [(value, root) for (value, _), root in zip(header.outputs, output_roots, strict=True)]
        depths = header.trace_depth, header.tensor_depth
        return cls(*depths, len(header.inputs), header.values, outputs, _Sizes(program), partial(_parts, program))

    @property
    def depth(self) -> int:
        return self.trace_depth + self.tensor_depth

    def entry(self, value: int) -> Gindex:
        """Position of a trace value's entry."""
        return leaf_gindex(value, self.trace_depth)


@dataclass(frozen=True)
class _Sizes(Mapping[int, tuple[int, int]]):
    """Those of a program's values, looked up when they are asked for: a trace may have millions."""

    program: Program

    def __getitem__(self, value: int) -> tuple[int, int]:
        if value >= len(self):
            raise KeyError(value)
        return self.program.type_of(value)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self)))

    def __len__(self) -> int:
        return self.program.header.values


def _parts(program: Program, value: int) -> int:
    header = program.header
    if not len(header.inputs) <= value < header.values:
        return 1
    return partition(program.ops[program.locate(value)[0]]).count


@dataclass(frozen=True)
class Difference:
    """The leftmost node at which two traces differ, as deep as both are known.

    ``siblings``: from the node up to where the search began. ``nodes``: every node of the opponent's that was
    passed, checked.
    """

    position: Gindex
    node: Root
    siblings: tuple[Root, ...]
    nodes: Mapping[Gindex, Root]


@dataclass(frozen=True)
class Accusation:
    """A place and the rule that convicts there; ``detail``: an element of the leaf (step), or which input or output."""

    position: Gindex
    rule: Rule
    detail: int = 0


def leftmost_difference(layout: Layout, own: Trace, theirs: Trace, start: Gindex, start_node: Root) -> Difference:
    """Descend from ``start``, where the opponent's hash is ``start_node``, to the leftmost difference.

    Stops at an input's entry (which is compared as a whole), at a leaf, and where the opponent's nodes are unknown
    or do not hash to what stands above them.
    """
    position, node = start, start_node
    siblings: list[Root] = []
    nodes = {start: start_node}
    while (level := depth_of(position)) < layout.depth:
        if level == layout.trace_depth and offset_of(position) < layout.inputs:
            break
        left, right = descendant(position, 1, 0), descendant(position, 1, 1)
        try:
            left_node, right_node = theirs.node(left), theirs.node(right)
        except CommitmentError:
            break
        if len(left_node) != 32 or len(right_node) != 32 or hash_node(left_node, right_node) != node:
            break
        nodes |= {left: left_node, right: right_node}
        if left_node != own.node(left):
            position, node = left, left_node
            siblings.insert(0, right_node)
        else:
            position, node = right, right_node
            siblings.insert(0, left_node)
    return Difference(position, node, tuple(siblings), nodes)


def accuse(layout: Layout, own: Trace, theirs: Trace, trace_root: Root) -> Accusation | None:
    """Where and by which rule the claim is wrong, if that can be shown now; None if right, or too little is known."""
    if trace_root == NO_ROOT:
        return None
    if trace_root == own.node(ROOT):
        for which, (value, root) in enumerate(layout.outputs):
            if own.node(layout.entry(value)) != root:
                return Accusation(layout.entry(value), Rule.OUTPUT, which)
        return None
    found = leftmost_difference(layout, own, theirs, ROOT, trace_root)
    return accuse_at(layout, own, theirs, found.position, found.node)


def accuse_at(layout: Layout, own: Trace, theirs: Trace, position: Gindex, node: Root) -> Accusation | None:
    """The rule that convicts at a node which is the leftmost difference; None if the node is no place, or its bytes are
    unknown.
    """
    if depth_of(position) < layout.trace_depth or (
        depth_of(position) != layout.depth and not _is_input(layout, position)
    ):
        return None
    if _is_input(layout, position):
        entry = ancestor_at(position, layout.trace_depth)
        return Accusation(entry, Rule.INPUT, offset_of(entry))
    leaf = offset_of(position)
    try:
        data = theirs.leaf_bytes(leaf)
    except CommitmentError:
        return None
    if len(data) != LEAF_BYTES or hash_leaf(data) != node:
        return None
    count, size = layout.sizes.get(leaf >> layout.tensor_depth, (0, 1))
    first = (leaf & ((1 << layout.tensor_depth) - 1)) * (LEAF_BYTES // size)
    right = own.leaf_bytes(leaf)
    for element in range(max(0, min(LEAF_BYTES // size, count - first))):
        if data[element * size : (element + 1) * size] != right[element * size : (element + 1) * size]:
            return Accusation(position, Rule.STEP, element)
    return Accusation(position, Rule.PADDING)


def _is_input(layout: Layout, position: Gindex) -> bool:
    return (
        depth_of(position) >= layout.trace_depth
        and offset_of(ancestor_at(position, layout.trace_depth)) < layout.inputs
    )


@dataclass(frozen=True)
class View:
    """What a player sees of one open game on L1. ``committed``: the place that its commitment names;
    ``commitment_counts``: whether it counts in the next block. ``inside``: where it stands inside an element; ``node`` is then the
    question's hash, and ``position`` the leaf.
    """

    position: Gindex
    node: Root
    turn: Side
    trace_root: Root
    committed: Gindex | None = None
    commitment_counts: bool = False
    expired: Side | None = None
    inside: Inside | None = None


@dataclass(frozen=True)
class OpenGame:
    """Challenge; with a place, commit to it at once."""

    place: Gindex | None


@dataclass(frozen=True)
class CommitTo:
    place: Gindex


@dataclass(frozen=True)
class GoDown:
    """Select a descendant: position, hash, siblings up to the game's node."""

    position: Gindex
    child: Root
    siblings: tuple[Root, ...]


@dataclass(frozen=True)
class ProveAt:
    accusation: Accusation


@dataclass(frozen=True)
class DescendTo:
    """Go inside the accused element, which is too long to be proven as a whole."""

    accusation: Accusation


@dataclass(frozen=True)
class GiveTraceRoot:
    root: Root


@dataclass(frozen=True)
class OpenNode:
    """Reveal the game's node: its descendants from left to right."""

    children: tuple[Root, ...]


@dataclass(frozen=True)
class OpenLeaf:
    data: bytes


@dataclass(frozen=True)
class Collect:
    """Collect the clock of the side that ran out of it."""

    loser: Side


Action = (
    OpenGame
    | CommitTo
    | GoDown
    | ProveAt
    | DescendTo
    | NarrowTo
    | SettleAt
    | GiveTraceRoot
    | OpenNode
    | OpenLeaf
    | AnswerWith
    | Collect
)


def challenger(
    layout: Layout,
    own: Trace,
    theirs: Trace,
    trace_root: Root,
    view: View | None,
    elements: Elements | None = None,
) -> list[Action]:
    """The challenger's next actions about a claim it holds to be false; ``view`` is None before its game is open.
    ``elements``: what its own trace's elements reduce to, needed where a game goes inside one.

    With the opponent's trace published: commit at the challenge, prove in the next block. Otherwise select as deep
    as is known. An element that is proven in parts is gone into where others are proven.
    """
    if view is None:
        accusation = accuse(layout, own, theirs, trace_root)
        return [OpenGame(accusation.position if accusation else None)]
    if view.expired is not None:
        return [Collect(view.expired)] if view.expired is Side.DEFENDER else []
    if view.inside is not None:
        if view.turn is Side.DEFENDER or elements is None:
            return []
        action = dispute(view.inside, elements)
        return [] if action is None else [action]
    accusation = accuse(layout, own, theirs, view.trace_root)
    if accusation is not None:
        if view.position == accusation.position or (view.committed == accusation.position and view.commitment_counts):
            return [DescendTo(accusation) if is_divided(layout, accusation) else ProveAt(accusation)]
        return [] if view.committed == accusation.position else [CommitTo(accusation.position)]
    if view.turn is Side.DEFENDER:
        return []
    found = leftmost_difference(layout, own, theirs, view.position, view.node)
    return [] if found.position == view.position else [GoDown(found.position, found.node, found.siblings)]


def is_divided(layout: Layout, accusation: Accusation) -> bool:
    """Whether the accused element is proven in parts."""
    return accusation.rule is Rule.STEP and layout.parts(offset_of(accusation.position) >> layout.tensor_depth) > 1


def defender(layout: Layout, own: Trace, arity: int, view: View, elements: Elements | None = None) -> list[Action]:
    """The defender's next actions in one game: give the root, open what the game stands on, collect a challenger's
    clock. ``elements``: what its trace's elements reduce to; without them (whoever is not the claimant) nothing is answered
    inside one.
    """
    if view.expired is not None:
        return [Collect(view.expired)] if view.expired is Side.CHALLENGER else []
    if view.trace_root == NO_ROOT:
        return [GiveTraceRoot(own.node(ROOT))]
    if view.turn is Side.CHALLENGER:
        return []
    if view.inside is not None:
        return [] if elements is None else [answer(view.inside, elements)]
    levels = min(arity, layout.depth - depth_of(view.position))
    if levels == 0:
        return [OpenLeaf(own.leaf_bytes(offset_of(view.position)))]
    return [OpenNode(tuple(own.node(descendant(view.position, levels, j)) for j in range(1 << levels)))]
