"""Inferences: what is asked of a sequencer or a prover, and what each answers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from rollup.claim import MAX_CLAIM_BYTES
from rollup.documents.claims import SignedClaim
from rollup.documents.fields import Amount, ClaimHash, Count, Document, Hash, StateName, Time, hexadecimal

IMAGE: list[Any] = [[[abs(row - column) / 8] for column in range(8)] for row in range(8)]
"""What the model of the development network takes."""


class InferRequest(Document):
    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={"examples": [{"model": "digits", "inputs": [IMAGE]}]},
    )

    model: str = Field(min_length=1, max_length=200, description="Name or id.")
    inputs: Annotated[list[Any], Field(max_length=255, description="One nested list per input of the program.")]
    clamp: bool = Field(
        False, description="Cut numbers that an input's format can't hold to its ends, instead of refusing them."
    )


class AnswerRequest(Document):
    """A request on L1 that a prover is to answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_id: Hash
    inputs: Annotated[bytes, *hexadecimal(most=MAX_CLAIM_BYTES)] = Field(
        description="The input tensors' bytes, little-endian, in header order."
    )
    request_id: Hash
    nonce: Amount = Field(description="Of the claim: the same for the same attempt, so that it is posted once.")
    valid_until: Time


class InferAnswer(Document):
    claim_id: ClaimHash
    outputs: list[Any] = Field(description="One nested list per output, as claimed.")
    clamped: Count = Field(
        description="Numbers of the inputs that were cut: the claim is about the ends of their formats."
    )
    saturated: Count = Field(
        description="Elements of the outputs that lie at an end of their format: the real values may lie beyond."
    )
    saturated_inside: Count = Field(
        description="The same of values inside the program, as the prover counted it: nobody can check it without running the program."
    )
    state: StateName


class SignedInference(Document):
    """What a prover answers: the claim is signed, and nobody has handed it in."""

    claim_id: ClaimHash
    posted: SignedClaim
    outputs: list[Any] = Field(description="One nested list per output.")
    clamped: Count = Field(description="Numbers of the inputs that were cut.")
    saturated: Count = Field(description="Elements of the outputs that lie at an end of their format.")
    saturated_inside: Count = Field(description="The same of values inside the program.")
