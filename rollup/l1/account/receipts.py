"""The EIP-712 digest of a receipt, which is its id and what the prover signs."""

from __future__ import annotations

from collections.abc import Sequence

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from rollup.l1.account.signing import Domain, typed_digest
from rollup.receipt import AnswerReceipt, ReceiptAnswer

ANSWER_TYPE = (
    b"Answer(uint32 index,uint256 claimNonce,bytes32 inputRoot,bytes32 seedCommitment,bytes8 seed,"
    b"uint32 promptTokens,uint32[] tokens,uint32[] cuts)"
)
RECEIPT_TYPE = (
    b"Receipt(string endpoint,bytes32 requestHash,bytes32 responseHash,bytes32 modelId,bytes32 tokenizerHash,"
    b"bytes32 templateHash,uint32 temperature,uint32 topP,uint32 topK,bytes nonce,bool serverChose,uint64 created,"
    b"uint64 postedBy,uint64 block,address prover,Answer[] answers)"
)


def receipt_id(receipt: AnswerReceipt, domain: Domain) -> bytes:
    """32 bytes: the receipt's EIP-712 digest."""
    types = ["bytes32"] * 7 + ["uint256"] * 3 + ["bytes32", "bool", "uint64", "uint64", "uint64", "address", "bytes32"]
    sampling = receipt.sampling
    fields = [
        keccak(RECEIPT_TYPE + ANSWER_TYPE),
        keccak(receipt.endpoint.encode()),
        receipt.request_hash,
        receipt.response_hash,
        receipt.model_id,
        receipt.tokenizer_hash,
        receipt.template_hash,
        sampling.temperature,
        sampling.top_p,
        sampling.top_k,
        keccak(receipt.nonce),
        receipt.server_chose,
        receipt.created,
        receipt.posted_by,
        receipt.block,
        receipt.prover,
        keccak(b"".join(map(_answer, receipt.answers))),
    ]
    return typed_digest(domain, encode(types, fields))


def _answer(one: ReceiptAnswer) -> bytes:
    types = ["bytes32", "uint32", "uint256", "bytes32", "bytes32", "bytes8", "uint32", "bytes32", "bytes32"]
    fields = [
        keccak(ANSWER_TYPE),
        one.index,
        one.claim_nonce,
        one.input_root,
        one.seed_commitment,
        one.seed,
        one.prompt_tokens,
        _words(one.tokens),
        _words(one.cuts),
    ]
    return keccak(encode(types, fields))


def _words(numbers: Sequence[int]) -> bytes:
    return keccak(b"".join(number.to_bytes(32, "big") for number in numbers))
