"""Claims: as they are handed in, listed and shown; and the batches in which they stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, field_validator

from rollup.batch import Inclusion
from rollup.claim import MAX_CLAIM_BYTES, Claim, PostedClaim
from rollup.documents.fields import (
    Account,
    Amount,
    ClaimHash,
    Count,
    Document,
    Flag,
    Hash,
    Listing,
    StateName,
    Time,
    hexadecimal,
    whole,
)
from rollup.types import Root

MAX_DEPTH = 32
"""Levels of a batch's tree at most."""

SIGNATURE_BYTES = 65

MAX_GROUP = 1024
"""Most claims that one group is signed for."""

Signature = Annotated[bytes, *hexadecimal(length=SIGNATURE_BYTES)]
Tensors = Annotated[bytes, *hexadecimal(most=MAX_CLAIM_BYTES)]


class ClaimFields(Document):
    """What a claimant signs (EIP-712)."""

    model_id: Hash
    claimant: Account
    nonce: Amount
    valid_until: Annotated[int, Field(ge=0, lt=1 << 64, strict=True, description="Last second at which L1 takes it.")]
    request_id: Hash = Field(description="Zero, or whatever the claimant answers to.")
    input_root: Hash
    output_root: Hash
    trace_root: Hash = Field(description="Zero if the model's trace policy is 'on dispute'.")

    @classmethod
    def of(cls, claim: Claim) -> ClaimFields:
        return cls(**(vars(claim) | {"nonce": str(claim.nonce)}))

    @property
    def value(self) -> Claim:
        return Claim(**(dict(self) | {"nonce": int(self.nonce)}))


class SignedClaim(Document):
    """A claim, its signature (65 bytes r, s, v) and the bytes of its tensors, little-endian, in header order."""

    claim: ClaimFields
    signature: Signature
    inputs: Tensors = Field(description="Empty if they were uploaded to L1 before.")
    outputs: Tensors

    @classmethod
    def of(cls, posted: PostedClaim) -> SignedClaim:
        return cls(**(vars(posted) | {"claim": ClaimFields.of(posted.claim)}))

    @property
    def value(self) -> PostedClaim:
        return PostedClaim(self.claim.value, self.signature, self.inputs, self.outputs)


class PromisedClaim(Document):
    """A claim and its signature, without the bytes of its tensors."""

    claim: ClaimFields
    signature: Signature


class GroupRequest(Document):
    """Claims that a prover signed before, to be posted together: with consecutive nonces and one validity, in order."""

    claims: Annotated[list[PromisedClaim], Field(min_length=2, max_length=MAX_GROUP)]

    @classmethod
    def of(cls, claims: Sequence[PostedClaim]) -> GroupRequest:
        return cls(claims=[PromisedClaim(claim=ClaimFields.of(one.claim), signature=one.signature) for one in claims])

    @property
    def value(self) -> list[PostedClaim]:
        return [PostedClaim(one.claim.value, one.signature, b"", b"") for one in self.claims]


class SignedGroup(Document):
    signature: Signature = Field(description="Over the EIP-712 digest of `Group(bytes32[] claims)`.")


class AcceptedClaim(Document):
    claim_id: ClaimHash
    state: StateName


class ClaimChange(Document):
    """An event's data."""

    claim_id: ClaimHash
    state: StateName
    at: Time


class OnL1(Document):
    """Where a claim stands on L1."""

    number: Count = Field(description="The batch.", examples=[7])
    root: Hash
    posted_at: Time
    closes_at: Count = Field(description="End of its challenge period, by the clock that stops.")
    transaction: Hash


class InclusionProof(Document):
    """The Merkle proof that the contract accepts."""

    batch: Count
    index: Annotated[int, *whole(MAX_DEPTH)]
    siblings: Listing[Hash]

    @classmethod
    def of(cls, inclusion: Inclusion) -> InclusionProof:
        return cls(batch=inclusion.batch, index=inclusion.index, siblings=list(inclusion.siblings))

    @field_validator("siblings")
    @classmethod
    def _bounded(cls, siblings: list[Root]) -> list[Root]:
        if len(siblings) > MAX_DEPTH:
            raise ValueError(f"at most {MAX_DEPTH} nodes belong there")
        return siblings

    @property
    def value(self) -> Inclusion:
        return Inclusion(self.batch, self.index, tuple(self.siblings))


class ClaimSummary(Document):
    """A claim in a listing, without its bytes."""

    claim_id: ClaimHash
    state: StateName
    reason: str | None = Field(description="Why it is invalid.")
    claim: ClaimFields
    taken_at: Time | None = Field(description="Null: somebody else posted it.")
    batch: OnL1 | None = Field(description="Null while it is pending.")
    final_after: Time | None = Field(
        description="It is final from then on, if nobody challenges it. Whenever any claim is challenged for the first time, the clock "
        "of all challenge periods stops for a while, and this moves as much."
    )


class ClaimDocument(ClaimSummary):
    """All of a claim."""

    signature: Signature | None = Field(description="Null: somebody else posted it.")
    inputs: Tensors
    outputs: Tensors
    inclusion: InclusionProof | None
    disputed: Flag = Field(description="Somebody has challenged it, whatever came of it.")
    open_disputes: Count = Field(description="Claims, this or others, that are disputed now.")
    saturated: Count | None = Field(
        description="Elements of the outputs that lie at an end of their format: the real values may lie beyond. Null where the model "
        "is not listed here, or the outputs were uploaded to L1 before."
    )


class ClaimPage(Document):
    claims: Listing[ClaimSummary]
    next: str | None = Field(description="Cursor of what follows; null at the end.")


class BatchSummary(OnL1):
    count: Count = Field(description="Claims in it, skipped ones included.", examples=[64])


class BatchDocument(BatchSummary):
    claims: list[ClaimHash | None] = Field(description="By index; null for one that L1 skipped.")


class BatchPage(Document):
    batches: list[BatchSummary]
    next: str | None
