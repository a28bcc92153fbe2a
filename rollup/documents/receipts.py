"""Receipts as they travel: in answers, from the prover that keeps them, and in files."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from rollup.claim import Address
from rollup.documents.claims import Signature
from rollup.documents.fields import Account, Amount, ClaimHash, Count, Document, Hash, Listing, Time, hexadecimal, whole
from rollup.receipt import MILLION, NONCE_BYTES, AnswerReceipt, ReceiptAnswer, SamplingTerms, SignedReceipt
from rollup.types import ModelId, Root, Timestamp

Word = Annotated[int, *whole(32)]


class AnswerFields(Document):
    """One answer (a choice) of a receipt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    index: Word
    claim_nonce: Amount = Field(description="Nonce of the claim that will be made about this answer.")
    input_root: Hash = Field(description="Input root of that claim.")
    seed_commitment: Hash = Field(
        description="SHA-256 of the nonce, the index (4 bytes, big-endian) and the request's SHA-256."
    )
    seed: Annotated[bytes, *hexadecimal(length=8)] = Field(description="The commitment's first 8 bytes.")
    prompt_tokens: Word
    tokens: Listing[Word] = Field(description="Ids of all tokens that were generated.")
    cuts: Listing[Word] = Field(
        description="Two numbers of each token: the last ones that top-k and top-p kept. Empty where both keep all."
    )


class ReceiptDocument(Document):
    """What a prover signs about one answer (EIP-712), where that counts, and the signature."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Hash = Field(description="The EIP-712 digest.")
    endpoint: str = Field(max_length=40, examples=["chat/completions"])
    request_sha256: Hash
    response_sha256: Hash
    model_id: Hash
    tokenizer_sha256: Hash
    template_sha256: Hash = Field(description="Zero where no chat template was used.")
    temperature_millionths: Word
    top_p_millionths: Annotated[int, Field(ge=0, le=MILLION, strict=True)]
    top_k: Word = Field(description="0: all tokens.")
    nonce: Annotated[bytes, *hexadecimal(most=NONCE_BYTES)] = Field(description="What the seeds follow from.")
    nonce_by: Literal["caller", "server"]
    created: Time
    posted_by: Time = Field(description="Until when the claims are promised to stand on L1.")
    block: Count = Field(description="L1's newest block when this was signed.")
    prover: Account
    answers: Listing[AnswerFields]
    chain_id: Count
    contract: Account
    signature: Signature

    @classmethod
    def of(cls, signed: SignedReceipt, receipt_id: bytes, chain_id: int, contract: Address) -> ReceiptDocument:
        one = signed.receipt
        return cls(
            id=Root(receipt_id),
            endpoint=one.endpoint,
            request_sha256=Root(one.request_hash),
            response_sha256=Root(one.response_hash),
            model_id=one.model_id,
            tokenizer_sha256=Root(one.tokenizer_hash),
            template_sha256=Root(one.template_hash),
            temperature_millionths=one.sampling.temperature,
            top_p_millionths=one.sampling.top_p,
            top_k=one.sampling.top_k,
            nonce=one.nonce,
            nonce_by="server" if one.server_chose else "caller",
            created=one.created,
            posted_by=one.posted_by,
            block=one.block,
            prover=one.prover,
            answers=[AnswerFields(**vars(answer) | {"claim_nonce": str(answer.claim_nonce)}) for answer in one.answers],
            chain_id=chain_id,
            contract=contract,
            signature=signed.signature,
        )

    @property
    def value(self) -> SignedReceipt:
        """Raises ClaimError for answers that are not numbered from 0."""
        receipt = AnswerReceipt(
            self.endpoint,
            self.request_sha256,
            self.response_sha256,
            ModelId(self.model_id),
            self.tokenizer_sha256,
            self.template_sha256,
            SamplingTerms(self.temperature_millionths, self.top_p_millionths, self.top_k),
            self.nonce,
            self.nonce_by == "server",
            Timestamp(self.created),
            Timestamp(self.posted_by),
            self.block,
            self.prover,
            tuple(
                ReceiptAnswer(
                    **dict(one)
                    | {"claim_nonce": int(one.claim_nonce), "tokens": tuple(one.tokens), "cuts": tuple(one.cuts)}
                )
                for one in self.answers
            ),
        )
        return SignedReceipt(receipt, self.signature)


ClaimStage = Literal["promised", "signed", "pending", "posted", "challenged", "final", "invalid"]
"""How far a receipt's claim is: not made yet, made and not taken by the sequencer yet, then the sequencer's word."""


class PromisedAnswer(Document):
    """What became of one answer's claim, in the prover's words and the sequencer's."""

    index: Word
    claim_id: ClaimHash | None = Field(description="Null until the claim is made.")
    state: ClaimStage
    final_after: Time | None
    saturated: Count | None = Field(description="Elements of the outputs that lie at an end of their format.")
    saturated_inside: Count | None = Field(description="The same of values inside the program.")


class KeptReceipt(Document):
    """A receipt where it is kept."""

    receipt: ReceiptDocument
    kept_until: Time = Field(description="Until when the bytes of request and response are kept.")
    claims: list[PromisedAnswer]


class ReceiptFile(Document):
    """A receipt with the bytes that it is about, as one file: all that has to be known besides L1."""

    receipt: ReceiptDocument
    request: str = Field(description="The request's body.")
    response: str = Field(description="The answer's bytes, without the receipt.")
