"""Rows as values and back; used inside the store alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import Row

from rollup.claim import Address, Claim, ClaimId, PostedClaim
from rollup.types import Gindex, ModelId, Root, Timestamp
from sequencer.states import Entry, Game, Move, State

T = TypeVar("T")

MOST_PARAMETERS = 400
"""Values in one IN (...) at most; databases bound the number of parameters."""

EARLY = ("model_id", "claimant", "nonce", "valid_until", "request_id", "input_root", "output_root", "trace_root")
"""A claim's columns, in the claim's order."""


def chunks(values: Iterable[T], size: int = MOST_PARAMETERS) -> Iterator[Sequence[T]]:
    """Cut into pieces that fit one statement."""
    known = list(values)
    for start in range(0, len(known), size):
        yield known[start : start + size]


def claim_columns(claim_id: ClaimId, posted: PostedClaim) -> dict[str, Any]:
    """What is stored of a claim that never changes; its bytes lie in another table."""
    claim = posted.claim
    return {
        "claim_id": claim_id,
        **{name: getattr(claim, name) for name in EARLY},
        "signature": posted.signature,
    }


def content_columns(claim_id: ClaimId, posted: PostedClaim) -> dict[str, Any]:
    return {"claim_id": claim_id, "inputs": posted.inputs, "outputs": posted.outputs}


def entry_of(row: Row[Any], inputs: bytes = b"", outputs: bytes = b"") -> Entry:
    claim = Claim(
        ModelId(Root(bytes(row.model_id))),
        Address(row.claimant),
        row.nonce,
        row.valid_until,
        bytes(row.request_id),
        Root(bytes(row.input_root)),
        Root(bytes(row.output_root)),
        Root(bytes(row.trace_root)),
    )
    return Entry(
        ClaimId(bytes(row.claim_id)),
        PostedClaim(claim, bytes(row.signature), inputs, outputs),
        State(row.state),
        row.sequence,
        row.gas,
        None if row.taken_at is None else Timestamp(row.taken_at),
        row.reason,
        row.batch,
        row.position,
        row.block,
        None if row.transaction is None else bytes(row.transaction),
        None if row.posted_at is None else Timestamp(row.posted_at),
        None if row.closes_at is None else Timestamp(row.closes_at),
        row.released,
    )


def game_of(row: Row[Any]) -> Game:
    return Game(
        bytes(row.game_id),
        ClaimId(bytes(row.claim_id)),
        Address(row.challenger),
        row.counter,
        Root(bytes(row.trace_root)),
        bytes(row.commitment),
        Gindex(row.position),
        Root(bytes(row.node)),
        Timestamp(row.opened_at),
        row.block,
        row.ended,
        row.question,
    )


def move_of(row: Row[Any]) -> Move:
    return Move(
        ClaimId(bytes(row.claim_id)),
        None if row.game_id is None else bytes(row.game_id),
        row.kind,
        Timestamp(row.at),
        row.block,
        row.log_index,
        bytes(row.transaction),
        Address(row.sender),
        row.gas,
        None if row.position is None else Gindex(row.position),
        None if row.node is None else Root(bytes(row.node)),
        row.extra,
    )
