"""A prover's part in quorums: it commits to its answer, reveals it in the next block, and settles it once its claim has ended.

Everything follows from L1 and from the account: claim, nonce and salt of a request come out the same whenever they are asked for. So
a restart or a reorganisation loses nothing, and nothing is kept but what would take long to compute again.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from prover.claims import MadeClaim
from prover.service.worker import InferenceWorker
from rollup.batch import Inclusion
from rollup.claim import Address
from rollup.errors import ClaimError, Refused, Reverted
from rollup.form.program import Program
from rollup.l1.answers import ClaimStatus, Receipt
from rollup.l1.client import L1Client
from rollup.l1.node.chain import TRANSACTION_GAS
from rollup.l1.node.header import header_of
from rollup.l1.requests.asked import NO_COMMITTEE
from rollup.l1.requests.events import Requested
from rollup.l1.requests.quorum import (
    DRAW_BLOCKS,
    REVEAL_BLOCKS,
    Quorum,
    commit_answer,
    commitment_of,
    draw,
    members_of,
    quorums,
    reveal_answer,
    settle,
)
from rollup.service.logs import logger
from rollup.service.problem import Problem
from rollup.types import ModelId, Timestamp

HASHES = 256
"""Blocks for which contracts know a block's hash."""

REORGANISED = 64
"""Blocks that are looked at again even if nothing goes on in them."""

DRAW_GAS = 1_500_000
"""Gas of a draw, at most. An estimate would be made in the block whose hash nobody knows yet."""

REVEAL_GAS = 900_000
"""Gas of revealing, at most, besides the callback and the claim's bytes."""

BYTE_GAS = 100
"""Gas of a byte of input or output that is posted and repeated to the consumer, at most."""

ENDED = frozenset({ClaimStatus.FINAL, ClaimStatus.INVALID})

_log = logger("touchstone.quorum")


class Move(StrEnum):
    """What a prover can do for a quorum."""

    DRAW = "draw"
    COMMIT = "commit"
    REVEAL = "reveal"
    SETTLE = "settle"


def move_in(quorum: Quorum, me: Address, members: tuple[Address, ...], block: int) -> Move | None:
    """What this prover does for a quorum in this block, which comes next; None: nothing, or not yet."""
    if me in quorum.revealed:
        claim_id, _ = quorum.revealed[me]
        is_due = quorum.is_decided or block > quorum.sealed_at + REVEAL_BLOCKS
        return Move.SETTLE if is_due and claim_id not in quorum.settled else None
    if quorum.ended or quorum.is_decided:
        return None
    if quorum.committee == NO_COMMITTEE:
        of = quorum.block + DRAW_BLOCKS
        return Move.DRAW if of < block <= of + HASHES else None
    if me not in members:
        return None
    if quorum.sealed_at:
        in_time = quorum.sealed_at < block <= quorum.sealed_at + REVEAL_BLOCKS
        return Move.REVEAL if in_time and me in quorum.committed else None
    return Move.COMMIT if me not in quorum.committed and block <= quorum.last_commit else None


def is_over(quorum: Quorum, me: Address, block: int) -> bool:
    """Whether this prover has nothing more to do for a quorum, from this block on."""
    if me in quorum.revealed:
        return quorum.revealed[me][0] in quorum.settled
    if quorum.ended or quorum.is_decided:
        return True
    if quorum.committee == NO_COMMITTEE:
        return block > quorum.block + DRAW_BLOCKS + HASHES
    return block > (quorum.sealed_at + REVEAL_BLOCKS if quorum.sealed_at else quorum.last_commit)


