"""Where a trace is wrong, and by which rule that is shown.

Why the leftmost difference: everything to the left of it equals the challenger's own trace, so the operands of the
leaf are agreed and the leaf does not follow from them. What the opponent publishes is used only as far
as it hashes to what stands on L1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from challenger.play.known import KnownTrace
from challenger.play.layout import TraceLayout
from rollup.claim import NO_ROOT
from rollup.errors import CommitmentError
from rollup.game.moves import Rule
from rollup.game.position import ROOT, ancestor_at, descendant, offset_of
from rollup.merkle import depth_of, hash_leaf, hash_node
from rollup.types import LEAF_BYTES, Gindex, Root


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


def leftmost_difference(
    layout: TraceLayout, own: KnownTrace, theirs: KnownTrace, start: Gindex, start_node: Root
) -> Difference:
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


def accuse(layout: TraceLayout, own: KnownTrace, theirs: KnownTrace, trace_root: Root) -> Accusation | None:
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


def accuse_at(
    layout: TraceLayout, own: KnownTrace, theirs: KnownTrace, position: Gindex, node: Root
) -> Accusation | None:
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


def _is_input(layout: TraceLayout, position: Gindex) -> bool:
    return (
        depth_of(position) >= layout.trace_depth
        and offset_of(ancestor_at(position, layout.trace_depth)) < layout.inputs
    )


def is_divided(layout: TraceLayout, accusation: Accusation) -> bool:
    """Whether the accused element is proven in parts."""
    return accusation.rule is Rule.STEP and layout.parts(offset_of(accusation.position) >> layout.tensor_depth) > 1
