"""Rows as values and back; used inside the store alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from sqlalchemy import Row

from rollup.claim import Address, Claim, ClaimId, PostedClaim
from rollup.game.moves import MoveKind
from rollup.l1.events import Challenged
from rollup.l1.records import GameRecord, MoveRecord, Outcome, Said
from rollup.types import Gindex, ModelId, Root, Timestamp
from sequencer.states import Entry, State

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


def game_columns(game: GameRecord) -> dict[str, Any]:
    opened = game.opened
    return {
        "game_id": opened.game_id,
        "claim_id": opened.claim_id,
        "challenger": opened.challenger,
        "counter": opened.counter,
        "trace_root": opened.trace_root,
        "commitment": opened.commitment,
        "position": game.position,
        "node": game.node,
        "question": game.question,
        "opened_at": game.opened_at,
        "block": game.block,
        "ended": None if game.ended is None else game.ended.value,
    }


def game_of(row: Row[Any]) -> GameRecord:
    opened = Challenged(
        ClaimId(bytes(row.claim_id)),
        bytes(row.game_id),
        Address(row.challenger),
        row.counter,
        Root(bytes(row.trace_root)),
        bytes(row.commitment),
    )
    return GameRecord(
        opened,
        row.block,
        Timestamp(row.opened_at),
        Gindex(row.position),
        Root(bytes(row.node)),
        None if row.ended is None else Outcome(row.ended),
        row.question,
    )


def move_columns(move: MoveRecord) -> dict[str, Any]:
    return {
        "claim_id": move.claim_id,
        "game_id": move.game_id,
        "kind": move.kind.value,
        **asdict(move.said),
        "position": move.position,
        "node": move.node,
        "extra": move.extra,
    }


def move_of(row: Row[Any]) -> MoveRecord:
    said = Said(row.block, row.log_index, bytes(row.transaction), Timestamp(row.at), Address(row.sender), row.gas)
    return MoveRecord(
        ClaimId(bytes(row.claim_id)),
        None if row.game_id is None else bytes(row.game_id),
        MoveKind(row.kind),
        said,
        None if row.position is None else Gindex(row.position),
        None if row.node is None else Root(bytes(row.node)),
        row.extra,
    )
