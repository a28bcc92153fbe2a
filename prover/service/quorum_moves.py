"""What a prover does for a quorum, and when: decided from what L1 said, nothing else."""

from __future__ import annotations

from enum import StrEnum

from rollup.claim import Address
from rollup.l1.requests.asked import NO_COMMITTEE
from rollup.l1.requests.quorum import DRAW_BLOCKS, LAST_DRAW, REVEAL_BLOCKS, Quorum


class Move(StrEnum):
    """What a prover can do for a quorum, the most urgent first. ``ANSWER``: show its own claim after the quorum failed."""

    REVEAL = "reveal"
    ANSWER = "answer"
    SETTLE = "settle"
    DRAW = "draw"
    COMMIT = "commit"


def move_in(quorum: Quorum, me: Address, members: tuple[Address, ...], block: int) -> Move | None:
    """What this prover does for a quorum in this block, which comes next; None: nothing, or not yet. ``members``: who can answer; of
    those who can be drawn, this prover is enough.
    """
    if me in quorum.revealed:
        return _afterwards(quorum, me, block)
    if quorum.ended or quorum.is_decided or me not in members:
        return None
    if quorum.committee == NO_COMMITTEE:
        return Move.DRAW if quorum.block + DRAW_BLOCKS < block <= quorum.block + LAST_DRAW else None
    if quorum.sealed_at:
        in_time = quorum.sealed_at < block <= quorum.sealed_at + REVEAL_BLOCKS
        return Move.REVEAL if in_time and me in quorum.committed else None
    return Move.COMMIT if me not in quorum.committed and block <= quorum.last_commit else None


def has_failed(quorum: Quorum, block: int) -> bool:
    """Whether a quorum whose answers are revealed agrees no more, from this block on."""
    return not quorum.is_agreed and (quorum.is_split or block > quorum.sealed_at + REVEAL_BLOCKS)


def is_settled_for(quorum: Quorum) -> bool:
    """Whether something waits for what becomes of a claim: a part of the fee, or the share of a drawn prover."""
    return quorum.is_agreed or quorum.request.committee == NO_COMMITTEE


def _afterwards(quorum: Quorum, me: Address, block: int) -> Move | None:
    """Behind one's own reveal."""
    failed = has_failed(quorum, block)
    if not failed and not quorum.is_agreed:
        return None
    if failed and not quorum.ended:
        return Move.ANSWER
    claim_id, _ = quorum.revealed[me]
    return Move.SETTLE if is_settled_for(quorum) and claim_id not in quorum.settled else None


def is_over(quorum: Quorum, me: Address, members: tuple[Address, ...], block: int) -> bool:
    """Whether this prover has nothing more to do for a quorum, from this block on."""
    if me in quorum.revealed:
        return (quorum.is_agreed or has_failed(quorum, block)) and _afterwards(quorum, me, block) is None
    if quorum.ended or quorum.is_decided or me not in members:
        return True
    if quorum.committee == NO_COMMITTEE:
        return block > quorum.block + LAST_DRAW
    return block > (quorum.sealed_at + REVEAL_BLOCKS if quorum.sealed_at else quorum.last_commit)
