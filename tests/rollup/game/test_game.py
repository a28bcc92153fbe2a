"""Single rules that the vectors cannot show: moves in one block, openings older than the game, the table itself."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import get_args

import pytest

from rollup.claim import NO_ROOT, Address
from rollup.game.clock import Clocks, Side
from rollup.game.dispute import Dispute, GameStatus, Instant, Opening
from rollup.game.endings import compensation
from rollup.game.game import TRANSITIONS, play
from rollup.game.ledger import Ledger
from rollup.game.moves import (
    Challenge,
    Commit,
    Commitment,
    GameAt,
    HiddenPlace,
    Move,
    MoveKind,
    Node,
    Prove,
    Reveal,
    Rule,
    SetTraceRoot,
    Timeout,
)
from rollup.game.refusal import Reason, Refusal
from rollup.settings import Parameters
from rollup.types import Duration, Gindex, Root, Timestamp
from tests.rollup.game import toy

CLAIMANT, ALICE, BOB = (Address("0x" + byte * 20) for byte in ("c1", "a1", "b0"))
TERMS = Parameters(Duration(100), Duration(40), Duration(5), Duration(60), 1, 1000, 500, 300, 10, 20)
Openings = dict[tuple[Node, int], Opening]
PLACE = HiddenPlace(Gindex((1 << toy.TRACE_DEPTH) | 3), b"s" * 32)


def begun(trace_root: Root) -> Dispute:
    ledger = Ledger().deposit(CLAIMANT, 2000).fund(CLAIMANT, 2000).fund(ALICE, 2000)
    return Dispute.begin(TERMS, CLAIMANT, Timestamp(100), (toy.TRACE_DEPTH, 0), trace_root, ledger)


def instant(time: int, block: int) -> Instant:
    return Instant(Timestamp(time), block)


def test_every_move_has_a_name_of_its_own_which_is_its_class_in_snake_case() -> None:
    names = [re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower() for kind in get_args(Move)]
    assert sorted(names) == sorted(MoveKind)


def test_every_move_has_a_row_in_the_table() -> None:
    assert set(TRANSITIONS) == set(get_args(Move))


def test_a_commitment_counts_from_the_next_block_on() -> None:
    root = toy.right_trace().root
    dispute = play(begun(root), Challenge(ALICE, Commitment(root, PLACE)), instant(101, 7))
    proof = Prove(ALICE, GameAt(0, root, root), PLACE, Rule.STEP, True)
    with pytest.raises(Refusal) as refused:
        play(dispute, proof, instant(101, 7))
    assert refused.value.reason is Reason.PLACE_NOT_REACHED
    won = play(dispute, proof, instant(102, 8))
    assert won.games[0].status is GameStatus.WON
    again = play(dispute, Commit(ALICE, GameAt(0, root, root), Commitment(root, PLACE)), instant(102, 8))
    with pytest.raises(Refusal):
        play(again, proof, instant(102, 8))


def test_a_trace_root_is_refused_for_the_reasons_of_the_contract_in_its_order() -> None:
    """DisputeGame.setTraceRoot: whether it was challenged, whether there is a root, whether one is given, and by whom."""
    stranger, nothing = BOB, SetTraceRoot(BOB, NO_ROOT)
    dispute, now = begun(NO_ROOT), instant(110, 1)
    reasons = []
    for challenge, move in (
        (False, nothing),
        (True, nothing),
        (True, SetTraceRoot(stranger, toy.right_trace().root)),
    ):
        state = play(dispute, Challenge(ALICE), now) if challenge else dispute
        with pytest.raises(Refusal) as refused:
            play(state, move, now)
        reasons.append(refused.value.reason)
    assert reasons == [Reason.NOT_CHALLENGED, Reason.NO_TRACE_ROOT, Reason.NOT_CLAIMANT]


def test_a_root_that_was_opened_elsewhere_before_it_was_set_costs_its_claimant_the_time_until_then() -> None:
    trace = toy.right_trace()
    early: Openings = {(trace.root, 1): Opening(Timestamp(5), BOB)}
    dispute = play(replace(begun(NO_ROOT), opened=early), Challenge(ALICE), instant(110, 1))
    late = play(dispute, SetTraceRoot(CLAIMANT, trace.root), instant(151, 2))
    assert late.turn(late.games[0]) is Side.CHALLENGER
    assert late.expired(late.games[0], Timestamp(151)) is Side.DEFENDER
    in_time = play(dispute, SetTraceRoot(CLAIMANT, trace.root), instant(150, 2))
    assert in_time.expired(in_time.games[0], Timestamp(150)) is None
    clocks = in_time.games[0].clocks.charged(in_time.opened_at(in_time.games[0]), Timestamp(160))
    assert (clocks.defender, clocks.challenger) == (0, 30)


def test_a_node_opened_long_before_a_game_hands_it_to_the_challenger_at_once() -> None:
    trace = toy.right_trace()
    dispute = play(
        replace(begun(trace.root), opened={(trace.root, 1): Opening(Timestamp(5), BOB)}),
        Challenge(ALICE),
        instant(110, 1),
    )
    with pytest.raises(Refusal) as refused:
        play(dispute, Timeout(ALICE, (0,)), instant(150, 2))
    assert refused.value.reason is Reason.NOTHING_TO_COLLECT
    lost = play(dispute, Timeout(ALICE, (0,)), instant(151, 2))
    assert lost.games[0].status is GameStatus.LOST


def test_a_node_opened_with_other_levels_is_not_opened_here() -> None:
    trace = toy.right_trace()
    opened: Openings = {(trace.root, 2): Opening(Timestamp(5), BOB)}
    dispute = play(replace(begun(trace.root), opened=opened), Challenge(ALICE), instant(110, 1))
    assert dispute.turn(dispute.games[0]) is Side.DEFENDER
    children = (trace.node(Gindex(2)), trace.node(Gindex(3)))
    revealed = play(dispute, Reveal(CLAIMANT, children), instant(111, 2))
    assert revealed.turn(revealed.games[0]) is Side.CHALLENGER


def test_the_side_whose_interval_came_first_has_run_out_first() -> None:
    clocks = Clocks.start(Duration(10), Timestamp(100))
    assert clocks.expired(Timestamp(111), Timestamp(200)) is Side.DEFENDER
    assert clocks.expired(Timestamp(110), Timestamp(121)) is Side.CHALLENGER
    assert clocks.expired(Timestamp(110), Timestamp(120)) is None
    assert clocks.expired(None, Timestamp(110)) is None


def test_fees_never_exceed_the_challengers_bond() -> None:
    root = toy.right_trace().root
    dispute = play(begun(root), Challenge(ALICE), instant(101, 1))
    many = replace(dispute.games[0], openers=(CLAIMANT,) * 10_000)
    opened: Openings = {(root, 1): Opening(Timestamp(101), CLAIMANT)}
    lost = play(replace(dispute, games=(many,), opened=opened), Timeout(CLAIMANT, (0,)), instant(142, 2))
    assert lost.ledger.earnings(CLAIMANT) == 2000 + TERMS.challenge_bond
    assert lost.ledger.burned == 0
    assert lost.ledger.balanced


def test_beyond_eight_helpers_the_claimant_has_the_fees() -> None:
    root = toy.right_trace().root
    dispute = play(begun(root), Challenge(ALICE), instant(101, 1))
    helpers = [Address(f"0x{number:040x}") for number in range(1, 12)]
    opened: Openings = {(root, 1): Opening(Timestamp(101), helpers[0])}

    def due(*openers: Address) -> Counter[Address]:
        game = replace(dispute.games[0], openers=openers)
        return Counter(compensation(replace(dispute, games=(game,), opened=opened), game))

    assert due(helpers[1], helpers[1], CLAIMANT) == {helpers[1]: 2, CLAIMANT: 1, helpers[0]: 1}
    assert due(*helpers[1:8]) == dict.fromkeys(helpers[:8], 1)
    assert due(*helpers[1:9]) == {**dict.fromkeys(helpers[1:9], 1), CLAIMANT: 1}
    assert due(*helpers[1:9], CLAIMANT, helpers[8]) == {**dict.fromkeys(helpers[1:8], 1), helpers[8]: 2, CLAIMANT: 2}
