"""Requests of contracts as a sequencer tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rollup.claim import Address, ClaimId
from rollup.client.answers import shown
from rollup.client.views import short
from rollup.documents.asked import Level, RequestDocument, RequestPage, RequestState, RequestSummary
from rollup.documents.fields import read
from rollup.types import ModelId, Root, Timestamp


@dataclass(frozen=True)
class RequestView:
    """One request, in the sequencer's words. ``reason``: why it does not answer it. ``level``: what the answer may be relied on for.
    ``quorum``: so many equal answers make it agreed, 0: it waits for finality. ``until``: last second in which a claim that answers may
    be posted. ``answer``: the claim that was paid, ``claimant`` its account. ``told``: whether the consumer took the call. ``claims``:
    those that name the request; ``outputs``: the answer's bytes; both None in lists.
    """

    request_id: Root
    number: int
    state: RequestState
    level: Level
    quorum: int
    reason: str | None
    model_id: ModelId
    requester: Address
    callback: Address
    fee: int
    until: Timestamp
    answer: ClaimId | None
    claimant: Address | None
    told: bool
    block: int
    claims: tuple[ClaimId, ...] | None = None
    outputs: bytes | None = None

    def __repr__(self) -> str:
        return f"RequestView({short(self.request_id)}, {self.state}, about {short(self.model_id)}, until={self.until})"


def request_view(data: Any) -> RequestView:
    """One request, whole; raises ClaimError."""
    whole = read(RequestDocument, data)
    return _view(whole, tuple(one.claim_id for one in whole.claims), whole.outputs)


def request_page(data: Any) -> tuple[list[RequestView], str | None]:
    """Requests without their bytes, and the cursor of those that follow."""
    found = read(RequestPage, data)
    return [_view(one) for one in found.requests], found.next


def _view(one: RequestSummary, claims: tuple[ClaimId, ...] | None = None, outputs: bytes | None = None) -> RequestView:
    return RequestView(
        one.request_id,
        int(one.number),
        one.state,
        one.level,
        one.quorum,
        None if one.reason is None else shown(one.reason),
        ModelId(one.model_id),
        one.requester,
        one.callback,
        int(one.fee),
        Timestamp(one.until),
        one.answer,
        one.claimant,
        one.told,
        one.block,
        claims,
        outputs,
    )