class QuorumPlayer:
    """``program``: of a model that this prover answers for, None of any other. ``claim``: runs it for a request and signs the claim, with
    this nonce and validity; the same for the same request whenever it is called. ``valid_for``: seconds after the request in which the
    claim can be posted.
    """

    def __init__(
        self,
        client: L1Client,
        program: Callable[[ModelId], Program | None],
        claim: Callable[[Requested, int, Timestamp], MadeClaim],
        valid_for: int = 3600,
    ) -> None:
        self._client, self._program, self._claim, self._valid_for = client, program, claim, valid_for
        self._first = client.first
        self._made: dict[bytes, MadeClaim] = {}
        self._members: dict[bytes, tuple[Address, ...]] = {}

    @classmethod
    def of(cls, client: L1Client, worker: InferenceWorker, valid_for: int = 3600) -> QuorumPlayer:
        """A prover that answers for the models that a worker holds. ``valid_for``: as the worker's, or less."""

        def program(model_id: ModelId) -> Program | None:
            model = worker.model(model_id)
            return None if model is None else model.program

        def claim(made: Requested, nonce: int, valid_until: Timestamp) -> MadeClaim:
            return worker.answer(made.model_id, made.inputs, made.request_id, nonce, valid_until)[1]

        return cls(client, program, claim, valid_for)

    def step(self) -> list[Receipt]:
        """Look at L1 and make the moves that are due; returns what was sent. A move that L1 refuses, because somebody was faster or it
        came too late, is logged. Raises ChainError where the chain fails.
        """
        client = self._client
        block = client.chain.height() + 1
        found = quorums(client.events(self._first, block - 1))
        sent = []
        for request_id, quorum in found.items():
            if self._program(quorum.request.model_id) is None:
                continue
            move = move_in(quorum, client.account, self._of(quorum.committee), block)
            if move is None:
                continue
            try:
                receipt = self._make(move, request_id, quorum)
            except (Reverted, Refused, ClaimError, Problem) as error:
                _log.warning("move refused", move=move.value, request=f"0x{request_id.hex()}", reason=str(error))
                continue
            if receipt is not None:
                sent.append(receipt)
                _log.info("moved", move=move.value, request=f"0x{request_id.hex()}", gas=receipt.gas)
        self._forget(found, block)
        return sent

    def _make(self, move: Move, request_id: bytes, quorum: Quorum) -> Receipt | None:
        client, request = self._client, quorum.request
        if move is Move.DRAW:
            return client.send(draw(request, header_of(client.chain, quorum.block + DRAW_BLOCKS)), DRAW_GAS)
        made = self._answer(request_id, quorum)
        salt = client.derive(b"quorum salt" + request_id)
        if move is Move.COMMIT:
            commitment = commitment_of(client, request_id, client.account, made.claim_id, salt)
            return client.send(commit_answer(request, commitment))
        if move is Move.REVEAL:
            return client.send(reveal_answer(request, quorum.made.data, made.posted, salt), self._gas(quorum, made))
        return self._settle(quorum, made)

    def _settle(self, quorum: Quorum, made: MadeClaim) -> Receipt | None:
        _, batch = quorum.revealed[self._client.account]
        place = Inclusion(batch, 0, ())
        if self._client.status(made.posted.claim, place) not in ENDED:
            return None
        return self._client.send(settle(quorum.request, made.posted, place))

    def _gas(self, quorum: Quorum, made: MadeClaim) -> int:
        """Of a reveal that turns out to be the last one, which an estimate made before the others does not know."""
        size = 2 * len(made.posted.outputs) + len(made.posted.inputs) + len(quorum.made.data)
        return min(TRANSACTION_GAS, REVEAL_GAS + BYTE_GAS * size + quorum.request.gas_limit * 64 // 63)

    def _answer(self, request_id: bytes, quorum: Quorum) -> MadeClaim:
        if request_id not in self._made:
            nonce = int.from_bytes(self._client.derive(b"quorum nonce" + request_id), "big")
            latest = self._client.chain.time_of(quorum.block) + self._valid_for
            self._made[request_id] = self._claim(quorum.made, nonce, Timestamp(min(quorum.request.until, latest)))
        return self._made[request_id]

    def _of(self, committee: bytes) -> tuple[Address, ...]:
        """Members of a committee, which never change."""
        if committee == NO_COMMITTEE:
            return ()
        if not self._members.get(committee):
            self._members[committee] = members_of(self._client, committee)
        return self._members[committee]

    def _forget(self, found: dict[bytes, Quorum], block: int) -> None:
        """What is over: its claims, and the blocks before whatever goes on."""
        me = self._client.account
        going = {request_id: one for request_id, one in found.items() if not is_over(one, me, block)}
        self._made = {request_id: made for request_id, made in self._made.items() if request_id in going}
        begun = min((one.block for one in going.values()), default=block)
        self._first = max(self._first, min(begun, block - REORGANISED))
