"""Where a strategy accuses, how deep it selects, and that it trusts nothing that does not hash."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from challenger.play.accusation import Accusation, accuse, leftmost_difference
from challenger.play.actions import (
    Action,
    ToChallenge,
    ToCommit,
    ToProve,
    ToReveal,
    ToRevealLeaf,
    ToSelect,
    ToSetTraceRoot,
    ToTimeout,
)
from challenger.play.known import FirstOf, Preimages, RevealedTrace
from challenger.play.strategy import SeenGame, challenger, defender
from rollup.claim import NO_ROOT
from rollup.errors import CommitmentError
from rollup.game.clock import Side
from rollup.game.moves import Move, Rule
from rollup.game.position import ROOT
from rollup.merkle import hash_node
from rollup.types import Gindex, Root
from tests.rollup.game import toy

RIGHT = toy.right_trace()
OUTPUT = RIGHT.leaves[toy.OUTPUT]
LAYOUT = toy.layout(OUTPUT)


def leaf(number: int) -> Gindex:
    return Gindex((1 << toy.TRACE_DEPTH) | number)


def revealed(trace: toy.ToyTrace, levels: int) -> RevealedTrace:
    """What one reveal of the root shows."""
    known = Preimages()
    known.add_children([trace.node(Gindex((1 << levels) | j)) for j in range(1 << levels)])
    return RevealedTrace(known, trace.root, toy.TRACE_DEPTH)


@given(st.sets(st.integers(1, toy.USED - 1), min_size=1))
def test_the_leftmost_of_many_differences_is_accused(lies: set[int]) -> None:
    trace = RIGHT
    for at in lies:
        trace = toy.altered(trace, at, consistent=False)
    assert accuse(LAYOUT, RIGHT, trace, trace.root) == Accusation(leaf(min(lies)), Rule.STEP, 0)


def test_each_kind_of_lie_has_its_rule() -> None:
    wrong_input = toy.altered(RIGHT, 0, consistent=True)
    assert accuse(LAYOUT, RIGHT, wrong_input, wrong_input.root) == Accusation(leaf(0), Rule.INPUT, 0)
    padded = toy.altered(RIGHT, toy.USED, consistent=False)
    assert accuse(LAYOUT, RIGHT, padded, padded.root) == Accusation(leaf(toy.USED), Rule.PADDING)
    other_output = toy.layout(bytes(1024))
    assert accuse(other_output, RIGHT, RIGHT, RIGHT.root) == Accusation(leaf(toy.OUTPUT), Rule.OUTPUT, 0)


def test_a_right_claim_and_an_unknown_root_are_not_accused() -> None:
    assert accuse(LAYOUT, RIGHT, RIGHT, RIGHT.root) is None
    assert accuse(LAYOUT, RIGHT, RIGHT, NO_ROOT) is None


def test_a_published_trace_that_does_not_hash_to_the_claim_is_not_believed() -> None:
    lie, other = toy.altered(RIGHT, 5, consistent=True), toy.altered(RIGHT, 2, consistent=True)
    assert accuse(LAYOUT, RIGHT, other, lie.root) is None
    found = leftmost_difference(LAYOUT, RIGHT, other, ROOT, lie.root)
    assert (found.position, found.siblings) == (ROOT, ())
    assert challenger(LAYOUT, RIGHT, other, lie.root, None) == [ToChallenge(None)]


def test_a_leaf_that_does_not_hash_is_not_believed() -> None:
    lie = toy.altered(RIGHT, 5, consistent=True)
    forged = toy.ToyTrace(lie.leaves)
    object.__setattr__(forged, "leaves", (*lie.leaves[:5], bytes(1024), *lie.leaves[6:]))
    forged.__dict__["tree"] = lie.tree
    assert accuse(LAYOUT, RIGHT, forged, lie.root) is None


def test_with_a_published_trace_the_challenger_needs_two_moves() -> None:
    lie = toy.altered(RIGHT, 4, consistent=True)
    assert challenger(LAYOUT, RIGHT, lie, lie.root, None) == [ToChallenge(leaf(4))]
    view = SeenGame(ROOT, lie.root, Side.DEFENDER, lie.root, committed=leaf(4), commitment_counts=True)
    assert challenger(LAYOUT, RIGHT, lie, lie.root, view) == [ToProve(Accusation(leaf(4), Rule.STEP, 0))]


def test_a_commitment_of_this_block_waits() -> None:
    lie = toy.altered(RIGHT, 4, consistent=True)
    view = SeenGame(ROOT, lie.root, Side.DEFENDER, lie.root, committed=leaf(4))
    assert challenger(LAYOUT, RIGHT, lie, lie.root, view) == []


def test_a_trace_that_is_published_late_is_committed_to_in_the_open_game() -> None:
    lie = toy.altered(RIGHT, 4, consistent=True)
    view = SeenGame(ROOT, lie.root, Side.DEFENDER, lie.root)
    assert challenger(LAYOUT, RIGHT, lie, lie.root, view) == [ToCommit(leaf(4))]


@pytest.mark.parametrize("levels", [1, 2])
def test_with_a_withheld_trace_the_challenger_goes_down_as_far_as_was_revealed(levels: int) -> None:
    lie = toy.altered(RIGHT, 5, consistent=False)
    known = revealed(lie, levels)
    assert challenger(LAYOUT, RIGHT, known, lie.root, None) == [ToChallenge(None)]
    waiting = SeenGame(ROOT, lie.root, Side.DEFENDER, lie.root)
    assert challenger(LAYOUT, RIGHT, known, lie.root, waiting) == []
    view = SeenGame(ROOT, lie.root, Side.CHALLENGER, lie.root)
    below = Gindex(leaf(5) >> (toy.TRACE_DEPTH - levels))
    (action,) = challenger(LAYOUT, RIGHT, known, lie.root, view)
    assert isinstance(action, ToSelect)
    assert (action.position, action.child, len(action.siblings)) == (below, lie.node(below), levels)


def test_a_leaf_is_proven_once_its_bytes_were_revealed() -> None:
    lie = toy.altered(RIGHT, 5, consistent=False)
    known = revealed(lie, toy.TRACE_DEPTH)
    view = SeenGame(leaf(5), lie.node(leaf(5)), Side.DEFENDER, lie.root)
    assert challenger(LAYOUT, RIGHT, known, lie.root, view) == []
    known.preimages.add_leaf(lie.leaves[5])
    view = SeenGame(leaf(5), lie.node(leaf(5)), Side.CHALLENGER, lie.root)
    assert challenger(LAYOUT, RIGHT, known, lie.root, view) == [ToProve(Accusation(leaf(5), Rule.STEP, 0))]


def test_clocks_are_collected_by_the_side_they_do_not_belong_to() -> None:
    silent = SeenGame(ROOT, RIGHT.root, Side.DEFENDER, RIGHT.root, expired=Side.DEFENDER)
    slow = SeenGame(ROOT, RIGHT.root, Side.CHALLENGER, RIGHT.root, expired=Side.CHALLENGER)
    assert challenger(LAYOUT, RIGHT, RIGHT, RIGHT.root, silent) == [ToTimeout(Side.DEFENDER)]
    assert challenger(LAYOUT, RIGHT, RIGHT, RIGHT.root, slow) == []
    assert defender(LAYOUT, RIGHT, 1, slow) == [ToTimeout(Side.CHALLENGER)]
    assert defender(LAYOUT, RIGHT, 1, silent) == []


def test_the_defender_opens_what_the_game_stands_on_and_nothing_else() -> None:
    def at(position: int, turn: Side = Side.DEFENDER, root: Root = RIGHT.root) -> SeenGame:
        return SeenGame(Gindex(position), RIGHT.node(Gindex(position)), turn, root)

    assert defender(LAYOUT, RIGHT, 2, at(1)) == [ToReveal(tuple(RIGHT.node(Gindex(j)) for j in range(4, 8)))]
    assert defender(LAYOUT, RIGHT, 2, at(5)) == [ToReveal((RIGHT.node(Gindex(10)), RIGHT.node(Gindex(11))))]
    assert defender(LAYOUT, RIGHT, 2, at(leaf(6))) == [ToRevealLeaf(RIGHT.leaves[6])]
    assert defender(LAYOUT, RIGHT, 2, at(1, Side.CHALLENGER)) == []
    assert defender(LAYOUT, RIGHT, 2, at(1, root=NO_ROOT)) == [ToSetTraceRoot(RIGHT.root)]


def test_preimages_hang_below_every_node_with_their_hash() -> None:
    """A node that was opened for another claim, or as a path of a selection, is known here as well."""
    known = Preimages()
    path = [RIGHT.node(Gindex(leaf(5) ^ 1)), RIGHT.node(Gindex((leaf(5) >> 1) ^ 1)), RIGHT.node(Gindex(2))]
    known.add_path(RIGHT.node(leaf(5)), leaf(5), path)
    trace = RevealedTrace(known, RIGHT.root, toy.TRACE_DEPTH)
    assert trace.node(leaf(4)) == RIGHT.node(leaf(4))
    with pytest.raises(CommitmentError, match="never revealed"):
        trace.node(leaf(0))
    above = hash_node(RIGHT.root, RIGHT.root)
    known.add_children([RIGHT.root, RIGHT.root])
    assert RevealedTrace(known, above, toy.TRACE_DEPTH + 1).node(Gindex(0b11101)) == RIGHT.node(leaf(5))


def test_the_first_source_that_knows_a_node_gives_it() -> None:
    both = FirstOf([revealed(RIGHT, 1), RIGHT])
    assert both.node(Gindex(2)) == RIGHT.node(Gindex(2))
    assert both.leaf_bytes(3) == RIGHT.leaves[3]
    with pytest.raises(CommitmentError, match="neither published nor revealed"):
        FirstOf([revealed(RIGHT, 1)]).node(leaf(0))
    with pytest.raises(CommitmentError, match="neither published nor revealed"):
        FirstOf([revealed(RIGHT, 1)]).leaf_bytes(0)


def test_nodes_and_leaves_of_odd_lengths_are_not_believed() -> None:
    """Two halves of 31 and 33 bytes hash like two nodes, and a short leaf like its padded self."""
    lie = toy.altered(RIGHT, toy.USED, consistent=False)

    class Odd:
        def node(self, gindex: Gindex) -> Root:
            both = lie.node(Gindex(2)) + lie.node(Gindex(3))
            odd = {2: both[:31], 3: both[31:]}
            return Root(odd[gindex]) if gindex in odd else lie.node(gindex)

        def leaf_bytes(self, leaf: int) -> bytes:
            return lie.leaf_bytes(leaf).rstrip(b"\x00")

    assert leftmost_difference(LAYOUT, RIGHT, Odd(), ROOT, lie.root).position == ROOT
    short = FirstOf([revealed(lie, toy.TRACE_DEPTH), Odd()])
    assert accuse(LAYOUT, RIGHT, short, lie.root) is None
    assert accuse(LAYOUT, RIGHT, lie, lie.root) is not None


def test_an_action_is_named_after_the_move_that_it_becomes() -> None:
    moves = {kind.__name__ for kind in get_args(Move)} - {"Reclaim"}
    assert {kind.__name__.removeprefix("To") for kind in get_args(Action)} == moves
