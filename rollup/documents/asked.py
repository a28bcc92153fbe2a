"""Requests of contracts: as a sequencer lists and shows them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rollup.claim import MAX_CLAIM_BYTES
from rollup.documents.fields import (
    Account,
    Amount,
    ClaimHash,
    Count,
    Document,
    Flag,
    Hash,
    Hex,
    Listing,
    StateName,
    Time,
)

RequestState = Literal["open", "noted", "cancelled", "agreed", "answered", "undelivered", "refunded"]
"""How far a request is; of the last four nothing is open any more."""

Level = Literal["none", "agreed", "final"]
"""What an answer may be relied on for: there is none, or a quorum agrees on it, or nobody can refute it any more."""


class RequestSummary(Document):
    """A request in a listing."""

    request_id: Hash
    number: Amount = Field(description="Counts the requests of the contract.")
    state: RequestState = Field(
        description="noted: claims that answer hold the fee; cancelled: only what is posted soon counts; agreed: a quorum gave one "
        "answer, which is not final yet; undelivered: answered and paid, but the callback that it names failed."
    )
    level: Level = Field(
        description="What its answer may be relied on for: none: there is no answer yet; agreed: a quorum gave it; final: nobody "
        "can refute it any more."
    )
    quorum: Count = Field(
        description="So many equal answers make it agreed before it is final; 0: it waits for finality."
    )
    reason: str | None = Field(description="Why this sequencer does not answer it; null where it does, or needs not.")
    model_id: Hash
    requester: Account
    callback: Account
    fee: Amount
    until: Time = Field(description="Last second in which a claim that answers may be posted.")
    answer: ClaimHash | None = Field(description="The final claim that was paid, of a quorum the first.")
    claimant: Account | None = Field(description="Whom it paid; null if the fee was shared by a quorum.")
    told: Flag = Field(description="The consumer took the call.")
    block: Count
    transaction: Hash


class AnsweringClaim(Document):
    """A claim that names the request."""

    claim_id: ClaimHash
    claimant: Account
    state: StateName


class RequestDocument(RequestSummary):
    """All of a request."""

    input_root: Hash
    gas_limit: Count = Field(description="Of the callback.")
    prover: Account | None = Field(description="Whose claim alone answers until `prover_until`.")
    prover_until: Time | None
    author: Account | None = Field(description="Who gets a part of the fee.")
    royalty: Count = Field(description="That part, in basis points.")
    subscription_id: Hash | None
    callback_failures: Count
    noted: Listing[ClaimHash] = Field(description="Claims that hold the fee.")
    claims: Listing[AnsweringClaim]
    inputs: Hex = Field(
        description=f"The input tensors' bytes, {MAX_CLAIM_BYTES} at most; empty if they came otherwise."
    )
    data: Hex = Field(description="What the consumer wants to be handed along.")
    outputs: Hex | None = Field(description="The output tensors' bytes; null while there is no answer.")


class RequestPage(Document):
    requests: Listing[RequestSummary]
    next: str | None = Field(description="Cursor of what follows; null at the end.")
