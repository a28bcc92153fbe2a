"""Quorums on L1: what was said about each, and the transactions of those who answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from rollup.batch import Inclusion
from rollup.claim import Address, ClaimId, PostedClaim
from rollup.l1.calls import PROVERS, REQUESTS, Call, claim_fields, inclusion_fields
from rollup.l1.client import L1Client
from rollup.l1.contracts import address_of
from rollup.l1.events import Logged
from rollup.l1.requests.asked import NO_COMMITTEE, Request, struct_fields
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
    RequestRefunded,
)
from rollup.types import ModelId

DRAW_BLOCKS = 2
REVEAL_BLOCKS = 8
LEAVING_BLOCKS = 300
"""The contracts' constants of these names."""

HASHES = 256
"""Blocks for which contracts know a block's hash."""

LAST_DRAW = DRAW_BLOCKS + HASHES
"""Blocks after the request's in the last of which a committee can be drawn."""

NOWHERE = Inclusion((1 << 256) - 1, 0, ())
"""Stands for the place of a claim that is not posted yet."""


@dataclass(frozen=True)
class Quorum:
    """How far the quorum of a request is.

    ``block``: of the request. ``committee``: who answers, zero until it is drawn. ``picked_up``: block from which it is known; 0 before.
    ``committed``: what each prover committed to. ``sealed_at``: block of the last commitment; 0 before. ``revealed``: each prover's claim
    and its batch. ``ended``: the request was answered, or the fee given back, in another way.
    """

    made: Requested
    block: int
    committee: bytes
    picked_up: int
    committed: Mapping[Address, bytes] = field(default_factory=dict)
    sealed_at: int = 0
    revealed: Mapping[Address, tuple[ClaimId, int]] = field(default_factory=dict)
    settled: frozenset[ClaimId] = frozenset()
    is_split: bool = False
    is_agreed: bool = False
    ended: bool = False

    @classmethod
    def of(cls, made: Requested, block: int) -> Quorum:
        """As it begins."""
        committee = made.request.committee
        return cls(made, block, committee, 0 if committee == NO_COMMITTEE else block)

    @property
    def request(self) -> Request:
        return self.made.request

    @property
    def last_commit(self) -> int:
        """Last block in which a prover may commit."""
        return self.picked_up + self.request.commit_blocks

    @property
    def is_decided(self) -> bool:
        return self.is_agreed or self.is_split

    def after(self, event: object, block: int) -> Quorum:
        """After an event about this request in that block."""
        match event:
            case CommitteeDrawn(_, committee):
                return replace(self, committee=committee, picked_up=block)
            case AnswerCommitted(_, prover, commitment):
                return replace(self, committed={**self.committed, prover: commitment})
            case AnswersSealed():
                return replace(self, sealed_at=block)
            case AnswerRevealed(_, claim_id, prover, batch):
                return replace(self, revealed={**self.revealed, prover: (claim_id, batch)})
            case AnswersDiffer():
                return replace(self, is_split=True)
            case RequestAgreed():
                return replace(self, is_agreed=True)
            case AnswerSettled(_, claim_id):
                return replace(self, settled=self.settled | {claim_id})
            case RequestAnswered() | RequestRefunded():
                return replace(self, ended=True)
        return self


def quorums(events: Iterable[Logged], before: Mapping[bytes, Quorum] | None = None) -> dict[bytes, Quorum]:
    """The quorums of requests that were made in these events or ``before`` them, by request id."""
    found = dict(before or {})
    for logged in events:
        event = logged.event
        if isinstance(event, Requested):
            if event.request.quorum:
                found[event.request_id] = Quorum.of(event, logged.block)
        elif (request_id := getattr(event, "request_id", None)) in found:
            found[request_id] = found[request_id].after(event, logged.block)
    return found


def commitment_of(client: L1Client, request_id: bytes, prover: Address, claim_id: ClaimId, salt: bytes) -> bytes:
    """What a prover commits to. ``salt``: 32 secret bytes."""
    types = ["string", "uint256", "address", "bytes32", "address", "bytes32", "bytes32"]
    chain_id, requests = client.chain.chain_id, client.requests_address
    return keccak(encode(types, ["Answer", chain_id, requests, request_id, prover, claim_id, salt]))


def members_of(client: L1Client, committee: bytes) -> tuple[Address, ...]:
    """The members of a committee that was named or drawn; nobody for one that was not."""
    return tuple(address_of(one) for one in client.ask_provers("membersOf", committee))


def stake_of(client: L1Client, prover: Address) -> tuple[int, int]:
    """(free, held): wei of the prover's stake."""
    free, held = client.ask_provers("stakes", prover)
    return int(free), int(held)


def share(client: L1Client) -> int:
    """Wei that a seat holds, and every answer of a drawn prover."""
    return int(client.ask_provers("SHARE"))


def estimated_quorum_fee(client: L1Client, model_id: ModelId, gas_limit: int, quorum: int) -> int:
    """The smallest fee, in wei, that is taken now for a request with a quorum of so many."""
    return int(client.ask_requests("estimateQuorumFee", model_id, gas_limit, quorum))


def committee_of(members: Iterable[Address]) -> bytes:
    """The id of the committee that these are."""
    return keccak(encode(["address[]"], [_ascending(members)]))


def name_committee(members: Iterable[Address]) -> Call:
    """Make a committee known, so that requests can name it."""
    return Call(PROVERS, "nameCommittee", (_ascending(members),))


def _ascending(members: Iterable[Address]) -> list[Address]:
    return sorted(members, key=lambda one: int(one, 16))


def stake(wei: int) -> Call:
    return Call(PROVERS, "stake", (), wei)


def unstake(wei: int) -> Call:
    return Call(PROVERS, "unstake", (wei,))


def join(model_id: ModelId) -> Call:
    """Take a seat for a model."""
    return Call(PROVERS, "join", (model_id,))


def resign(model_id: ModelId) -> Call:
    """Give the seat up; ``vacate`` frees its share ``LEAVING_BLOCKS`` later."""
    return Call(PROVERS, "resign", (model_id,))


def vacate(model_id: ModelId) -> Call:
    return Call(PROVERS, "vacate", (model_id,))


def draw(request: Request, header: bytes) -> Call:
    """``header``: RLP, of the block ``DRAW_BLOCKS`` after the request's."""
    return Call(REQUESTS, "draw", (struct_fields(request), header))


def commit_answer(request: Request, commitment: bytes) -> Call:
    return Call(REQUESTS, "commitAnswer", (struct_fields(request), commitment))


def reveal_answer(request: Request, data: bytes, posted: PostedClaim, salt: bytes, place: Inclusion = NOWHERE) -> Call:
    """``place``: of the claim, if somebody has posted it."""
    opening = (claim_fields(posted.claim), posted.signature, posted.inputs, posted.outputs, salt)
    return Call(REQUESTS, "revealAnswer", (struct_fields(request), data, opening, inclusion_fields(place)))


def settle(request: Request, posted: PostedClaim, place: Inclusion) -> Call:
    return Call(REQUESTS, "settle", (struct_fields(request), claim_fields(posted.claim), inclusion_fields(place)))
