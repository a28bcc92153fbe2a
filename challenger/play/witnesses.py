"""Witness bytes for an accusation, one form a rule (docs/formats.md, *Witnesses*; Verdicts.sol reads
them).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from challenger.play.accusation import Accusation, leftmost_difference
from challenger.play.known import KnownTrace
from challenger.play.layout import TraceLayout
from challenger.play.trace import ValueTrace
from rollup.claim import output_types, tensor_roots
from rollup.errors import CommitmentError
from rollup.game.moves import Rule
from rollup.game.position import ROOT, offset_of
from rollup.game.question import Partial, Question, accumulator, combine
from rollup.machine.witness import epilogue_witness, padding_witness, part_witness, step_witness
from rollup.merkle import Overlay, branch, depth_for, join_tree
from rollup.types import Gindex, Root


@dataclass(frozen=True)
class _Passed:
    """The opponent's nodes that a search for the leftmost difference passed and checked."""

    nodes: Mapping[Gindex, Root]

    def node(self, gindex: Gindex) -> Root:
        try:
            return self.nodes[gindex]
        except KeyError:
            raise CommitmentError(f"node {gindex} does not lie beside the way to the leftmost difference") from None


def witness(
    accusation: Accusation,
    layout: TraceLayout,
    own: ValueTrace,
    theirs: KnownTrace,
    trace_root: Root,
    inputs: bytes,
    outputs: bytes,
) -> bytes:
    """What ``prove`` needs. ``trace_root``: the claim's; ``inputs``, ``outputs``: the claim's bytes.

    Beside the way to the difference the opponent's nodes are used, everywhere else one's own: both trees agree there.
    Raises CommitmentError if the opponent's leaf is not known.
    """
    nodes = _disputed(layout, own, theirs, trace_root)
    header = own.program.header
    place = accusation.position
    if accusation.rule in (Rule.INPUT, Rule.OUTPUT):
        is_input = accusation.rule is Rule.INPUT
        types, data = (header.inputs, inputs) if is_input else (output_types(header), outputs)
        roots = tensor_roots(data, types, header.tensor_depth, "input" if is_input else "output")
        tree = join_tree(roots, header.tensor_depth)
        path = branch(tree, Gindex((1 << depth_for(len(roots))) | accusation.detail))
        entry = [nodes.node(place), *branch(nodes, place)]
        return b"".join([*entry, struct.pack(">B", accusation.detail), roots[accusation.detail], *path])
    leaf = offset_of(place)
    data = theirs.leaf_bytes(leaf)
    if accusation.rule is Rule.STEP:
        return step_witness(own.program, list(own.values), nodes, leaf, data, accusation.detail)
    value = leaf >> header.tensor_depth
    if len(header.inputs) <= value < header.values:
        return padding_witness(own.program, nodes, leaf, data)
    return data + b"".join(branch(nodes, place))


def settling(
    question: Question,
    results: Sequence[Partial],
    child: int | None,
    layout: TraceLayout,
    own: ValueTrace,
    theirs: KnownTrace,
    trace_root: Root,
) -> bytes:
    """What ``settle`` needs: of the part that partial result ``child`` stands for, or (None) of the op's code. Raises
    CommitmentError if the opponent's leaf is not known.
    """
    nodes, leaf, values = _disputed(layout, own, theirs, trace_root), offset_of(question.place), list(own.values)
    if child is not None:
        return part_witness(own.program, values, nodes, leaf, question.element, question.part(child))
    acc = accumulator(question.monoid, combine(question.monoid, results))
    return epilogue_witness(own.program, values, nodes, leaf, theirs.leaf_bytes(leaf), question.element, acc)


def _disputed(layout: TraceLayout, own: ValueTrace, theirs: KnownTrace, trace_root: Root) -> Overlay:
    """The nodes of the disputed trace, beside the way to the leftmost difference and everywhere that both traces agree."""
    if trace_root == own.root:
        return Overlay(own)
    return Overlay(_Passed(leftmost_difference(layout, own, theirs, ROOT, trace_root).nodes), own)
