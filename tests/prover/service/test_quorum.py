"""What a prover does for a quorum, by what L1 said; on a chain: tests/e2e/test_quorum.py."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from prover.service.quorum import QuorumPlayer
from prover.service.quorum_moves import Move, is_over, move_in
from rollup.claim import Address, ClaimId
from rollup.errors import Reverted
from rollup.l1.requests.asked import ANYBODY, NO_COMMITTEE, Request
from rollup.l1.requests.events import (
    AnswerCommitted,
    AnswerRevealed,
    AnswersDiffer,
    AnswerSettled,
    AnswersSealed,
    CommitteeDrawn,
    RequestAgreed,
    RequestAnswered,
    Requested,
)
from rollup.l1.requests.quorum import REVEAL_BLOCKS, Quorum
from rollup.types import ModelId, Root, Timestamp

ME, OTHER, THIRD = (Address("0x" + f"{number:02x}" * 20) for number in (1, 2, 3))
MEMBERS = (ME, OTHER, THIRD)
ID, MODEL, COMMITTEE = bytes(32), ModelId(Root(b"\x05" * 32)), b"\x06" * 32
CLAIM = ClaimId(b"\x07" * 32)
MADE_IN, COMMIT_BLOCKS = 100, 20


def asked(committee: bytes = COMMITTEE) -> Quorum:
    request = Request(
        MODEL, Root(bytes(32)), ME, ANYBODY, 0, 1, ANYBODY, Timestamp(0), Timestamp(9), ANYBODY, 0, 3, COMMIT_BLOCKS,
        committee, bytes(32), 0,
    )  # fmt: skip
    return Quorum.of(Requested(ID, MODEL, request, b"", b""), MADE_IN)


def after(quorum: Quorum, *said: tuple[int, object]) -> Quorum:
    for block, event in said:
        quorum = quorum.after(event, block)
    return quorum


def committed(block: int = 101) -> Quorum:
    return after(
        asked(), *((block, AnswerCommitted(ID, one, b"\x08" * 32)) for one in MEMBERS), (block, AnswersSealed(ID))
    )


@pytest.mark.parametrize(("block", "move"), [(100, Move.COMMIT), (120, Move.COMMIT), (121, None)])
def test_commits_until_the_last_block(block: int, move: Move | None) -> None:
    assert move_in(asked(), ME, MEMBERS, block) is move
    assert is_over(asked(), ME, MEMBERS, block) is (move is None)


def test_commits_once_and_only_as_a_member() -> None:
    quorum = after(asked(), (101, AnswerCommitted(ID, ME, b"\x08" * 32)))
    assert move_in(quorum, ME, MEMBERS, 102) is None
    assert move_in(quorum, OTHER, MEMBERS, 102) is Move.COMMIT
    assert move_in(asked(), ME, (OTHER, THIRD), 101) is None


@pytest.mark.parametrize(("block", "move"), [(102, None), (103, Move.DRAW), (358, Move.DRAW), (359, None)])
def test_draws_while_the_block_is_known(block: int, move: Move | None) -> None:
    assert move_in(asked(NO_COMMITTEE), ME, (ME,), block) is move
    assert is_over(asked(NO_COMMITTEE), ME, (ME,), block) is (block == 359)
    assert move_in(asked(NO_COMMITTEE), ME, (), block) is None and is_over(asked(NO_COMMITTEE), ME, (), block)


def test_a_draw_is_when_it_is_picked_up() -> None:
    quorum = after(asked(NO_COMMITTEE), (110, CommitteeDrawn(ID, COMMITTEE)))
    assert (quorum.picked_up, quorum.last_commit) == (110, 110 + COMMIT_BLOCKS)
    assert move_in(quorum, ME, MEMBERS, 130) is Move.COMMIT
    assert move_in(quorum, ME, MEMBERS, 131) is None


@pytest.mark.parametrize(("block", "move"), [(101, None), (102, Move.REVEAL), (109, Move.REVEAL), (110, None)])
def test_reveals_in_the_blocks_after_the_last_commitment(block: int, move: Move | None) -> None:
    assert REVEAL_BLOCKS == 8
    assert move_in(committed(), ME, MEMBERS, block) is move


def test_who_did_not_commit_does_not_reveal() -> None:
    quorum = replace(committed(), committed={OTHER: b"", THIRD: b""})
    assert move_in(quorum, ME, MEMBERS, 102) is None


def test_a_claim_of_a_quorum_that_agreed_is_settled() -> None:
    quorum = after(committed(), (102, AnswerRevealed(ID, CLAIM, ME, 4)))
    agreed = after(quorum, (103, RequestAgreed(ID, Root(bytes(32)))))
    assert move_in(agreed, ME, MEMBERS, 104) is Move.SETTLE
    assert move_in(agreed, OTHER, MEMBERS, 104) is None
    settled = after(agreed, (104, AnswerSettled(ID, CLAIM, 1, 0, 0)))
    assert move_in(settled, ME, MEMBERS, 105) is None
    assert is_over(settled, ME, MEMBERS, 105)


@pytest.mark.parametrize("drawn", [False, True])
def test_a_claim_of_a_quorum_that_failed_is_shown_and_a_drawn_prover_gets_its_share_back(drawn: bool) -> None:
    revealed = after(committed(), (102, AnswerRevealed(ID, CLAIM, ME, 4)))
    if drawn:
        revealed = replace(revealed, made=asked(NO_COMMITTEE).made)
    assert move_in(revealed, ME, MEMBERS, 109) is None
    assert move_in(revealed, ME, MEMBERS, 110) is Move.ANSWER
    split = after(revealed, (103, AnswersDiffer(ID, CLAIM)))
    assert move_in(split, ME, MEMBERS, 104) is Move.ANSWER and not is_over(split, ME, MEMBERS, 104)
    answered = after(split, (105, RequestAnswered(ID, CLAIM, OTHER, 0)))
    assert move_in(answered, ME, MEMBERS, 106) is (Move.SETTLE if drawn else None)
    assert is_over(answered, ME, MEMBERS, 106) is not drawn


EVENTS = st.sampled_from(
    [
        *(AnswerCommitted(ID, one, b"\x08" * 32) for one in MEMBERS),
        *(AnswerRevealed(ID, ClaimId(bytes([n]) * 32), one, n) for n, one in enumerate(MEMBERS)),
        *(AnswerSettled(ID, ClaimId(bytes([n]) * 32), 0, 0, 1) for n in range(3)),
        AnswersSealed(ID),
        AnswersDiffer(ID, CLAIM),
        RequestAgreed(ID, Root(bytes(32))),
        RequestAnswered(ID, CLAIM, ME, 0),
        CommitteeDrawn(ID, COMMITTEE),
    ]
)


@given(st.lists(EVENTS, max_size=12), st.sampled_from([COMMITTEE, NO_COMMITTEE]), st.integers(100, 500))
def test_what_is_over_asks_for_no_move(events: list[object], committee: bytes, block: int) -> None:
    quorum = after(asked(committee), *((101 + at, event) for at, event in enumerate(events)))
    if is_over(quorum, ME, MEMBERS, block):
        assert move_in(quorum, ME, MEMBERS, block) is None
        assert move_in(quorum, ME, MEMBERS, block + 100) is None


@pytest.mark.parametrize(("name", "level"), [("AlreadyDrawn", "info"), ("NotDrawable", "warning")])
def test_that_another_member_drew_first_is_no_warning(name: str, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise Reverted(name, {}, "in words; nothing is to be done")

    monkeypatch.setattr(QuorumPlayer, "__post_init__", lambda _: None)
    monkeypatch.setattr(QuorumPlayer, "_make", refuse)
    player = QuorumPlayer(None, None)  # type: ignore[arg-type]
    with capture_logs() as said:
        assert player._try(Move.DRAW, ID, {}) is None
    assert [(one["event"], one["log_level"]) for one in said] == [("move not made", level)]
